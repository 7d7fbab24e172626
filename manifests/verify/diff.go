package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// difference is one path at which two objects differ.
type difference struct {
	path       string
	want, have any
	// absent marks a side that has nothing at the path.
	wantAbsent, haveAbsent bool
}

// maxDifferences bounds what is collected of one object.
const maxDifferences = 5

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
	// subset compares only what want has; lenient also lets have lack what is empty.
	subset, lenient bool
}

func (d *differ) walk(path []string, want, have any) {
	if len(d.found) >= maxDifferences || d.ignored.match(path) {
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
		d.found = append(d.found, difference{path: render(path), want: want, have: have})
	}
}

func (d *differ) maps(path []string, want, have map[string]any) {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		below := append(slices.Clone(path), k)
		if v, ok := have[k]; ok {
			d.walk(below, want[k], v)
		} else if !d.lenient || !empty(want[k]) {
			d.missing(below, difference{want: want[k], haveAbsent: true})
		}
	}
	if d.subset {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[k]; !ok {
			d.missing(append(slices.Clone(path), k), difference{have: have[k], wantAbsent: true})
		}
	}
}

func (d *differ) lists(path []string, want, have []any) {
	for i := range max(len(want), len(have)) {
		below := append(slices.Clone(path), "["+strconv.Itoa(i)+"]")
		switch {
		case i >= len(have):
			d.missing(below, difference{want: want[i], haveAbsent: true})
		case i >= len(want):
			d.missing(below, difference{have: have[i], wantAbsent: true})
		default:
			d.walk(below, want[i], have[i])
		}
	}
}

func (d *differ) missing(path []string, found difference) {
	if len(d.found) >= maxDifferences || d.ignored.match(path) {
		return
	}
	found.path = render(path)
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

func render(path []string) string {
	var b strings.Builder
	for _, p := range path {
		switch {
		case strings.HasPrefix(p, "["):
			b.WriteString(p)
		case strings.ContainsAny(p, "./[]"):
			fmt.Fprintf(&b, "[%q]", p)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(p)
		}
	}
	return b.String()
}

// maxValue bounds a value in a finding, in bytes.
const maxValue = 120

// describe says where an object differs, for people. Values of secret objects are
// left out.
func describe(found []difference, secret bool) string {
	parts := make([]string, 0, len(found))
	for _, f := range found {
		parts = append(parts, f.describe(secret))
	}
	text := strings.Join(parts, "; ")
	if len(found) == maxDifferences {
		text += "; perhaps more"
	}
	return text
}

func (f difference) describe(secret bool) string {
	switch {
	case secret && f.haveAbsent:
		return f.path + " is missing"
	case secret && f.wantAbsent:
		return f.path + " is not in the repository"
	case secret:
		return f.path + " differs (value not shown)"
	case f.haveAbsent:
		return fmt.Sprintf("%s: rendered %s, live nothing", f.path, short(f.want))
	case f.wantAbsent:
		return fmt.Sprintf("%s: rendered nothing, live %s", f.path, short(f.have))
	}
	return fmt.Sprintf("%s: rendered %s, live %s", f.path, short(f.want), short(f.have))
}

func short(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "a value that cannot be shown"
	}
	if len(b) > maxValue {
		return strings.ToValidUTF8(string(b[:maxValue]), "") + "…"
	}
	return string(b)
}
