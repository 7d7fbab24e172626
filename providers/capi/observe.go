package capi

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Observation is what the management cluster says about one cluster name, read once.
type Observation struct {
	// Exists is false when there is no Cluster of the name; then all else is empty.
	Exists bool
	Incarnation
	CreatedAt time.Time
	// Generation counts the changes of the spec.
	Generation int64
	// DeletingSince is when the deletion was asked for; zero when it was not.
	DeletingSince time.Time
	// Stamp of the run that made or last claimed the Cluster; zero when nobody of Refloat did.
	Stamp Stamp
	// Adoptable is true when a user handed a Cluster over that Refloat did not make.
	Adoptable bool
	Paused    bool
	// Phase is Cluster API's summary for people; nothing may be decided by it.
	Phase string
	// Endpoint of the API server, host:port; empty when it is not known yet.
	Endpoint   string
	Conditions []metav1.Condition
	// Gated is true when Available waits for Refloat itself (GateCondition is among the
	// availabilityGates), so that it cannot be waited for before the state is applied.
	Gated bool
	// Initialized is true once Cluster API says that the infrastructure was provisioned
	// and the control plane answered for the first time.
	Initialized bool
	// Serves is true of a Cluster that serves since a failover or a failback.
	Serves bool
	// Kubeconfig tells whether the Secret with the kubeconfig is there.
	Kubeconfig bool

	// gates that Available waits for, and whether a topology controller has a part in it.
	gates    []clusterv1.ClusterAvailabilityGate
	topology bool
}

// Observe reads one cluster uncached. A cluster that does not exist is no error.
func (c *Clusters) Observe(ctx context.Context, namespace, name string) (Observation, error) {
	cluster := &clusterv1.Cluster{}
	err := c.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, cluster)
	if apierrors.IsNotFound(err) {
		return Observation{Incarnation: Incarnation{Namespace: namespace, Name: name}}, nil
	}
	if err != nil {
		return Observation{}, fmt.Errorf("read Cluster %s/%s: %w", namespace, name, err)
	}
	stamp, _ := stampOf(cluster.Annotations)
	obs := Observation{
		Exists:      true,
		Incarnation: Incarnation{Namespace: namespace, Name: name, UID: cluster.UID},
		CreatedAt:   cluster.CreationTimestamp.Time,
		Generation:  cluster.Generation,
		Stamp:       stamp,
		Adoptable:   cluster.Annotations[AnnotationAdopt] == "true",
		Paused:      cluster.Spec.Paused != nil && *cluster.Spec.Paused || hasKey(cluster.Annotations, clusterv1.PausedAnnotation),
		Serves:      cluster.Annotations[AnnotationServes] == "true",
		Phase:       cluster.Status.Phase,
		Conditions:  cluster.Status.Conditions,
		Initialized: ptr.Deref(cluster.Status.Initialization.InfrastructureProvisioned, false) &&
			ptr.Deref(cluster.Status.Initialization.ControlPlaneInitialized, false),
	}
	if obs.gates, err = c.gates(ctx, cluster); err != nil {
		return Observation{}, err
	}
	for _, gate := range obs.gates {
		obs.Gated = obs.Gated || gate.ConditionType == GateCondition
	}
	obs.topology = cluster.Spec.Topology.IsDefined()
	if cluster.DeletionTimestamp != nil {
		obs.DeletingSince = cluster.DeletionTimestamp.Time
	}
	if e := cluster.Spec.ControlPlaneEndpoint; e.Host != "" {
		obs.Endpoint = net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	}
	obs.Kubeconfig, err = c.hasKubeconfig(ctx, namespace, name)
	return obs, err
}

func (c *Clusters) hasKubeconfig(ctx context.Context, namespace, name string) (bool, error) {
	key := types.NamespacedName{Namespace: namespace, Name: secret.Name(name, secret.Kubeconfig)}
	about := &metav1.PartialObjectMetadata{}
	about.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := c.Reader.Get(ctx, key, about)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("look for Secret %s: %w", key, err)
	}
	return err == nil, nil
}

// Serving tells whether Cluster API says that there is a control plane to talk to; if
// not, why. Workers may still come up, and may even need what is applied next: a pod
// network. It is necessary, not sufficient: see Probe.
func (o Observation) Serving() (bool, string) {
	if why := o.notWorkedOn(); why != "" {
		return false, why
	}
	if !o.Initialized {
		return false, fmt.Sprintf("the control plane of Cluster %s%s", o.Incarnation, o.heldUpBy(
			clusterv1.ClusterInfrastructureReadyCondition, clusterv1.ClusterControlPlaneInitializedCondition, clusterv1.ClusterAvailableCondition))
	}
	if !o.Kubeconfig {
		return false, o.kubeconfigSecret()
	}
	return true, ""
}

// notWorkedOn tells why Cluster API does nothing for the Cluster; empty when it does.
func (o Observation) notWorkedOn() string {
	if !o.Exists {
		return fmt.Sprintf("Cluster %s does not exist", o.Incarnation)
	}
	if o.Paused {
		return fmt.Sprintf("Cluster %s is paused, so Cluster API does not work on it", o.Incarnation)
	}
	return ""
}

// heldUpBy shows the first of the conditions that is not True, as people read it.
func (o Observation) heldUpBy(kinds ...string) string {
	for _, kind := range kinds {
		c := meta.FindStatusCondition(o.Conditions, kind)
		if c != nil && c.Status != metav1.ConditionTrue {
			return fmt.Sprintf(" (%s is %s: %s: %s)", c.Type, c.Status, c.Reason, oneLine(c.Message))
		}
	}
	return ""
}

func (o Observation) kubeconfigSecret() string {
	return fmt.Sprintf("Secret %s/%s", o.Namespace, secret.Name(o.Name, secret.Kubeconfig))
}

// Available tells whether Cluster API says that the cluster, as its spec is now, is
// available; if not, why. It is necessary, not sufficient: see Probe.
func (o Observation) Available() (bool, string) {
	if why := o.notWorkedOn(); why != "" {
		return false, why
	}
	available := meta.FindStatusCondition(o.Conditions, clusterv1.ClusterAvailableCondition)
	switch {
	case available == nil:
		return false, fmt.Sprintf("Cluster API to report on Cluster %s", o.Incarnation)
	case available.ObservedGeneration != o.Generation:
		return false, fmt.Sprintf("Cluster API to report on generation %d of Cluster %s", o.Generation, o.Incarnation)
	case available.Status != metav1.ConditionTrue && o.Gated && o.availableButForUs():
	case available.Status != metav1.ConditionTrue:
		return false, fmt.Sprintf("Cluster %s to be Available (%s: %s)", o.Incarnation, available.Reason, oneLine(available.Message))
	}
	if !o.Kubeconfig {
		return false, o.kubeconfigSecret()
	}
	return true, ""
}

// availableButForUs looks at what Cluster API itself folds into Available, and at the
// gates of others.
func (o Observation) availableButForUs() bool {
	parts := []string{
		clusterv1.ClusterRemoteConnectionProbeCondition, clusterv1.ClusterInfrastructureReadyCondition,
		clusterv1.ClusterControlPlaneAvailableCondition, clusterv1.ClusterWorkersAvailableCondition,
	}
	if o.topology {
		parts = append(parts, clusterv1.ClusterTopologyReconciledCondition)
	}
	for _, part := range parts {
		if !meta.IsStatusConditionTrue(o.Conditions, part) {
			return false
		}
	}
	for _, gate := range o.gates {
		normal := metav1.ConditionTrue
		if gate.Polarity == clusterv1.NegativePolarityCondition {
			normal = metav1.ConditionFalse
		}
		if gate.ConditionType != GateCondition && !meta.IsStatusConditionPresentAndEqual(o.Conditions, gate.ConditionType, normal) {
			return false
		}
	}
	return true
}

// gates of the Cluster, else of its class, as Cluster API has it.
func (c *Clusters) gates(ctx context.Context, cluster *clusterv1.Cluster) ([]clusterv1.ClusterAvailabilityGate, error) {
	topology := cluster.Spec.Topology
	if len(cluster.Spec.AvailabilityGates) > 0 || !topology.IsDefined() || topology.ClassRef.Name == "" {
		return cluster.Spec.AvailabilityGates, nil
	}
	key := types.NamespacedName{Namespace: cmp.Or(topology.ClassRef.Namespace, cluster.Namespace), Name: topology.ClassRef.Name}
	class := &clusterv1.ClusterClass{}
	err := c.Reader.Get(ctx, key, class)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil // Cluster API says in its own conditions what it lacks
	}
	if err != nil {
		return nil, fmt.Errorf("read ClusterClass %s: %w", key, err)
	}
	return class.Spec.AvailabilityGates, nil
}

// MarkApplied sets a condition of Refloat on the Cluster, so that its
// availabilityGates can count it in. Cluster API preserves conditions of others.
func (c *Clusters) MarkApplied(ctx context.Context, inc Incarnation, condition metav1.Condition) error {
	for range attempts {
		cluster := &clusterv1.Cluster{}
		err := c.Reader.Get(ctx, types.NamespacedName{Namespace: inc.Namespace, Name: inc.Name}, cluster)
		if err != nil {
			return ifGone(err, inc, "read")
		}
		if cluster.UID != inc.UID {
			return &IdentityChangedError{Object: "Cluster " + inc.String(), Want: inc.UID, Got: cluster.UID}
		}
		before := cluster.DeepCopy()
		condition.ObservedGeneration = cluster.Generation
		condition.LastTransitionTime = metav1.NewTime(c.Clock.Now())
		if !meta.SetStatusCondition(&cluster.Status.Conditions, condition) {
			return nil
		}
		err = c.Client.Status().Patch(ctx, cluster, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return ifGone(err, inc, "mark")
		}
	}
	return &NotReadyError{Reason: "Conflict", Message: fmt.Sprintf("Cluster %s changed %d times while its condition was being set", inc, attempts)}
}

func hasKey(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}
