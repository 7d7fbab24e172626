package expand

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// state is what is known while definitions are expanded: for each ID the rendering that
// counts so far. It implements flux.State.
type state struct {
	objects map[manifests.ID]entry
	kinds   map[schema.GroupKind]map[manifests.ID]bool
	scopes  map[schema.GroupKind]bool   // of CustomResourceDefinitions: namespaced
	digests map[schema.GroupKind]string // of lists, as far as they were asked for
}

// entry is an object and when its unit was expanded; 0 for state paths.
type entry struct {
	object manifests.Object
	turn   int
}

func newState() *state {
	return &state{objects: map[manifests.ID]entry{}, kinds: map[schema.GroupKind]map[manifests.ID]bool{}, scopes: map[schema.GroupKind]bool{}, digests: map[schema.GroupKind]string{}}
}

// Get implements flux.State.
func (s *state) Get(id manifests.ID) (manifests.Object, bool) {
	e, ok := s.objects[id]
	return e.object, ok
}

// List implements flux.State.
func (s *state) List(gk schema.GroupKind) []manifests.Object {
	var all []manifests.Object
	for _, id := range slices.SortedFunc(maps.Keys(s.kinds[gk]), manifests.ID.Compare) {
		all = append(all, s.objects[id].object)
	}
	return all
}

// add takes an object in. What a tool renders counts before what lies in a state path,
// and among tools the one that came first.
func (s *state) add(o manifests.Object, turn int) {
	id := o.ID()
	if was, ok := s.objects[id]; ok && (was.turn != 0 || turn == 0) && was.turn <= turn {
		return
	}
	s.objects[id] = entry{o, turn}
	gk := id.GroupKind()
	delete(s.digests, gk)
	if s.kinds[gk] == nil {
		s.kinds[gk] = map[manifests.ID]bool{}
	}
	s.kinds[gk][id] = true
	s.define(o)
}

var crdKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// define notes the scope of the kinds that an object brings.
func (s *state) define(o manifests.Object) {
	for _, k := range manifests.KindsMadeFrom(o.Unstructured) {
		s.scopes[k.GroupKind] = k.Namespaced
	}
	if o.ID().GroupKind() != crdKind {
		return
	}
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
	scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
	s.scopes[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
}

// namespaced says whether objects of a kind live in namespaces; false for kinds that
// are not known.
func (s *state) namespaced(gk schema.GroupKind) bool {
	if k := builtin.Lookup(gk); k != nil {
		return k.Namespaced
	}
	return s.scopes[gk]
}

// installed says whether the state itself brings a kind.
func (s *state) installed(gk schema.GroupKind) bool {
	_, ok := s.scopes[gk]
	return ok
}

// place gives objects of a unit the namespace that they are installed into.
func (s *state) place(objects []manifests.Object, namespace string) {
	if namespace == "" {
		return
	}
	for _, o := range objects {
		s.define(o)
	}
	for _, o := range objects {
		if o.GetNamespace() == "" && s.namespaced(o.ID().GroupKind()) {
			o.SetNamespace(namespace)
		}
	}
}

func dataObject(s Seed) *unstructured.Unstructured {
	plain, encoded := map[string]any{}, map[string]any{}
	for key, value := range s.Data {
		if s.Kind == "Secret" {
			encoded[key] = base64.StdEncoding.EncodeToString(value)
		} else {
			plain[key] = string(value)
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": s.Kind, "data": plain}}
	if s.Kind == "Secret" {
		u.Object["data"] = encoded
	}
	u.SetName(s.Name)
	u.SetNamespace(s.Namespace)
	u.SetLabels(s.Labels)
	u.SetAnnotations(s.Annotations)
	return u
}

// decoded is one value of a Secret.
func decoded(field string, value any) (string, bool) {
	text, ok := value.(string)
	if !ok || field != "data" {
		return text, ok
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	return string(plain), err == nil
}
