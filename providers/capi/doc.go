// Package capi makes, watches and deletes workload clusters through Cluster API, on
// any management cluster and with any infrastructure provider.
//
// The contract that a recovery run relies on:
//
//   - Everything is addressed by name and UID. An object of the right name with
//     another UID is another thing, reported as IdentityChangedError.
//   - Nothing is adopted silently. Every object that Create makes carries the run
//     that ordered it (AnnotationRun); an object of another run, or of nobody, is a
//     ForeignError and stays untouched.
//   - Create and Delete may be repeated after any crash. They return nil when what
//     they are for is already so.
//   - Delete removes the Cluster and nothing else; Cluster API takes down what
//     belongs to it in the right order. It is the only function of Refloat that
//     deletes a Cluster.
//   - Waiting is the caller's: Observe, Contents and Probe look once and return.
//   - An error that is none of the types of this package comes from the management
//     API or the network, says nothing about the cluster, and may be retried.
package capi

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// AnnotationRun holds the UID of the run that made or last claimed an object.
	AnnotationRun = "refloat.dev/run"
	// AnnotationEpoch holds the epoch of that run when it did; see Stamp.
	AnnotationEpoch = "refloat.dev/epoch"
	// AnnotationAdopt set to "true" on a Cluster that Refloat did not make lets a run
	// delete it.
	AnnotationAdopt = "refloat.dev/adopt"
	// AnnotationServing holds, on a Cluster that took part in a failover, the epoch of the
	// serving record.
	AnnotationServing = "refloat.dev/serving-epoch"
	// AnnotationServes says whether the Cluster serves since that epoch.
	AnnotationServes = "refloat.dev/serves"
	// LabelCluster holds the name of the Cluster that an object was created with.
	LabelCluster = "refloat.dev/cluster"
	// GateCondition is what Refloat sets on a Cluster once the state of the repository
	// is applied and verified; it may be named in spec.availabilityGates.
	GateCondition = "refloat.dev/GitStateApplied"
	// LabelSimulated on the kube-system namespace of a workload cluster, set to
	// "true", says that no container runs there.
	LabelSimulated = "refloat.dev/simulated"
)

// Clusters is the access to one management cluster.
type Clusters struct {
	// Client creates and changes objects, and reads the kubeconfigs of clusters. Its
	// RESTMapper answers which kinds exist. Like the others it must not read from a
	// cache.
	Client client.Client
	// Reader reads from the API server, never from a cache: what it says decides
	// about deletion.
	Reader client.Reader
	// Destroyer is the only one that deletes, and that claims what is to be deleted; it
	// lists what belongs to a cluster. Without it nothing is ever deleted.
	Destroyer client.Client
	// Clock for the times written into conditions.
	Clock clock.PassiveClock
	// Endpoint of the management API server, as in rest.Config.Host. A workload
	// cluster with the same endpoint is refused. May be empty.
	Endpoint string
	// CA is the PEM bundle that the management API server is checked by, as in
	// rest.Config.CAData; see RefuseManagement. May be empty.
	CA []byte
}

// Stamp says who acts on an object.
type Stamp struct {
	// Run is the UID of the RecoveryRun.
	Run types.UID
	// Epoch rises each time another controller process takes the run over. A process
	// that meets a higher epoch of its own run was deposed and must stop.
	Epoch int64
}

// Incarnation is one life of a cluster name.
type Incarnation struct {
	Namespace, Name string
	UID             types.UID
}

// String is how messages name it.
func (i Incarnation) String() string { return i.Namespace + "/" + i.Name }

// inClusterAPI tells whether a group belongs to Cluster API or one of its providers.
func inClusterAPI(group string) bool {
	return group == clusterv1.GroupVersion.Group || strings.HasSuffix(group, "."+clusterv1.GroupVersion.Group)
}
