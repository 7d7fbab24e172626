package expand

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/refloat-dev/refloat/manifests"
)

// steady is the content of an object without what comes out differently each time it is
// rendered, so that two renderings of the same have the same digest.
func steady(o manifests.Object) map[string]any {
	if o.Rules == nil || !slices.ContainsFunc(o.Rules.Ignore, isUnsteady) {
		return o.Object
	}
	object := runtime.DeepCopyJSON(o.Object)
	for _, ignored := range o.Rules.Ignore {
		if !isUnsteady(ignored) {
			continue
		}
		for _, pointer := range ignored.Pointers {
			blank(object, strings.Split(strings.TrimPrefix(pointer, "/"), "/"))
		}
	}
	return object
}

func isUnsteady(f manifests.IgnoredFields) bool { return strings.HasPrefix(f.From, unsteadily) }

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// blank empties what a JSON pointer names; nothing happens when it is not there.
func blank(in any, path []string) {
	key := unescape.Replace(path[0])
	switch in := in.(type) {
	case map[string]any:
		below, ok := in[key]
		if ok && len(path) > 1 {
			blank(below, path[1:])
		} else if ok {
			in[key] = nil
		}
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(in) {
			return
		}
		if len(path) > 1 {
			blank(in[i], path[1:])
		} else {
			in[i] = nil
		}
	}
}
