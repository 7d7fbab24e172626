package order

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// item is one object with what is read from it more than once.
type item struct {
	manifests.Object
	id     manifests.ID
	gvk    schema.GroupVersionKind
	labels map[string]string
}

// where names the object and its place in the repository.
func (i item) where() string {
	if at := i.Origin.String(); at != "" {
		return i.id.String() + " (" + at + ")"
	}
	return i.id.String()
}

// set is the rendered state, indexed so that no rule scans it twice.
type set struct {
	items       []item
	byID        map[manifests.ID]int
	byKind      map[schema.GroupKind][]int
	definitions map[schema.GroupKind]definition
	aggregated  map[schema.GroupVersion]int // the APIService
	units       *units
	// copies are items that a unit holds too, although another one was chosen for them.
	copies map[string][]int
	// leftOut are never written.
	leftOut  []manifests.Object
	warnings []string
}

// definition is what a CustomResourceDefinition of the set says.
type definition struct {
	index      int
	plural     string
	namespaced bool
	served     []string
	storage    string
	// made is true for a kind that an operator makes once it has seen the object.
	made bool
}

var (
	definitionKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	apiServiceKind = schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}
	namespaceKind  = schema.GroupKind{Kind: "Namespace"}
	mutatingKind   = schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}
	validatingKind = schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}
)

// index sorts the objects by rank and ID, which makes everything after it independent
// of the sequence in which they were rendered.
func index(objects []manifests.Object, known *units) (*set, []error) {
	s := &set{
		items:       make([]item, 0, len(objects)),
		byID:        make(map[manifests.ID]int, len(objects)),
		byKind:      map[schema.GroupKind][]int{},
		definitions: map[schema.GroupKind]definition{},
		aggregated:  map[schema.GroupVersion]int{},
		units:       known,
		copies:      map[string][]int{},
	}
	sorted := make([]item, 0, len(objects))
	for _, o := range objects {
		switch {
		case o.Unstructured == nil:
		case o.Rules != nil && o.Rules.Write == manifests.WriteNever:
			s.leftOut = append(s.leftOut, o)
		default:
			o = manifests.Named(o)
			sorted = append(sorted, item{Object: o, id: o.ID(), gvk: o.GroupVersionKind(), labels: o.GetLabels()})
		}
	}
	slices.SortStableFunc(sorted, s.compareItems)
	slices.SortStableFunc(s.leftOut, func(a, b manifests.Object) int { return a.ID().Compare(b.ID()) })
	var faults []error
	for _, it := range sorted {
		if fault := s.add(it); fault != nil {
			faults = append(faults, fault)
		}
	}
	for _, i := range s.byKind[definitionKind] {
		s.define(i)
	}
	for i := range s.items {
		for _, k := range manifests.KindsMadeFrom(s.items[i].Unstructured) {
			if _, taken := s.definitions[k.GroupKind]; !taken {
				s.definitions[k.GroupKind] = definition{index: i, plural: k.Plural, namespaced: k.Namespaced, served: k.Versions, made: true}
			}
		}
	}
	for _, i := range s.byKind[apiServiceKind] {
		u := s.items[i].Unstructured
		if backend := field(u.Object, "spec", "service"); backend != nil {
			s.aggregated[schema.GroupVersion{Group: str(u.Object, "spec", "group"), Version: str(u.Object, "spec", "version")}] = i
		}
	}
	return s, faults
}

// compareItems puts of two equal objects that of the earlier unit first, which is then
// the one that is kept.
func (s *set) compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(rank(a.id.GroupKind()), rank(b.id.GroupKind())), a.id.Compare(b.id),
		cmp.Compare(s.units.rank(a.Origin.Unit), s.units.rank(b.Origin.Unit)),
		cmp.Compare(a.Origin.Unit, b.Origin.Unit), cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line))
}

// add refuses a second, different object of the same ID; an identical one is dropped.
func (s *set) add(it item) error {
	if first, ok := s.byID[it.id]; ok {
		if reflect.DeepEqual(s.items[first].Object.Unstructured.Object, it.Unstructured.Object) {
			s.warnings = append(s.warnings, fmt.Sprintf("%s is written twice, identically: in %s and in %s", it.id, s.items[first].Origin, it.Origin))
			if unit := it.Origin.Unit; unit != s.items[first].Origin.Unit {
				s.copies[unit] = append(s.copies[unit], first)
			}
			return nil
		}
		return fmt.Errorf("%s is written twice, differently: in %s and in %s; keep one of them", it.id, s.items[first].Origin, it.Origin)
	}
	i := len(s.items)
	s.items = append(s.items, it)
	s.byID[it.id] = i
	gk := it.id.GroupKind()
	s.byKind[gk] = append(s.byKind[gk], i)
	return nil
}

func (s *set) define(i int) {
	spec, _ := field(s.items[i].Unstructured.Object, "spec").(map[string]any)
	d := definition{index: i, plural: str(spec, "names", "plural"), namespaced: str(spec, "scope") == "Namespaced"}
	for _, v := range list(spec, "versions") {
		if served, _ := v["served"].(bool); served {
			d.served = append(d.served, str(v, "name"))
		}
		if storage, _ := v["storage"].(bool); storage {
			d.storage = str(v, "name")
		}
	}
	gk := schema.GroupKind{Group: str(spec, "group"), Kind: str(spec, "names", "kind")}
	if _, taken := s.definitions[gk]; !taken {
		s.definitions[gk] = d
	}
}

// resource is the plural of a kind as it appears in request paths; "" if unknown.
func (s *set) resource(gk schema.GroupKind) string {
	if k := builtin.Lookup(gk); k != nil {
		return k.Resource
	}
	return s.definitions[gk].plural
}

// find an object; -1 if the set has none of this ID.
func (s *set) find(gk schema.GroupKind, namespace, name string) int {
	if i, ok := s.byID[manifests.ID{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: name}]; ok {
		return i
	}
	return -1
}

// field reads a path of maps; nil if any part of it is absent or of another type.
func field(m map[string]any, path ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(m, path...)
	return v
}

func str(m map[string]any, path ...string) string {
	s, _ := field(m, path...).(string)
	return s
}

// list reads a list of maps, leaving out elements of any other type.
func list(m map[string]any, path ...string) []map[string]any {
	elements, _ := field(m, path...).([]any)
	out := make([]map[string]any, 0, len(elements))
	for _, e := range elements {
		if v, ok := e.(map[string]any); ok {
			out = append(out, v)
		}
	}
	return out
}

// texts reads a list of strings.
func texts(m map[string]any, path ...string) []string {
	elements, _ := field(m, path...).([]any)
	out := make([]string, 0, len(elements))
	for _, e := range elements {
		if v, ok := e.(string); ok {
			out = append(out, v)
		}
	}
	return out
}
