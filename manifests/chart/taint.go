package chart

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// Finding is an object that does not come out the same each time it is rendered.
type Finding struct {
	ID     manifests.ID     `json:"id"`
	Origin manifests.Origin `json:"origin"`
	// Paths are JSON pointers to what differs, never to more than mostPaths places.
	// "" means that the object itself comes and goes, or changes its name.
	Paths []string `json:"paths"`
}

const mostPaths = 100

// Differences compares two renderings of the same thing. It says where they differ,
// never what the values are.
func Differences(first, second []manifests.Object) []Finding {
	other := map[manifests.ID][]manifests.Object{} // a chart may write an object twice
	for _, o := range second {
		other[o.ID()] = append(other[o.ID()], o)
	}
	var findings []Finding
	for _, o := range first {
		id := o.ID()
		finding := Finding{ID: id, Origin: o.Origin, Paths: []string{""}}
		if twins := other[id]; len(twins) > 0 {
			finding.Paths = differing("", o.Object, twins[0].Object, nil)
			other[id] = twins[1:]
		}
		if len(finding.Paths) > 0 {
			findings = append(findings, finding)
		}
	}
	for _, rest := range other {
		for _, o := range rest {
			findings = append(findings, Finding{ID: o.ID(), Origin: o.Origin, Paths: []string{""}})
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return a.ID.Compare(b.ID) })
	return findings
}

// differing collects the pointers to the smallest parts that differ.
func differing(at string, a, b any, found []string) []string {
	if len(found) >= mostPaths {
		return found
	}
	if m, ok := a.(map[string]any); ok {
		if n, ok := b.(map[string]any); ok {
			keys := maps.Clone(m)
			maps.Copy(keys, n)
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				x, inA := m[key]
				y, inB := n[key]
				here := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
				if inA != inB {
					found = append(found, here)
				} else {
					found = differing(here, x, y, found)
				}
			}
			return found
		}
	}
	if l, ok := a.([]any); ok {
		if m, ok := b.([]any); ok && len(l) == len(m) {
			for i := range l {
				found = differing(at+"/"+strconv.Itoa(i), l[i], m[i], found)
			}
			return found
		}
	}
	if !reflect.DeepEqual(a, b) {
		found = append(found, at)
	}
	return found
}
