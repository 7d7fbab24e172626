package drain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	kindDeployment  = "Deployment"
	kindStatefulSet = "StatefulSet"
	kindReplicaSet  = "ReplicaSet"
	kindService     = "Service"
	kindIngress     = "Ingress"
	kindGateway     = "Gateway"
	kindClaim       = "PersistentVolumeClaim"
	kindVolume      = "PersistentVolume"
	kindPod         = "Pod"
)

// Ref is one object of the cluster as it was seen.
type Ref struct {
	Kind, Namespace, Name string
	UID                   types.UID
	Version               string
	// Replicas that a workload to be stopped had.
	Replicas int32
}

func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

func refTo(kind string, o metav1.Object) Ref {
	return Ref{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), Version: o.GetResourceVersion()}
}

// Step is what to do next. Nothing in it means that the drain is over.
type Step struct {
	// Stop workloads, scaling them to zero.
	Stop []Ref
	// Delete objects.
	Delete []Ref
	// Awaited are objects that have to go, or to have no pods any more, before the next step.
	Awaited []Ref
}

// Done tells whether nothing is left to do.
func (s Step) Done() bool { return len(s.Stop)+len(s.Delete)+len(s.Awaited) == 0 }

// Next step of a drain of what is no newer than newest, by the cluster's own clock.
func Next(c Contents, newest time.Time) Step {
	for _, step := range []Step{quiesce(c), release(c, newest), empty(c, newest)} {
		if !step.Done() {
			return step
		}
	}
	return Step{}
}

// quiesce stops what makes objects again, one kind of controller after the other.
func quiesce(c Contents) Step {
	steps := make([]Step, len(makers))
	for _, w := range workloads(c) {
		i := rank(w.Namespace, w.labels)
		switch {
		case i < 0:
		case w.Replicas > 0:
			steps[i].Stop = append(steps[i].Stop, w.Ref)
		case w.running:
			steps[i].Awaited = append(steps[i].Awaited, w.Ref)
		}
	}
	for _, step := range steps {
		if !step.Done() {
			return step
		}
	}
	return Step{}
}

// workload is a Deployment or StatefulSet with what matters of it.
type workload struct {
	Ref
	labels  map[string]string
	running bool
	before  string
}

func workloads(c Contents) []workload {
	var out []workload
	add := func(ref Ref, o metav1.Object, wanted *int32, running int32) {
		ref.Replicas = 1 // what the API server takes nothing for
		if wanted != nil {
			ref.Replicas = *wanted
		}
		out = append(out, workload{Ref: ref, labels: o.GetLabels(), running: running > 0, before: o.GetAnnotations()[AnnotationReplicas]})
	}
	for i := range c.Deployments {
		d := &c.Deployments[i]
		add(refTo(kindDeployment, d), d, d.Spec.Replicas, d.Status.Replicas)
	}
	for i := range c.StatefulSets {
		s := &c.StatefulSets[i]
		add(refTo(kindStatefulSet, s), s, s.Spec.Replicas, s.Status.Replicas)
	}
	return out
}

// release deletes what holds an address outside of the cluster.
func release(c Contents, newest time.Time) Step {
	var step Step
	for _, held := range addresses(c) {
		step.add(held.Ref, held.meta, newest)
	}
	return step
}

// add an object that has to go, unless it is too new.
func (s *Step) add(ref Ref, o metav1.Object, newest time.Time) {
	switch {
	case o.GetCreationTimestamp().After(newest):
	case o.GetDeletionTimestamp() == nil:
		s.Delete = append(s.Delete, ref)
	default:
		s.Awaited = append(s.Awaited, ref)
	}
}

// empty deletes claims whose volumes go with them, and what uses them.
func empty(c Contents, newest time.Time) Step {
	var step Step
	gone := map[types.NamespacedName]bool{}
	for _, claim := range disposable(c) {
		step.add(refTo(kindClaim, claim), claim, newest)
		if !claim.CreationTimestamp.After(newest) {
			gone[types.NamespacedName{Namespace: claim.Namespace, Name: claim.Name}] = true
		}
	}
	for i := range c.Volumes {
		// A claim is gone before its volume is.
		v := &c.Volumes[i]
		if handle(v) != "" && (v.DeletionTimestamp != nil || v.Status.Phase == corev1.VolumeReleased && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete) {
			step.Awaited = append(step.Awaited, refTo(kindVolume, v))
		}
	}
	if len(step.Delete) > 0 {
		return step // the claims first: no new pod is scheduled that uses one that goes
	}
	using, owners := users(c, gone)
	step.Stop, step.Delete = owners, using
	return step
}

// users of claims: the pods that run, and the workloads that would make them again.
func users(c Contents, claims map[types.NamespacedName]bool) (pods, owners []Ref) {
	byUID := map[types.UID]workload{}
	for _, w := range workloads(c) {
		byUID[w.UID] = w
	}
	parent := map[types.UID]types.UID{}
	for i := range c.ReplicaSets {
		if owner := metav1.GetControllerOf(&c.ReplicaSets[i]); owner != nil {
			parent[c.ReplicaSets[i].UID] = owner.UID
		}
	}
	stopped := map[types.UID]bool{}
	for i := range c.Pods {
		pod := &c.Pods[i]
		if !uses(pod, claims) || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		var owner workload
		if o := metav1.GetControllerOf(pod); o != nil {
			owner = byUID[o.UID]
			if up, ok := parent[o.UID]; ok {
				owner = byUID[up]
			}
		}
		switch {
		case owner.UID != "" && owner.Replicas > 0 && !stopped[owner.UID]:
			stopped[owner.UID] = true
			owners = append(owners, owner.Ref)
		case owner.UID == "" && pod.DeletionTimestamp == nil && pod.Spec.NodeName != "":
			pods = append(pods, refTo(kindPod, pod))
		}
	}
	return pods, owners
}

func uses(pod *corev1.Pod, claims map[types.NamespacedName]bool) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
		switch {
		case v.PersistentVolumeClaim != nil:
			return claims[types.NamespacedName{Namespace: pod.Namespace, Name: v.PersistentVolumeClaim.ClaimName}]
		case v.Ephemeral != nil:
			return claims[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name + "-" + v.Name}]
		}
		return false
	})
}

// disposable claims are bound to volumes outside of the cluster that are deleted with them.
// A volume on a node goes with the node.
func disposable(c Contents) []*corev1.PersistentVolumeClaim {
	deleted := map[types.UID]bool{}
	for i := range c.Volumes {
		v := &c.Volumes[i]
		if v.Spec.ClaimRef != nil && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete && handle(v) != "" {
			deleted[v.Spec.ClaimRef.UID] = true
		}
	}
	var out []*corev1.PersistentVolumeClaim
	for i := range c.Claims {
		if deleted[c.Claims[i].UID] {
			out = append(out, &c.Claims[i])
		}
	}
	return out
}

// waiting says in words what a step waits for.
func (s Step) waiting() string {
	awaited := slices.Concat(s.Awaited, s.Delete, s.Stop)
	slices.SortFunc(awaited, func(a, b Ref) int { return cmp.Compare(a.String(), b.String()) })
	const enough = 3
	var names []string
	for _, ref := range awaited[:min(len(awaited), enough)] {
		if ref.Kind == kindDeployment || ref.Kind == kindStatefulSet {
			names = append(names, ref.String()+" to stop")
		} else {
			names = append(names, ref.String()+" to be released")
		}
	}
	if len(awaited) > enough {
		names = append(names, fmt.Sprintf("%d more", len(awaited)-enough))
	}
	return strings.Join(names, ", ")
}
