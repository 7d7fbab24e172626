package verify

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// difference is one path at which two objects differ.
type difference struct {
	path       []string
	want, have any
	// absent marks a side that has nothing at the path.
	wantAbsent, haveAbsent bool
	// manager that set the live value, and when, as far as it is recorded.
	manager string
	time    time.Time
}

// maxDifferences bounds what is told of one object; mostDifferences what is collected of
// one for an inventory.
const (
	maxDifferences  = 5
	mostDifferences = 200
)

// diff lists where have differs from want, in sorted sequence, at most
// maxDifferences of them. The ignored paths and all below them are skipped.
func diff(want, have any, ignored ignores) []difference {
	d := differ{ignored: ignored}
	d.walk(nil, want, have)
	return d.found
}

type differ struct {
	found   []difference
	ignored ignores
	// used collects the rules that left a difference out.
	used uses
	// subset compares only what want has; lenient also lets have lack what is empty.
	subset, lenient bool
	// most differences to collect; 0 means maxDifferences.
	most int
}

// full tells whether enough differences were collected.
func (d *differ) full() bool { return len(d.found) >= cmp.Or(d.most, maxDifferences) }

func (d *differ) walk(path []string, want, have any) {
	if d.full() {
		return
	}
	if rule := d.ignored.match(path); rule != nil {
		if !reflect.DeepEqual(want, have) {
			d.used.add(rule.reason, path)
		}
		return
	}
	switch w := want.(type) {
	case map[string]any:
		if h, ok := have.(map[string]any); ok {
			d.maps(path, w, h)
			return
		}
	case []any:
		if h, ok := have.([]any); ok {
			d.lists(path, w, h)
			return
		}
	}
	if !equal(want, have) {
		d.found = append(d.found, difference{path: path, want: want, have: have})
	}
}

func (d *differ) maps(path []string, want, have map[string]any) {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		below := append(slices.Clone(path), k)
		if v, ok := have[k]; ok {
			d.walk(below, want[k], v)
		} else if !d.lenient || !empty(want[k]) {
			d.missing(difference{path: below, want: want[k], haveAbsent: true})
		}
	}
	if d.subset {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[k]; !ok {
			d.missing(difference{path: append(slices.Clone(path), k), have: have[k], wantAbsent: true})
		}
	}
}

func (d *differ) lists(path []string, want, have []any) {
	for i := range max(len(want), len(have)) {
		below := append(slices.Clone(path), "["+strconv.Itoa(i)+"]")
		switch {
		case i >= len(have):
			d.missing(difference{path: below, want: want[i], haveAbsent: true})
		case i >= len(want):
			d.missing(difference{path: below, have: have[i], wantAbsent: true})
		default:
			d.walk(below, want[i], have[i])
		}
	}
}

func (d *differ) missing(found difference) {
	if d.full() {
		return
	}
	if rule := d.ignored.match(found.path); rule != nil {
		d.used.add(rule.reason, found.path)
		return
	}
	d.found = append(d.found, found)
}

// equal compares leaves; numbers by value, because decoders disagree on their types.
func equal(a, b any) bool {
	x, isInt := a.(int64)
	y, areInts := b.(int64)
	if isInt && areInts {
		return x == y // a float64 would round large ones
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// empty values may be dropped by the API server, to which they mean nothing.
func empty(v any) bool {
	switch e := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, below := range e {
			if !empty(below) {
				return false
			}
		}
		return true
	case []any:
		return len(e) == 0
	case string:
		return e == ""
	case bool:
		return !e
	}
	n, ok := number(v)
	return ok && n == 0
}
