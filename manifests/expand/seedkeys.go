package expand

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/sops"
)

// willing opens what one of its keys opens, and leaves the rest as it is: a unit that renders
// the same file may have the key. What is left in the end is an error, see opened.
type willing struct{ keys []render.Decrypter }

// withKeysOf all Secrets among the seeds, each by itself: one that holds a broken key of
// somebody else does not keep the others from being used.
func withKeysOf(seeds []Seed) willing {
	var w willing
	for _, s := range seeds {
		if s.Kind != "Secret" {
			continue
		}
		if keys, err := sops.ReadKeys(s.Data); err == nil && len(keys.Names()) > 0 {
			w.keys = append(w.keys, keys)
		}
	}
	return w
}

// Object implements render.Decrypter.
func (w willing) Object(u *unstructured.Unstructured) (bool, error) {
	if u.Object["sops"] == nil && u.GetKind() != "Secret" {
		return false, nil
	}
	for _, k := range w.keys {
		try := u.DeepCopy()
		if changed, err := k.Object(try); err == nil && changed {
			u.Object = try.Object
			return true, nil
		}
	}
	return false, nil
}

// File implements render.Decrypter.
func (w willing) File(name string, content []byte) ([]byte, bool, error) {
	for _, k := range w.keys {
		if plain, changed, err := k.File(name, content); err == nil && changed {
			return plain, true, nil
		}
	}
	return content, false, nil
}
