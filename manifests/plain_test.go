package manifests_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

func object(kind, namespace, name string) manifests.Object {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "batch/v1", "kind": kind, "metadata": map[string]any{}}}
	u.SetNamespace(namespace)
	u.SetName(name)
	return manifests.Object{Unstructured: u}
}

func TestNamedHooks(t *testing.T) {
	hook := object("Job", "shop", "")
	hook.SetGenerateName("migrate-")
	if got := hook.ID().Name; got != "migrate-*" {
		t.Errorf("ID has the name %q", got)
	}
	if got := manifests.Named(hook); got.GetName() != "" {
		t.Errorf("an object that is no hook was named %q", got.GetName())
	}
	hook.Rules = &manifests.Rules{Hook: &manifests.Hook{}}
	first, second := manifests.Named(hook), manifests.Named(hook)
	if first.GetName() != second.GetName() || !strings.HasPrefix(first.GetName(), "migrate-") || len(first.GetName()) != len("migrate-")+8 {
		t.Errorf("names %q and %q", first.GetName(), second.GetName())
	}
	if hook.GetName() != "" || first.GetGenerateName() != "" {
		t.Error("the rendered object changed, or the copy still asks for a generated name")
	}
	changed := manifests.Object{Unstructured: hook.DeepCopy(), Rules: hook.Rules}
	changed.SetLabels(map[string]string{"a": "b"})
	if manifests.Named(changed).GetName() == first.GetName() {
		t.Error("another content has the same name")
	}
	hook.SetGenerateName(strings.Repeat("x", 100))
	if n := len(manifests.Named(hook).GetName()); n != 63 {
		t.Errorf("a name of %d characters", n)
	}
}

func TestOptional(t *testing.T) {
	patterns := []manifests.Pattern{{Kind: "Job", Name: "preview-*"}, {Group: "apps"}, {Namespace: "pr-?"}, {Kind: "Job", Name: "[bad"}}
	tests := map[string]struct {
		object manifests.Object
		want   bool
	}{
		"name and kind":    {object("Job", "shop", "preview-7"), true},
		"another name":     {object("Job", "shop", "main"), false},
		"another kind":     {object("CronJob", "shop", "preview-7"), false},
		"namespace":        {object("CronJob", "pr-7", "x"), true},
		"longer namespace": {object("CronJob", "pr-77", "x"), false},
	}
	for name, tt := range tests {
		got := manifests.Optional([]manifests.Object{tt.object}, patterns)[0]
		if optional := got.Rules != nil && got.Rules.Optional; optional != tt.want {
			t.Errorf("%s: optional %t, want %t", name, optional, tt.want)
		}
		if tt.object.Rules != nil {
			t.Errorf("%s: the object given changed", name)
		}
	}
}

// A wave that the annotation declares outlives the rules that make an object optional.
func TestOptionalKeepsTheWave(t *testing.T) {
	o := object("Job", "shop", "x")
	o.SetAnnotations(map[string]string{manifests.SyncWave: " 3 "})
	got := manifests.Optional([]manifests.Object{o}, []manifests.Pattern{{Kind: "Job"}})[0]
	if got.Rules.Wave != 3 {
		t.Errorf("wave %d, want 3", got.Rules.Wave)
	}
	o.Rules = &manifests.Rules{Manager: "x", Phase: manifests.PhaseAfter}
	got = manifests.Optional([]manifests.Object{o}, []manifests.Pattern{{Kind: "Job"}})[0]
	if got.Rules.Manager != "x" || got.Rules.Phase != manifests.PhaseAfter || got.Rules.Wave != 0 || o.Rules.Optional {
		t.Errorf("rules %+v from %+v", got.Rules, o.Rules)
	}
}
