package capi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
)

const (
	// maxKubeconfig bounds what is parsed.
	maxKubeconfig = 256 << 10
	// probeTimeout bounds one request of Probe.
	probeTimeout = 10 * time.Second
	nodePage     = 500
)

// Connect returns the access to one incarnation that Cluster API wrote into its
// kubeconfig Secret. A kubeconfig is data of the provider, so one that would run a
// program, read a file, skip the check of the server or go through a proxy is a
// RefusedError. The requests are not limited here: whoever uses them must.
func (c *Clusters) Connect(ctx context.Context, inc Incarnation) (*rest.Config, error) {
	obs, err := c.Observe(ctx, inc.Namespace, inc.Name)
	if err != nil {
		return nil, err
	}
	if !obs.Exists {
		return nil, &NotFoundError{Namespace: inc.Namespace, Name: inc.Name}
	}
	if obs.UID != inc.UID {
		return nil, &IdentityChangedError{Object: "Cluster " + inc.String(), Want: inc.UID, Got: obs.UID}
	}
	key := types.NamespacedName{Namespace: inc.Namespace, Name: secret.Name(inc.Name, secret.Kubeconfig)}
	holder := &corev1.Secret{}
	err = c.Client.Get(ctx, key, holder)
	if apierrors.IsNotFound(err) {
		return nil, &NotReadyError{Reason: "NoKubeconfig", Message: fmt.Sprintf("Secret %s does not exist yet", key)}
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	if err := checkHolder(holder, inc); err != nil {
		return nil, err
	}
	if len(holder.Data[secret.KubeconfigDataName]) == 0 {
		return nil, &NotReadyError{Reason: "NoKubeconfig", Message: fmt.Sprintf("Secret %s has no key %s yet", key, secret.KubeconfigDataName)}
	}
	config, err := restConfig(holder.Data[secret.KubeconfigDataName])
	if err != nil {
		return nil, &RefusedError{Reason: "UnsafeKubeconfig", Message: fmt.Sprintf("Secret %s: %v", key, err)}
	}
	return config, nil
}

// checkHolder makes sure that the Secret is of this life of the cluster.
func checkHolder(holder *corev1.Secret, inc Incarnation) error {
	stale := func(format string, args ...any) error {
		return &NotReadyError{Reason: "StaleKubeconfig", Message: fmt.Sprintf("Secret %s/%s: ", holder.Namespace, holder.Name) + fmt.Sprintf(format, args...)}
	}
	if label := holder.Labels[clusterv1.ClusterNameLabel]; label != inc.Name {
		return stale("label %s is %q, not %q", clusterv1.ClusterNameLabel, label, inc.Name)
	}
	if holder.DeletionTimestamp != nil {
		return stale("is being deleted")
	}
	foreign := func(ref metav1.OwnerReference) bool {
		return ref.Kind == "Cluster" && strings.HasPrefix(ref.APIVersion, clusterv1.GroupVersion.Group+"/") && ref.UID != inc.UID
	}
	if slices.ContainsFunc(holder.OwnerReferences, foreign) {
		return stale("belongs to an earlier life of the cluster")
	}
	return nil
}

// restConfig builds the access from a kubeconfig's current context, from inline data
// only. Its errors never hold anything of the content.
func restConfig(raw []byte) (*rest.Config, error) {
	if len(raw) > maxKubeconfig {
		return nil, fmt.Errorf("the kubeconfig has %d bytes; at most %d are read", len(raw), maxKubeconfig)
	}
	kubeconfig, err := clientcmd.Load(raw)
	if err != nil {
		return nil, errors.New("the kubeconfig cannot be parsed") // the cause would quote it
	}
	current := kubeconfig.Contexts[kubeconfig.CurrentContext]
	if current == nil {
		return nil, errors.New("the kubeconfig has no current context")
	}
	cluster, user := kubeconfig.Clusters[current.Cluster], kubeconfig.AuthInfos[current.AuthInfo]
	if cluster == nil || user == nil {
		return nil, errors.New("the current context names a cluster or user that is not there")
	}
	if err := refuse(cluster, user); err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: cluster.Server, BearerToken: user.Token, Username: user.Username, Password: user.Password,
		TLSClientConfig: rest.TLSClientConfig{
			ServerName: cluster.TLSServerName, CAData: cluster.CertificateAuthorityData,
			CertData: user.ClientCertificateData, KeyData: user.ClientKeyData,
		},
		QPS: -1, UserAgent: "refloat",
	}, nil
}

func refuse(cluster *clientcmdapi.Cluster, user *clientcmdapi.AuthInfo) error {
	for _, check := range []struct {
		violated bool
		what     string
	}{
		{user.Exec != nil, "runs a program to log in (exec)"},
		{user.AuthProvider != nil, "uses an auth-provider plugin"},
		{user.ClientCertificate != "" || user.ClientKey != "" || user.TokenFile != "" || cluster.CertificateAuthority != "", "refers to files; data must be inline"},
		{cluster.InsecureSkipTLSVerify, "skips the check of the server's certificate"},
		{cluster.ProxyURL != "", "goes through a proxy"},
		{user.Impersonate != "" || user.ImpersonateUID != "" || len(user.ImpersonateGroups) > 0 || len(user.ImpersonateUserExtra) > 0, "impersonates somebody"},
		{!strings.HasPrefix(cluster.Server, "https://"), "has a server that is not https"},
		{strings.Contains(cluster.Server, "@"), "has credentials in the address of its server, which messages name"},
	} {
		if check.violated {
			return errors.New("the kubeconfig " + check.what)
		}
	}
	return nil
}

// Health is what a workload cluster's own API server answered.
type Health struct {
	// KubeSystemUID identifies the cluster from inside.
	KubeSystemUID types.UID
	// CreatedAt is when its kube-system namespace was made, by its own clock.
	CreatedAt time.Time
	// ReadyNodes counts up to the number that was asked for.
	ReadyNodes int
	// Simulated is true when the cluster says that no container runs in it.
	Simulated bool
}

// Probe asks a workload cluster itself: /readyz, the kube-system namespace and, until
// minNodes are found Ready, its nodes. An API server that does not answer well is a
// NotReadyError, with ReasonDenied when it refuses the credentials; too few nodes are not an error here.
func (c *Clusters) Probe(ctx context.Context, config *rest.Config, minNodes int) (Health, error) {
	bounded := rest.CopyConfig(config)
	bounded.Timeout = probeTimeout
	access, err := kubernetes.NewForConfig(bounded)
	if err != nil {
		return Health{}, &NotReadyError{Reason: "BadCredentials", Message: "the kubeconfig's credentials cannot be used"}
	}
	if err := access.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return Health{}, unready(config, "/readyz", err)
	}
	system, err := access.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return Health{}, unready(config, "namespace kube-system", err)
	}
	health := Health{KubeSystemUID: system.UID, CreatedAt: system.CreationTimestamp.Time, Simulated: system.Labels[LabelSimulated] == "true"}
	health.ReadyNodes, err = readyNodes(ctx, access, minNodes)
	if err != nil {
		return Health{}, unready(config, "nodes", err)
	}
	return health, nil
}

// ReasonDenied of a NotReadyError: an API server answered under the cluster's own authority,
// and does not accept the credentials. It is alive, whatever else is wrong with it.
const ReasonDenied = "Denied"

func unready(config *rest.Config, what string, err error) error {
	if apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) {
		return &NotReadyError{Reason: ReasonDenied, Message: fmt.Sprintf("%s answers, and denies %s to the credentials of its kubeconfig: %s", config.Host, what, oneLine(err.Error()))}
	}
	return &NotReadyError{Reason: "NoAnswer", Message: fmt.Sprintf("%s does not answer for %s: %s", config.Host, what, oneLine(err.Error()))}
}

func readyNodes(ctx context.Context, access kubernetes.Interface, enough int) (int, error) {
	ready, next := 0, ""
	for ready < enough {
		page, err := access.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: nodePage, Continue: next})
		if err != nil {
			return 0, err
		}
		for i := range page.Items {
			if nodeReady(&page.Items[i]) {
				ready++
			}
		}
		if next = page.Continue; next == "" {
			break
		}
	}
	return ready, nil
}

func nodeReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
