package fake

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/refloat-dev/refloat/providers/capi"
)

// Workload is the API server of a workload cluster, as far as a probe asks it.
type Workload struct {
	server *httptest.Server

	mu        sync.Mutex
	system    types.UID
	created   time.Time
	nodes     int
	simulated bool
	denies    bool
}

func newWorkload(system types.UID, created time.Time) *Workload {
	w := &Workload{system: system, created: created, nodes: 1, simulated: true}
	w.server = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	return w
}

// SetIdentity makes the API server answer as another cluster would.
func (w *Workload) SetIdentity(system types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.system = system
}

// Stop the API server, as when the cluster is lost.
func (w *Workload) Stop() { w.server.Close() }

// Deny every request, as when the credentials of the kubeconfig have expired.
func (w *Workload) Deny() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.denies = true
}

// SetCreated makes the API server answer as a cluster of that age.
func (w *Workload) SetCreated(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.created = at
}

// SetNodes sets how many nodes are Ready.
func (w *Workload) SetNodes(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes = n
}

func (w *Workload) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.denies {
		http.Error(rw, "Unauthorized", http.StatusUnauthorized)
		return
	}
	var body any
	switch r.URL.Path {
	case "/readyz":
		fmt.Fprint(rw, "ok")
		return
	case "/api/v1/namespaces/kube-system":
		ns := &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
		ns.Name, ns.UID = metav1.NamespaceSystem, w.system
		ns.CreationTimestamp = metav1.NewTime(w.created)
		if w.simulated {
			ns.Labels = map[string]string{capi.LabelSimulated: "true"}
		}
		body = ns
	case "/api/v1/nodes":
		list := &corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
		for range w.nodes {
			list.Items = append(list.Items, corev1.Node{Status: corev1.NodeStatus{
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
		}
		body = list
	default:
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(body) // a client that went away is no matter
}

// kubeconfig for the server.
func (w *Workload) kubeconfig() ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["w"] = &clientcmdapi.Cluster{
		Server:                   w.server.URL,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw}),
	}
	config.AuthInfos["w"] = &clientcmdapi.AuthInfo{Token: "fake"}
	config.Contexts["w"] = &clientcmdapi.Context{Cluster: "w", AuthInfo: "w"}
	config.CurrentContext = "w"
	return clientcmd.Write(*config)
}
