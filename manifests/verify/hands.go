package verify

import (
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hands are the managers under which people change objects. What they set is in no
// repository, although applying the repository again would leave it as it is: a
// replica count or an annotation that is rendered nowhere.
var hands = []string{"kubectl", "k9s", "Mozilla", "node-fetch", "dashboard", "oc", "curl"}

// ByHand is true of a manager under which people change objects. A console in a browser
// writes as the browser or as its library.
func ByHand(manager string) bool {
	for _, h := range hands {
		if manager == h || strings.HasPrefix(manager, h+"-") {
			return true
		}
	}
	return false
}

// annotationsOfHands are notes that kubectl leaves for itself.
var annotationsOfHands = []string{"kubectl.kubernetes.io/last-applied-configuration"}

// setByHand lists fields that a person set and that desired does not have, at most so
// many.
func setByHand(desired, live map[string]any, record []metav1.ManagedFieldsEntry, ignored ignores, used uses, most int) []difference {
	var found []difference
	for _, m := range record {
		if !ByHand(m.Manager) || m.Subresource == "status" {
			continue
		}
		if fields, ok := fieldsOf(m); ok {
			h := hand{manager: m, ignored: ignored, used: used}
			h.walk(nil, fields, desired, live)
			found = append(found, h.found...)
		}
	}
	slices.SortFunc(found, func(a, b difference) int { return slices.Compare(a.path, b.path) })
	return found[:min(len(found), most)]
}

type hand struct {
	manager metav1.ManagedFieldsEntry
	ignored ignores
	used    uses
	found   []difference
}

func (h *hand) walk(path []string, fields map[string]any, desired, live any) {
	for key, below := range fields {
		at := append(slices.Clone(path), placeOf(key, live))
		if key == "." || slices.Contains(annotationsOfHands, at[len(at)-1]) {
			continue
		}
		have, exists := step(key, live, true)
		if !exists {
			continue // a default key, or set and gone
		}
		deeper, _ := below.(map[string]any)
		want, rendered := step(key, desired, true)
		if rule := h.ignored.match(at); rule != nil {
			if !rendered {
				h.used.add(rule.reason, at)
			}
			continue
		}
		switch {
		case !rendered && have != nil:
			h.found = append(h.found, h.difference(at, have))
		case rendered && len(deeper) > 0:
			h.walk(at, deeper, want, have)
		}
	}
}

func (h *hand) difference(path []string, have any) difference {
	d := difference{path: path, have: have, wantAbsent: true, manager: h.manager.Manager}
	if h.manager.Time != nil {
		d.time = h.manager.Time.Time
	}
	return d
}

// placeOf a recorded path element in the live object: a field, or an index of a list.
func placeOf(key string, live any) string {
	if name, ok := strings.CutPrefix(key, "f:"); ok {
		return name
	}
	list, _ := live.([]any)
	for i, e := range list {
		if names(key, e, i) {
			return "[" + strconv.Itoa(i) + "]"
		}
	}
	return key
}
