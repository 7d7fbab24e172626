package builtin_test

import (
	"testing"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

func TestClaimClass(t *testing.T) {
	annotated := map[string]any{"annotations": map[string]any{"volume.beta.kubernetes.io/storage-class": "old"}}
	for _, c := range []struct {
		name  string
		claim map[string]any
		class string
		given bool
	}{
		{"default", map[string]any{"spec": map[string]any{}}, "", false},
		{"null means the default", map[string]any{"spec": map[string]any{"storageClassName": nil}}, "", false},
		{"none", map[string]any{"spec": map[string]any{"storageClassName": ""}}, "", true},
		{"field", map[string]any{"spec": map[string]any{"storageClassName": "new"}}, "new", true},
		{"annotation", map[string]any{"metadata": annotated, "spec": map[string]any{}}, "old", true},
		{"annotation before field", map[string]any{"metadata": annotated, "spec": map[string]any{"storageClassName": "new"}}, "old", true},
	} {
		if class, given := builtin.ClaimClass(c.claim); class != c.class || given != c.given {
			t.Errorf("%s: %q %t, want %q %t", c.name, class, given, c.class, c.given)
		}
	}
}
