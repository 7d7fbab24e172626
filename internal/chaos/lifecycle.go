package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/internal/witness"
	"github.com/refloat-dev/refloat/providers/capi"
)

const (
	// earlier is the run that made the cluster which is there at the beginning.
	earlier = "earlier"
	// provider is the finalizer of the played provider.
	provider = "chaos.refloat.dev/provider"
	// lookEvery is how often the played Cluster API looks without being told.
	lookEvery = time.Second
)

// lifecycle plays Cluster API, a control plane provider and an infrastructure provider in
// one namespace. Its requests meet no faults.
type lifecycle struct {
	client    client.WithWatch
	namespace string
	live, new *plane
	sequence  *faultproxy.Sequence

	mu       sync.Mutex
	fronts   map[types.UID]*faultproxy.Front
	identity map[types.UID]types.UID
	stopped  map[types.UID]time.Time // when a cluster that is deleted answered no more
	liveUID  types.UID
	last     error
}

// run until the context ends.
func (l *lifecycle) run(ctx context.Context) {
	defer l.close()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		w, err := l.client.Watch(ctx, &clusterv1.ClusterList{}, client.InNamespace(l.namespace))
		if err != nil {
			l.look(ctx)
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
			continue
		}
		for open := true; open; {
			l.look(ctx)
			select {
			case <-ctx.Done():
				open = false
			case _, open = <-w.ResultChan():
			case <-ticker.C:
			}
		}
		w.Stop()
	}
}

func (l *lifecycle) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.fronts {
		f.Close()
	}
}

// look at every Cluster and take each one step further. What fails is done again.
func (l *lifecycle) look(ctx context.Context) {
	list := &clusterv1.ClusterList{}
	err := l.client.List(ctx, list, client.InNamespace(l.namespace))
	for i := range list.Items {
		cluster := &list.Items[i]
		if cluster.DeletionTimestamp != nil {
			err = errors.Join(err, l.takeDown(ctx, cluster))
		} else {
			err = errors.Join(err, l.provision(ctx, cluster))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
}

func (l *lifecycle) provision(ctx context.Context, cluster *clusterv1.Cluster) error {
	before := cluster.DeepCopy()
	if controllerutil.AddFinalizer(cluster, clusterv1.ClusterFinalizer) {
		return l.client.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	for _, part := range l.parts(cluster) {
		if err := l.client.Get(ctx, client.ObjectKeyFromObject(part), part); err != nil {
			return err
		}
		was := part.DeepCopy()
		if controllerutil.AddFinalizer(part, provider) {
			if err := l.client.Patch(ctx, part, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{})); err != nil {
				return err
			}
		}
	}
	front, plane, err := l.serve(ctx, cluster)
	if err != nil {
		return err
	}
	if err := l.kubeconfig(ctx, cluster, plane, front); err != nil {
		return err
	}
	if cluster.Spec.ControlPlaneEndpoint.Host == "" {
		host, port, err := net.SplitHostPort(front.Address())
		if err != nil {
			return err
		}
		number, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			return err
		}
		cluster.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: host, Port: int32(number)}
		return l.client.Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	return l.report(ctx, cluster)
}

func (l *lifecycle) report(ctx context.Context, cluster *clusterv1.Cluster) error {
	before := cluster.DeepCopy()
	changed := meta.SetStatusCondition(&cluster.Status.Conditions, metav1.Condition{
		Type: clusterv1.ClusterAvailableCondition, Status: metav1.ConditionTrue, Reason: "Available", ObservedGeneration: cluster.Generation})
	if cluster.Status.Initialization.ControlPlaneInitialized == nil {
		cluster.Status.Initialization = clusterv1.ClusterInitializationStatus{InfrastructureProvisioned: ptr.To(true), ControlPlaneInitialized: ptr.To(true)}
		changed = true
	}
	if !changed {
		return nil
	}
	return l.client.Status().Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// serve gives a Cluster a control plane, behind a proxy of its own.
func (l *lifecycle) serve(ctx context.Context, cluster *clusterv1.Cluster) (*faultproxy.Front, *plane, error) {
	old := cluster.Annotations[capi.AnnotationRun] == earlier
	server, plane := witness.Workload, l.new
	if old {
		server, plane = witness.Live, l.live
	}
	l.mu.Lock()
	front := l.fronts[cluster.UID]
	l.mu.Unlock()
	if front != nil {
		return front, plane, nil
	}
	var identity types.UID
	if !old {
		var err error
		if identity, err = plane.renew(ctx); err != nil {
			return nil, nil, err
		}
	}
	upstream, err := plane.user("refloat:" + l.namespace)
	if err != nil {
		return nil, nil, err
	}
	front, err = faultproxy.Listen(faultproxy.Options{Name: server, Upstream: upstream, Certificate: plane.server, Sequence: l.sequence})
	if err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fronts[cluster.UID], l.identity[cluster.UID] = front, identity
	if old {
		l.liveUID = cluster.UID
	}
	return front, plane, nil
}

func (l *lifecycle) kubeconfig(ctx context.Context, cluster *clusterv1.Cluster, plane *plane, front *faultproxy.Front) error {
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Name + "-kubeconfig"}
	held := &metav1.PartialObjectMetadata{}
	held.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := l.client.Get(ctx, key, held)
	if err == nil || !apierrors.IsNotFound(err) {
		return err
	}
	raw, err := plane.kubeconfig(front.Address())
	if err != nil {
		return err
	}
	return client.IgnoreAlreadyExists(l.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{clusterv1.ClusterNameLabel: cluster.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: cluster.Name, UID: cluster.UID}}},
		Data: map[string][]byte{"value": raw}, Type: clusterv1.ClusterSecretType,
	}))
}

// takeDown deletes what the provider holds, then lets the Cluster go.
func (l *lifecycle) takeDown(ctx context.Context, cluster *clusterv1.Cluster) error {
	l.mu.Lock()
	if front := l.fronts[cluster.UID]; front != nil {
		front.Close()
		if _, known := l.stopped[cluster.UID]; !known {
			l.stopped[cluster.UID] = time.Now()
		}
	}
	l.mu.Unlock()
	left := 0
	for _, part := range l.parts(cluster) {
		err := l.client.Get(ctx, client.ObjectKeyFromObject(part), part)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		left++
		if part.GetDeletionTimestamp() == nil {
			err = l.client.Delete(ctx, part)
		} else if was := part.DeepCopy(); controllerutil.RemoveFinalizer(part, provider) {
			err = l.client.Patch(ctx, part, client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{}))
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("take down %s: %w", part.GetName(), err)
		}
	}
	if left > 0 {
		return l.takeDown(ctx, cluster)
	}
	before := cluster.DeepCopy()
	if !controllerutil.RemoveFinalizer(cluster, clusterv1.ClusterFinalizer) {
		return nil
	}
	return client.IgnoreNotFound(l.client.Patch(ctx, cluster, client.MergeFrom(before)))
}

// parts are the objects of the provider that a Cluster refers to.
func (l *lifecycle) parts(cluster *clusterv1.Cluster) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for gvk, name := range map[schema.GroupVersionKind]string{
		localCluster: cluster.Spec.InfrastructureRef.Name, localControlPlane: cluster.Spec.ControlPlaneRef.Name,
	} {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		u.SetNamespace(cluster.Namespace)
		u.SetName(name)
		out = append(out, u)
	}
	return out
}

var (
	localCluster      = schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1alpha1", Kind: "LocalCluster"}
	localControlPlane = schema.GroupVersionKind{Group: "controlplane.cluster.x-k8s.io", Version: "v1alpha1", Kind: "LocalControlPlane"}
)

// workload is the proxy before the cluster that the run makes; nil when there is none.
func (l *lifecycle) workload() *faultproxy.Front {
	l.mu.Lock()
	defer l.mu.Unlock()
	for uid, front := range l.fronts {
		if uid != l.liveUID {
			return front
		}
	}
	return nil
}
