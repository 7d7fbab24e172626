package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/deploy"
	"github.com/refloat-dev/refloat/internal/planetest"
)

func built(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := planetest.Kustomize(dir)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// TestTheSandboxHasTheSameRights holds what is embedded against what a user applies.
func TestTheSandboxHasTheSameRights(t *testing.T) {
	embedded, err := deploy.Access()
	if err != nil {
		t.Fatal(err)
	}
	shipped := map[string]string{}
	for _, o := range built(t, ".") {
		shipped[name(o)] = text(t, o)
	}
	have := map[string]bool{}
	for _, o := range embedded {
		have[name(o)] = true
		if shipped[name(o)] != text(t, o) {
			t.Errorf("%s differs from what kustomize builds", name(o))
		}
	}
	for id := range shipped {
		kind, _, _ := strings.Cut(id, " ")
		if (strings.Contains(kind, "Role") || kind == "ServiceAccount" || kind == "Namespace") && !have[id] {
			t.Errorf("%s is not embedded", id)
		}
	}
}

func name(o *unstructured.Unstructured) string {
	return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
}

func text(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	raw, err := yaml.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestRulesNameWhatTheyAllow: nothing is allowed wholesale, but for the kinds of providers,
// which nobody knows.
func TestRulesNameWhatTheyAllow(t *testing.T) {
	objects, err := deploy.Access()
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	for _, o := range objects {
		if !strings.HasSuffix(o.GetKind(), "Role") {
			continue
		}
		role := &rbacv1.ClusterRole{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			rules++
			if slices.Contains(rule.Verbs, "*") || slices.Contains(rule.APIGroups, "*") || len(rule.NonResourceURLs) > 0 {
				t.Errorf("%s: %+v allows more than it says", name(o), rule)
			}
			for _, verb := range []string{"escalate", "bind", "deletecollection"} {
				if slices.Contains(rule.Verbs, verb) {
					t.Errorf("%s: %+v has %s", name(o), rule, verb)
				}
			}
			providers := !slices.ContainsFunc(rule.APIGroups, func(group string) bool { return !strings.HasSuffix(group, ".cluster.x-k8s.io") })
			if slices.Contains(rule.Resources, "*") && !(strings.HasSuffix(o.GetName(), "-any-provider") && providers) {
				t.Errorf("%s: %+v has every resource", name(o), rule)
			}
		}
	}
	if rules == 0 {
		t.Error("there are no rules")
	}
}

// TestEveryDefinitionIsInstalled: a definition that was generated anew belongs into the
// list beside it.
func TestEveryDefinitionIsInstalled(t *testing.T) {
	files, err := filepath.Glob("../api/v1alpha1/crds/refloat.dev_*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("definitions: %v, %v", files, err)
	}
	list, err := os.ReadFile("../api/v1alpha1/crds/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.Contains(string(list), "- "+filepath.Base(f)+"\n") {
			t.Errorf("%s is not in the kustomization", f)
		}
	}
}

// TestNoImageOfOurs: which registry serves the image is the user's to say.
func TestNoImageOfOurs(t *testing.T) {
	for _, dir := range []string{".", "one-namespace"} {
		found := false
		for _, o := range built(t, dir) {
			if o.GetKind() != "Deployment" {
				continue
			}
			found = true
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			for _, c := range containers {
				if image := c.(map[string]any)["image"]; image != "refloat" {
					t.Errorf("%s: image %v", dir, image)
				}
			}
		}
		if !found {
			t.Errorf("%s has no Deployment", dir)
		}
	}
}
