package verify

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// attribute says of each difference who set the live value, by the record of ownership.
// Of a value that is gone nobody is recorded. live is the object to whose lists the
// paths refer. Ours is the manager under which the object was applied: it is named only
// when nobody else owns the field too.
func attribute(found []difference, live map[string]any, record []metav1.ManagedFieldsEntry, ours string) {
	for i := range found {
		if found[i].haveAbsent || found[i].manager != "" {
			continue
		}
		found[i].manager, found[i].time = lastOwner(found[i].path, live, record, ours)
	}
}

// lastOwner of a path: who wrote last of all who own it, or anything below it.
func lastOwner(path []string, live map[string]any, record []metav1.ManagedFieldsEntry, ours string) (string, time.Time) {
	var manager string
	var at time.Time
	for _, m := range record {
		fields, ok := fieldsOf(m)
		if !ok || len(fields) == 0 || !owns(fields, path, live) {
			continue
		}
		var when time.Time
		if m.Time != nil {
			when = m.Time.Time
		}
		if manager == "" || manager == ours || m.Manager != ours && when.After(at) {
			manager, at = m.Manager, when
		}
	}
	return manager, at
}

// owns tells whether recorded fields hold a path, one below it, or one above it that is
// owned as a whole.
func owns(fields map[string]any, path []string, value any) bool {
	if len(path) == 0 || len(fields) == 0 {
		return true
	}
	next, key := path[0], "f:"+path[0]
	if !strings.HasPrefix(next, "[") {
		below, ok := fields[key].(map[string]any)
		object, _ := value.(map[string]any)
		return ok && owns(below, path[1:], object[next])
	}
	list, _ := value.([]any)
	i, err := strconv.Atoi(strings.Trim(next, "[]"))
	if err != nil || i < 0 || i >= len(list) {
		return false
	}
	for key, below := range fields {
		if deeper, ok := below.(map[string]any); ok && names(key, list[i], i) && owns(deeper, path[1:], list[i]) {
			return true
		}
	}
	return false
}

// names tells whether a recorded path element means this element of a list.
func names(key string, element any, index int) bool {
	kind, rest, _ := strings.Cut(key, ":")
	switch kind {
	case "i":
		return rest == strconv.Itoa(index)
	case "v":
		var v any
		return json.Unmarshal([]byte(rest), &v) == nil && equal(element, v)
	case "k":
		var keys map[string]any
		m, ok := element.(map[string]any)
		if !ok || json.Unmarshal([]byte(rest), &keys) != nil {
			return false
		}
		for k, v := range keys {
			if !equal(m[k], v) {
				return false
			}
		}
		return true
	}
	return false
}
