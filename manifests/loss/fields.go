package loss

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// changed judges an object of the repository whose live fields differ.
func (j *judge) changed(f verify.Finding) (Item, bool) {
	item := Item{What: Fields, ID: f.ID, Class: Lost, Origin: f.Origin.String(), Reason: "its live fields are not in the repository"}
	l := j.byID[f.ID]
	if l != nil {
		item.UID = string(l.UID)
		if l.Deleting {
			return item, false
		}
	}
	if f.Incomparable {
		item.Reason = "it could not be compared with the repository"
		item.Fields = j.foreign(f.Changes)
		return item, true
	}
	if item.Fields = j.foreign(f.Changes); len(item.Fields) == 0 {
		return item, false
	}
	item.By = lastOf(item.Fields)
	if l != nil {
		item.Class, item.Reason = j.orDisposable(l, item.Reason)
	}
	return item, true
}

// foreign are the live values that somebody else than the repository's own appliers and
// Kubernetes set. What is only missing comes back, and so does what a newer commit says
// otherwise.
func (j *judge) foreign(changes []verify.Change) []Field {
	var out []Field
	for _, c := range changes {
		w := verify.Writer{Manager: c.Manager, Time: c.Time}
		if c.Manager == "" || j.ours(c.Manager) || w.Kubernetes() || ofThisCluster(c.Path) {
			continue
		}
		out = append(out, Field{Path: c.Path, InGit: c.Rendered, Live: c.Live, By: writer(w)})
	}
	return out
}

// ours are the managers under which the repository's objects and what goes with them are
// written: a drain that was given up leaves its marks, and no run has to save those.
func (j *judge) ours(manager string) bool {
	return slices.Contains(j.Managers, manager) || strings.HasPrefix(manager, manifests.FieldManager+"-")
}

// ofThisCluster are paths whose values mean nothing on another cluster.
func ofThisCluster(path string) bool {
	return strings.HasPrefix(path, "metadata.ownerReferences") || strings.HasPrefix(path, "metadata.finalizers")
}

// passing fields are set for the moment, while a node is drained or a workload restarted.
var passing = []string{
	"spec.unschedulable", "spec.taints",
	`spec.template.metadata.annotations["kubectl.kubernetes.io/restartedAt"]`,
}

// handMade lists what a person put into an object that somebody else makes again. Nodes
// go with the cluster and come back as others, and so does what lasts no longer than its
// owner's next change.
func handMade(l *verify.Live) []Field {
	owned := l.Class == verify.Derived && len(l.Owners) > 0
	if l.Class != verify.System && l.Class != verify.Expected && !owned || shortLived[l.ID.GroupKind().String()] {
		return nil
	}
	out := unrecorded(l)
	for _, f := range l.HandFields() {
		if brought(l) && installs(f.By) || slices.Contains(passing, f.Path) || ofThisCluster(f.Path) {
			continue
		}
		out = append(out, Field{Path: f.Path, By: writer(f.By)})
	}
	return out
}

// unrecorded are fields of a namespace's default account. It is made with nothing but a
// name, and the API server keeps no record of who changes such an object.
func unrecorded(l *verify.Live) []Field {
	if l.Reason != verify.BornWithNamespace || l.ID.Kind != "ServiceAccount" || l.Object == nil || len(l.Writers) > 0 {
		return nil
	}
	var out []Field
	for _, path := range [][]string{{"automountServiceAccountToken"}, {"imagePullSecrets"}, {"metadata", "annotations"}, {"metadata", "labels"}} {
		if _, set, _ := unstructured.NestedFieldNoCopy(l.Object.Object, path...); set {
			out = append(out, Field{Path: strings.Join(path, ".")})
		}
	}
	return out
}

// shortLived kinds are replaced all the time.
var shortLived = map[string]bool{
	"Node": true, "Pod": true, "Endpoints": true, "EndpointSlice.discovery.k8s.io": true,
	"ReplicaSet.apps": true, "ControllerRevision.apps": true, "Job.batch": true,
}

// brought objects came with the cluster: whoever installed it wrote them with tools that
// people use, too, so that only later edits tell of a person.
func brought(l *verify.Live) bool {
	return l.Class == verify.System && l.Reason != verify.BornWithNamespace
}

// installs tells whether a manager is one under which add-ons are installed, too.
func installs(w verify.Writer) bool {
	switch w.Manager {
	case "kubectl", "kubectl-create", "kubectl-client-side-apply", "kubectl-replace", "oc", "curl":
		return true
	}
	return false
}

func writer(w verify.Writer) Writer {
	out := Writer{Manager: w.Manager, Operation: w.Operation, Person: w.ByHand()}
	if !w.Time.IsZero() {
		at := w.Time.UTC()
		out.Time = &at
	}
	return out
}

// last of those who wrote; parts of Kubernetes only where nobody else did.
func last(writers []verify.Writer) Writer {
	others := slices.DeleteFunc(slices.Clone(writers), verify.Writer.Kubernetes)
	if len(others) > 0 {
		writers = others
	}
	if len(writers) == 0 {
		return Writer{}
	}
	return writer(slices.MaxFunc(writers, func(a, b verify.Writer) int { return a.Time.Compare(b.Time) }))
}

func lastOf(fields []Field) Writer {
	if len(fields) == 0 {
		return Writer{}
	}
	return slices.MaxFunc(fields, func(a, b Field) int { return timeOf(a.By).Compare(timeOf(b.By)) }).By
}

func timeOf(w Writer) time.Time {
	if w.Time == nil {
		return time.Time{}
	}
	return *w.Time
}

// namespaced tells the namespace that a pattern or backup sees: an object of the whole
// cluster has none, and a Namespace is in itself.
func namespaced(id manifests.ID) string {
	if id.GroupKind().String() == "Namespace" {
		return id.Name
	}
	return id.Namespace
}
