package expand

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// reads is a state that remembers what was looked up in it: what a unit reads may be
// rendered anew by another unit, and then the unit has to be rendered anew too. It
// implements flux.State.
type reads struct {
	state   *state
	objects map[manifests.ID]reading
	lists   map[schema.GroupKind]string // digests
}

// reading is what was found under an ID: nothing, when there is no object.
type reading struct {
	object *unstructured.Unstructured
	digest string
}

// Get implements flux.State.
func (r *reads) Get(id manifests.ID) (manifests.Object, bool) {
	o, ok := r.state.Get(id)
	r.objects[id] = readingOf(o, ok)
	return o, ok
}

// List implements flux.State. Kinds that the state installs are not an input like others:
// who asks for them says so.
func (r *reads) List(gk schema.GroupKind) []manifests.Object {
	all := r.state.List(gk)
	if gk != crdKind {
		r.lists[gk] = r.state.digest(gk)
	}
	return all
}

// changed names something that is not as it was read any more; "" when all is.
func (r *reads) changed(s *state) string {
	if r == nil {
		return ""
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.objects), manifests.ID.Compare) {
		was := r.objects[id]
		o, ok := s.Get(id)
		if ok && o.Unstructured == was.object {
			continue // nobody rendered it anew
		}
		if readingOf(o, ok).digest != was.digest {
			return id.String()
		}
	}
	for gk, was := range r.lists {
		if s.digest(gk) != was {
			return "the list of " + gk.String()
		}
	}
	return ""
}

// digest of all objects of a kind. It is asked for again and again while nothing changes.
func (s *state) digest(gk schema.GroupKind) string {
	known, ok := s.digests[gk]
	if !ok {
		known = digestOf(s.List(gk))
		s.digests[gk] = known
	}
	return known
}

func readingOf(o manifests.Object, ok bool) reading {
	if !ok {
		return reading{}
	}
	return reading{o.Unstructured, digestOf([]manifests.Object{o})}
}

// digestOf what a unit can make of objects: what they say, and in which file. Labels of
// the unit that they belong to are no part of it.
func digestOf(objects []manifests.Object) string {
	h := sha256.New()
	for _, o := range objects {
		content := map[string]any{}
		for _, field := range []string{"spec", "data", "stringData", "binaryData", "sops"} {
			if v, ok := o.Object[field]; ok {
				content[field] = v
			}
		}
		text, err := json.Marshal(content)
		if err != nil {
			text = []byte(err.Error()) // of content that no API takes
		}
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d:%s", o.ID(), o.GetAPIVersion(), o.Origin.File, len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}
