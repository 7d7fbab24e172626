package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// SyncWave is the annotation by which an object of a plain path says its wave. Who
// gives an object Rules says it there.
const SyncWave = "argocd.argoproj.io/sync-wave"

// WaveOf an object without Rules. Like Argo CD it takes what is no whole number for
// 0; the error says so.
func WaveOf(u *unstructured.Unstructured) (int, error) {
	text, ok := u.GetAnnotations()[SyncWave]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("sync-wave %q is not a whole number and counts as 0", text)
	}
	return n, nil
}

// longestPrefix of a generated name leaves room for the hash within the 63 characters
// that the names of most kinds may have.
const longestPrefix = 63 - hashLength

const hashLength = 8

// Named gives a hook with a generateName a name that follows from its content. So one
// rendering makes one object, however often it is applied, and a run that continues
// finds what it made before. Every other object comes back as it is.
func Named(o Object) Object {
	if o.Rules == nil || o.Rules.Hook == nil || o.GetName() != "" || o.GetGenerateName() == "" {
		return o
	}
	content, err := json.Marshal(o.Unstructured.Object)
	if err != nil {
		return o // no object that the API takes; whoever sends it says why
	}
	sum := sha256.Sum256(content)
	prefix := o.GetGenerateName()
	named := o.DeepCopy()
	named.SetName(prefix[:min(len(prefix), longestPrefix)] + hex.EncodeToString(sum[:])[:hashLength])
	unstructured.RemoveNestedField(named.Object, "metadata", "generateName")
	o.Unstructured = named
	return o
}

// Pattern selects objects; an empty field selects any.
type Pattern struct {
	Group, Kind, Namespace string
	// Name may hold * and ? as in file names.
	Name string
}

// Matches tells whether the pattern selects an object.
func (p Pattern) Matches(id ID) bool {
	fits := func(want, have string) bool {
		ok, err := path.Match(want, have)
		return want == "" || err == nil && ok
	}
	return (p.Group == "" || p.Group == id.Group) && (p.Kind == "" || p.Kind == id.Kind) &&
		fits(p.Namespace, id.Namespace) && fits(p.Name, id.Name)
}

// Optional makes the objects that any of the patterns selects optional. Objects that
// change are copied; the list given stays as it is.
func Optional(objects []Object, patterns []Pattern) []Object {
	out := make([]Object, len(objects))
	for i, o := range objects {
		for _, p := range patterns {
			if p.Matches(o.ID()) {
				o.Rules = optional(o)
				break
			}
		}
		out[i] = o
	}
	return out
}

func optional(o Object) *Rules {
	if o.Rules != nil {
		r := *o.Rules
		r.Optional = true
		return &r
	}
	// With Rules the annotation is no longer read, so what it says is kept here.
	wave, _ := WaveOf(o.Unstructured)
	return &Rules{Optional: true, Wave: wave}
}
