package chaos

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// witnessed is the group of the identities whose requests the audit logs hold.
const witnessed = "refloat:witnessed"

// auditPolicy keeps every write of Refloat with bodies, those of Secrets apart. Which reads
// there were is kept of workload clusters; on the management cluster nobody asks, and there
// are a thousand in a run.
func auditPolicy(role controlplane.Role) []byte {
	reads := "Metadata"
	if role == controlplane.Management {
		reads = "None"
	}
	return []byte(strings.Replace(policy, "READS", reads, 1))
}

const policy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived","ResponseStarted"],"omitManagedFields":true,"rules":[
{"level":"None","verbs":["watch"]},
{"level":"None","nonResourceURLs":["/*"]},
{"level":"READS","userGroups":["` + witnessed + `"],"verbs":["get","list"]},
{"level":"Request","userGroups":["` + witnessed + `"],"verbs":["delete","deletecollection"]},
{"level":"Metadata","userGroups":["` + witnessed + `"],"resources":[{"group":"","resources":["secrets","serviceaccounts/token"]}]},
{"level":"RequestResponse","userGroups":["` + witnessed + `"]},
{"level":"None"}]}`

// plane is a control plane and what it was like when it was new.
type plane struct {
	*controlplane.Plane
	dir     string
	options controlplane.Options
	clean   map[string]bool // the keys in etcd
	server  tls.Certificate
}

func startPlane(ctx context.Context, binaries assets.Binaries, dir, name string, role controlplane.Role) (*plane, error) {
	p := &plane{dir: filepath.Join(dir, name), options: controlplane.Options{
		Dir: filepath.Join(dir, name), Name: name, Role: role, Binaries: binaries, AuditPolicy: auditPolicy(role), Log: logr.Discard(),
	}}
	var err error
	if p.Plane, err = controlplane.Start(ctx, p.options); err != nil {
		return nil, err
	}
	if p.clean, err = p.keys(ctx); err != nil {
		return nil, err
	}
	authorities := p.Authorities()
	pair, err := authorities.ServerPair("faultproxy", time.Now())
	if err != nil {
		return nil, err
	}
	if p.server, err = tls.X509KeyPair(pair.Cert, pair.Key); err != nil {
		return nil, fmt.Errorf("certificate of the proxy before %s: %w", name, err)
	}
	return p, nil
}

func (p *plane) auditLog() string { return filepath.Join(p.dir, "log", "audit.log") }

// user makes the access of an identity that the audit log shows.
func (p *plane) user(name string) (*rest.Config, error) {
	raw, err := p.Kubeconfig(controlplane.User{Name: name, Groups: []string{"system:masters", witnessed}})
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("access of %s: %w", name, err)
	}
	config.QPS = -1
	return config, nil
}

// kubeconfig for a client that goes through a proxy at an address.
func (p *plane) kubeconfig(address string) ([]byte, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	endpoint := controlplane.Endpoint{Host: host}
	if _, err := fmt.Sscanf(port, "%d", &endpoint.Port); err != nil {
		return nil, fmt.Errorf("port %q: %w", port, err)
	}
	authorities := p.Authorities()
	return controlplane.KubeconfigFor(&authorities, p.options.Name, endpoint, controlplane.Admin, time.Now())
}

// etcd asks the plane's etcd, over its socket, by its JSON interface.
func (p *plane) etcd(ctx context.Context, method string, request, answer any) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(p.dir, "etcd:1"))
	}}
	defer transport.CloseIdleConnections()
	raw, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://etcd/v3/kv/"+method, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return fmt.Errorf("etcd of %s: %w", p.options.Name, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd of %s: %s: %s", p.options.Name, method, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, 64<<20)).Decode(answer)
}

const registry = "/registry/"

func (p *plane) keys(ctx context.Context) (map[string]bool, error) {
	var answer struct {
		Kvs []struct{ Key []byte } `json:"kvs"`
	}
	end := registry[:len(registry)-1] + "0"
	err := p.etcd(ctx, "range", map[string]any{"key": []byte(registry), "range_end": []byte(end), "keys_only": true}, &answer)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, kv := range answer.Kvs {
		keys[string(kv.Key)] = true
	}
	return keys, nil
}

// renew makes another cluster of the plane: all that was added since the start is gone, at
// once and without finalizers, and kube-system is a new one. It returns its UID.
func (p *plane) renew(ctx context.Context) (types.UID, error) {
	now, err := p.keys(ctx)
	if err != nil {
		return "", err
	}
	system := registry + "namespaces/" + metav1.NamespaceSystem
	for key := range now {
		if p.clean[key] && key != system {
			continue
		}
		if err := p.etcd(ctx, "deleterange", map[string]any{"key": base64.StdEncoding.EncodeToString([]byte(key))}, &struct{}{}); err != nil {
			return "", err
		}
	}
	client, err := kubernetes.NewForConfig(p.AdminConfig())
	if err != nil {
		return "", err
	}
	// The API server learns of what etcd lost by its watch.
	var last error
	err = until(ctx, 20*time.Millisecond, func() bool {
		_, last = client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}, metav1.CreateOptions{})
		if last == nil {
			return true
		}
		if !strings.Contains(last.Error(), "already exists") {
			return false
		}
		// The API server's own loop was faster; that one is as new.
		made, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		return err == nil && made.DeletionTimestamp == nil && time.Since(made.CreationTimestamp.Time) < 2*time.Second
	})
	if err != nil {
		return "", fmt.Errorf("make a new kube-system in %s: %w (%w)", p.options.Name, err, last)
	}
	live, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read kube-system of %s: %w", p.options.Name, err)
	}
	return live.UID, nil
}

// until asks again and again; nothing tells of what it waits for.
func until(ctx context.Context, every time.Duration, done func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}
