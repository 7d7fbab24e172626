package quarantine

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// Apply makes the objects of a drill from those of a state. The objects that are given
// stay as they are. An error is a *RefusedError.
func Apply(objects []manifests.Object, units []manifests.Unit, o Options) (*Result, error) {
	q := newQuarantine(objects, o)
	q.workloads()
	q.meshSeeds()
	if len(q.refusals) > 0 {
		return nil, &RefusedError{Refusals: q.refusals}
	}
	q.accounts()
	q.byKind()
	if len(q.refusals) > 0 {
		return nil, &RefusedError{Refusals: q.refusals}
	}
	q.unused()
	q.routes()
	q.storage()
	q.backends()
	q.unanswered()
	guards := q.guards()
	return q.result(q.unitsOf(units, len(guards) > 0), append(guards, q.egress()...)), nil
}

// fate of a workload.
type fate int

const (
	// runs as the repository has it: nothing speaks against it.
	runs fate = iota
	// allowed by the plan.
	allowed
	// serves the cluster itself, which cannot be without it.
	serves
	// disarmed runs without credentials.
	disarmed
	// stopped makes no pod.
	stopped
)

// quarantine is the work under way.
type quarantine struct {
	o       Options
	objects []manifests.Object
	// copied objects are ours to change.
	copied map[int]bool
	index  map[manifests.ID]int
	// gone objects are left out of the drill.
	gone     map[int]bool
	pods     []*workload
	changes  map[int][]Change
	refusals []Refusal
	warnings []string
	// still are the products of which a controller was stopped.
	still map[string]*product
	// defined kinds, and which CustomResourceDefinition of the state does it.
	defined map[schema.GroupKind]int
	// inNamespace are the workloads of each namespace.
	inNamespace map[string][]*workload
	// scalers are objects that give a workload its replicas.
	scalers []int
	// classes of Ingresses and of Gateways.
	classes []int
}

func newQuarantine(objects []manifests.Object, o Options) *quarantine {
	q := &quarantine{
		o: o, objects: slices.Clone(objects), copied: map[int]bool{}, gone: map[int]bool{}, index: map[manifests.ID]int{},
		changes: map[int][]Change{}, still: map[string]*product{}, defined: map[schema.GroupKind]int{}, inNamespace: map[string][]*workload{},
	}
	for i, obj := range q.objects {
		q.index[obj.ID()] = i
		if obj.ID().GroupKind() == definitionKind {
			q.defined[schema.GroupKind{Group: str(obj.Object, "spec", "group"), Kind: str(obj.Object, "spec", "names", "kind")}] = i
		}
		if kind := obj.GetKind(); kind == "HorizontalPodAutoscaler" || kind == "ScaledObject" {
			q.scalers = append(q.scalers, i)
		} else if kind == "IngressClass" || kind == "GatewayClass" {
			q.classes = append(q.classes, i)
		}
		if w := workloadOf(obj, i); w != nil {
			q.pods = append(q.pods, w)
			q.inNamespace[w.id.Namespace] = append(q.inNamespace[w.id.Namespace], w)
		}
	}
	return q
}

var definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// exception of the plan for an object; nil when there is none.
func (q *quarantine) exception(id manifests.ID) *Exception {
	for i := range q.o.Allow {
		if q.o.Allow[i].Matches(id) {
			return &q.o.Allow[i]
		}
	}
	return nil
}

// class that the plan gives an object; nil when it gives none.
func (q *quarantine) class(id manifests.ID) *Class {
	for i := range q.o.Neutralise {
		if q.o.Neutralise[i].Matches(id) {
			return &q.o.Neutralise[i]
		}
	}
	return nil
}

// unused patterns of the plan may be misspelt, and then something runs that should not.
func (q *quarantine) unused() {
	matches := func(p manifests.Pattern) bool {
		return slices.ContainsFunc(q.objects, func(o manifests.Object) bool { return p.Matches(o.ID()) })
	}
	for i, c := range q.o.Neutralise {
		if !matches(c.Pattern) {
			q.warnings = append(q.warnings, fmt.Sprintf("spec.drill.neutralise[%d] of the plan selects no object of the state", i))
		}
	}
	for i, e := range q.o.Allow {
		if !matches(e.Pattern) {
			q.warnings = append(q.warnings, fmt.Sprintf("spec.drill.allow[%d] of the plan selects no object of the state", i))
		}
	}
}

// edit gives an object that may be changed.
func (q *quarantine) edit(i int) map[string]any {
	if !q.copied[i] {
		q.objects[i].Unstructured = q.objects[i].DeepCopy()
		q.copied[i] = true
	}
	return q.objects[i].Object
}

// record a change of an object.
func (q *quarantine) record(i int, rule, change, why string) {
	o := q.objects[i]
	q.changes[i] = append(q.changes[i], Change{Object: o.ID(), Origin: o.Origin.String(), Rule: rule, Change: change, Why: why})
}

// omit leaves an object out.
func (q *quarantine) omit(i int, rule, why string) {
	if !q.gone[i] {
		q.gone[i] = true
		q.record(i, rule, "is left out", why)
	}
}

// set a field, and tell whether that changed anything. What is no mapping on the way is
// left to the API server to refuse.
func (q *quarantine) set(i int, value any, path ...string) bool {
	was, found, err := unstructured.NestedFieldNoCopy(q.objects[i].Object, path...)
	if err != nil || found && reflect.DeepEqual(was, value) {
		return false
	}
	at := q.edit(i)
	for _, field := range path[:len(path)-1] {
		if at[field] == nil { // also one that is written as null
			at[field] = map[string]any{}
		}
		next, ok := at[field].(map[string]any)
		if !ok {
			return false
		}
		at = next
	}
	at[path[len(path)-1]] = value
	return true
}

// drop a field, and tell whether there was one.
func (q *quarantine) drop(i int, path ...string) bool {
	_, found, err := unstructured.NestedFieldNoCopy(q.objects[i].Object, path...)
	if err != nil || !found {
		return false
	}
	unstructured.RemoveNestedField(q.edit(i), path...)
	return true
}

// annotate an object, and tell whether that changed anything.
func (q *quarantine) annotate(i int, key, value string) bool {
	return q.set(i, value, "metadata", "annotations", key)
}

// rules of an object that may be changed. With rules the annotation of its wave is no
// longer read, so what it says is kept.
func (q *quarantine) rules(i int) *manifests.Rules {
	if r := q.objects[i].Rules; r != nil {
		c := *r
		q.objects[i].Rules = &c
	} else {
		wave, _ := manifests.WaveOf(q.objects[i].Unstructured)
		q.objects[i].Rules = &manifests.Rules{Wave: wave}
	}
	return q.objects[i].Rules
}

// result puts together what is left, and what is added.
func (q *quarantine) result(units []manifests.Unit, extra []manifests.Object) *Result {
	r := &Result{Units: units, Warnings: q.warnings}
	q.unreferenced()
	for i, o := range q.objects {
		if !q.gone[i] {
			r.Objects = append(r.Objects, o)
		}
		r.Changes = append(r.Changes, q.changes[i]...)
	}
	for _, o := range extra {
		r.Objects = append(r.Objects, o)
		r.Changes = append(r.Changes, Change{Object: o.ID(), Rule: "Guard", Change: "is added", Why: purpose(o)})
	}
	slices.SortStableFunc(r.Objects, func(a, b manifests.Object) int {
		return cmp.Or(a.ID().Compare(b.ID()), cmp.Compare(a.GetAPIVersion(), b.GetAPIVersion()))
	})
	return r
}

// str is the text at a path; empty when there is none.
func str(m map[string]any, path ...string) string {
	s, _, _ := unstructured.NestedString(m, path...)
	return s
}

// mapping at a path; nil when there is none.
func mapping(m map[string]any, path ...string) map[string]any {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	out, _ := v.(map[string]any)
	return out
}

// list of mappings at a path.
func list(m map[string]any, path ...string) []map[string]any {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	items, _ := v.([]any)
	var out []map[string]any
	for _, item := range items {
		if entry, ok := item.(map[string]any); ok {
			out = append(out, entry)
		}
	}
	return out
}

// texts at a path, of a list or of a mapping's values.
func texts(m map[string]any, path ...string) []string {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	items, _ := v.([]any)
	var out []string
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// stringMap at a path.
func stringMap(m map[string]any, path ...string) map[string]string {
	out := map[string]string{}
	for k, v := range mapping(m, path...) {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
