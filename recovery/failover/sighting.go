package failover

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	// SightingFresh is how long a sighting counts after it was renewed.
	SightingFresh = 30 * time.Second
	// SightingEvery is how often an observer renews it.
	SightingEvery = 10 * time.Second

	annotationSees    = "refloat.dev/sees"
	annotationSince   = "refloat.dev/since"
	annotationMessage = "refloat.dev/message"
	annotationCluster = "refloat.dev/cluster-uid"
)

// SightingName is the Lease in which an observer says what it sees.
func SightingName(policy, observer string) string { return policy + "-seen-by-" + observer }

// WriteSighting into a Lease.
func WriteSighting(lease *coordinationv1.Lease, s Sighting, cluster types.UID, now time.Time) {
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[annotationSees] = string(s.State)
	lease.Annotations[annotationSince] = s.Since.UTC().Format(time.RFC3339Nano)
	lease.Annotations[annotationMessage] = Clip(s.Message)
	lease.Annotations[annotationCluster] = string(cluster)
	at := metav1.NewMicroTime(now)
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = &s.Observer, &at
	lease.Spec.LeaseDurationSeconds = ptr.To(int32(SightingFresh / time.Second))
}

// ReadSighting of an observer. One that is old, of the future, or about another incarnation,
// says nothing.
func ReadSighting(observer string, lease *coordinationv1.Lease, cluster types.UID, now time.Time) Sighting {
	s := Sighting{Observer: observer, State: v1alpha1.SignalUnknown, Message: "it said nothing lately"}
	about := lease.Annotations
	if lease.Spec.RenewTime == nil || now.Sub(lease.Spec.RenewTime.Time).Abs() > SightingFresh || about[annotationCluster] != string(cluster) {
		return s
	}
	switch state := v1alpha1.SignalState(about[annotationSees]); state {
	case v1alpha1.SignalHealthy, v1alpha1.SignalFailing, v1alpha1.SignalSilent:
		s.State, s.Message = state, Clip(about[annotationMessage])
	case v1alpha1.SignalUnknown:
		s.Message = Clip(about[annotationMessage])
	}
	if since, err := time.Parse(time.RFC3339Nano, about[annotationSince]); err == nil {
		s.Since = since
	}
	return s
}
