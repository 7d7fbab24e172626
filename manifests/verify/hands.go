package verify

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hands are the managers under which people change objects. What they set is in no
// repository, although applying the repository again would leave it as it is: a
// replica count or an annotation that is rendered nowhere.
var hands = []string{"kubectl", "k9s", "Mozilla", "node-fetch", "dashboard", "oc", "curl"}

func byHand(manager string) bool {
	for _, h := range hands {
		if manager == h || strings.HasPrefix(manager, h+"-") {
			return true
		}
	}
	return false
}

// annotationsOfHands are notes that kubectl leaves for itself.
var annotationsOfHands = []string{"kubectl.kubernetes.io/last-applied-configuration"}

// setByHand lists fields that a person set and that desired does not have.
func setByHand(desired map[string]any, live *unstructured.Unstructured, ignored ignores) []difference {
	var found []difference
	for _, m := range live.GetManagedFields() {
		if !byHand(m.Manager) || m.Subresource == "status" {
			continue
		}
		if fields, ok := fieldsOf(m); ok {
			h := hand{manager: m, ignored: ignored}
			h.walk(nil, fields, desired, live.Object)
			found = append(found, h.found...)
		}
	}
	return found[:min(len(found), maxDifferences)]
}

type hand struct {
	manager metav1.ManagedFieldsEntry
	ignored ignores
	found   []difference
}

func (h *hand) walk(path []string, fields map[string]any, desired, live any) {
	for key, below := range fields {
		name := strings.TrimPrefix(key, "f:")
		at := append(slices.Clone(path), name)
		if key == "." || h.ignored.match(at) || slices.Contains(annotationsOfHands, name) {
			continue
		}
		have, exists := step(key, live, true)
		if !exists {
			continue // a default key, or set and gone
		}
		deeper, _ := below.(map[string]any)
		want, rendered := step(key, desired, true)
		switch {
		case !rendered && have != nil:
			h.found = append(h.found, difference{path: render(at) + " (set by " + h.manager.Manager + ")", have: have, wantAbsent: true})
		case rendered && len(deeper) > 0:
			h.walk(at, deeper, want, have)
		}
	}
}
