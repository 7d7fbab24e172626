package drain

import (
	"context"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// Contents of a cluster, as far as a drain cares.
type Contents struct {
	Deployments  []appsv1.Deployment
	StatefulSets []appsv1.StatefulSet
	Services     []corev1.Service
	Ingresses    []networkingv1.Ingress
	Gateways     []unstructured.Unstructured
	Claims       []corev1.PersistentVolumeClaim
	Volumes      []corev1.PersistentVolume
	// Pods and ReplicaSets are read only while claims are to be deleted.
	Pods        []corev1.Pod
	ReplicaSets []appsv1.ReplicaSet

	// versions of the lists, from which changes are waited for.
	versions map[string]string
}

// Client of the cluster to be drained.
type Client struct {
	Kubernetes kubernetes.Interface
	Dynamic    dynamic.Interface
}

// gateways of the Gateway API hold an address each, like a Service of type LoadBalancer.
var gateways = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}

const (
	// page bounds one answer, most one kind: what is beyond shows at a later look, when the
	// first are gone.
	page = 500
	most = 100_000
)

// Look at everything that Next decides on, in parallel.
func (c Client) Look(ctx context.Context) (Contents, error) {
	out := Contents{versions: map[string]string{}}
	core, apps := c.Kubernetes.CoreV1(), c.Kubernetes.AppsV1()
	err := c.read(ctx, &out, map[string]lister{
		kindDeployment:  into(&out.Deployments, apps.Deployments("").List, func(l *appsv1.DeploymentList) []appsv1.Deployment { return l.Items }),
		kindStatefulSet: into(&out.StatefulSets, apps.StatefulSets("").List, func(l *appsv1.StatefulSetList) []appsv1.StatefulSet { return l.Items }),
		kindService:     into(&out.Services, core.Services("").List, func(l *corev1.ServiceList) []corev1.Service { return l.Items }),
		kindIngress:     into(&out.Ingresses, c.Kubernetes.NetworkingV1().Ingresses("").List, func(l *networkingv1.IngressList) []networkingv1.Ingress { return l.Items }),
		kindGateway:     into(&out.Gateways, c.Dynamic.Resource(gateways).List, func(l *unstructured.UnstructuredList) []unstructured.Unstructured { return l.Items }),
		kindClaim:       into(&out.Claims, core.PersistentVolumeClaims("").List, func(l *corev1.PersistentVolumeClaimList) []corev1.PersistentVolumeClaim { return l.Items }),
		kindVolume:      into(&out.Volumes, core.PersistentVolumes().List, func(l *corev1.PersistentVolumeList) []corev1.PersistentVolume { return l.Items }),
	})
	if err != nil || len(disposable(out)) == 0 {
		return out, err
	}
	return out, c.read(ctx, &out, map[string]lister{
		kindPod:        into(&out.Pods, core.Pods("").List, func(l *corev1.PodList) []corev1.Pod { return l.Items }),
		kindReplicaSet: into(&out.ReplicaSets, apps.ReplicaSets("").List, func(l *appsv1.ReplicaSetList) []appsv1.ReplicaSet { return l.Items }),
	})
}

// lister reads all objects of one kind and returns the version of the list.
type lister func(context.Context) (string, error)

// into reads page by page. A kind that the cluster does not serve has no objects.
func into[T any, L metav1.ListInterface](target *[]T, list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T) lister {
	return func(ctx context.Context) (string, error) {
		for next := ""; ; {
			part, err := list(ctx, metav1.ListOptions{Limit: page, Continue: next})
			if apierrors.IsNotFound(err) {
				return "", nil
			}
			if err != nil {
				return "", err
			}
			*target = append(*target, items(part)...)
			if next = part.GetContinue(); next == "" || len(*target) >= most {
				return part.GetResourceVersion(), nil
			}
		}
	}
}

func (c Client) read(ctx context.Context, out *Contents, listers map[string]lister) error {
	var mu sync.Mutex
	var wait sync.WaitGroup
	var failed error
	for kind, list := range listers {
		wait.Go(func() {
			version, err := list(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = fmt.Errorf("list %ss: %w", kind, err)
				return
			}
			if version != "" {
				out.versions[kind] = version
			}
		})
	}
	wait.Wait()
	return failed
}
