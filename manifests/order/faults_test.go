package order_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

func TestFaults(t *testing.T) {
	tests := map[string]struct{ objects, fault string }{
		"a kind that nothing defines": {
			objects: docs(meta("example.com/v1", "Widget", "a"), meta("example.com/v1", "Widget", "b")),
			fault: "kind Widget.example.com is defined by nothing: it is not built in to Kubernetes 1.36, and the state has neither a " +
				"CustomResourceDefinition nor an APIService for it (if an operator or the distribution defines it, list it in spec.knownKinds of the plan, or give --known-kind); needed by Widget.example.com default/a (f.yaml:1) and 1 more object",
		},
		"a version that the definition does not serve": {
			objects: docs(widgets, meta("example.com/v1alpha1", "Widget", "a")),
			fault: "version v1alpha1 of Widget.example.com is not served: CustomResourceDefinition.apiextensions.k8s.io widgets.example.com (f.yaml:1) " +
				"has v1, v1beta1; change the apiVersion of Widget.example.com default/a (f.yaml:2)",
		},
		"a version that Kubernetes no longer serves": {
			objects: meta("policy/v1beta1", "PodDisruptionBudget", "a"),
			fault: "version v1beta1 of PodDisruptionBudget.policy is not served: Kubernetes 1.36 has v1; " +
				"change the apiVersion of PodDisruptionBudget.policy default/a (f.yaml:1)",
		},
		"no namespace": {
			objects: cluster("v1", "Secret", "a"),
			fault:   "Secret a (f.yaml:1) has no metadata.namespace; set it there, in the kustomization, or as the namespace of its path in the plan",
		},
		"no namespace for several": {
			objects: docs(cluster("v1", "Secret", "a"), cluster("v1", "Secret", "b"), cluster("v1", "Secret", "c")),
			fault:   "Secret a (f.yaml:1) and 2 more objects have no metadata.namespace; set it there, in the kustomization, or as the namespace of its path in the plan",
		},
		"no namespace for a custom kind": {
			objects: docs(widgets, cluster("example.com/v1", "Widget", "a")),
			fault:   "Widget.example.com a (f.yaml:2) has no metadata.namespace; set it there, in the kustomization, or as the namespace of its path in the plan",
		},
		"a namespace where none belongs": {
			objects: meta("v1", "Namespace", "a"),
			fault:   "Namespace default/a (f.yaml:1) has a metadata.namespace, but its kind belongs to the whole cluster; remove the namespace",
		},
		"a namespace that nothing creates": {
			objects: docs("apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}", "apiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: shop}",
				"apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: shop}"),
			fault: "namespace shop is created by nothing; add a Namespace to the state, for Secret shop/a (f.yaml:1) and 2 more objects",
		},
		"no name": {
			objects: "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-, namespace: default}",
			fault:   "Job.batch default/x-* (f.yaml:1) lacks a kind or a metadata.name; a generated name cannot be rebuilt",
		},
		"an annotation that is no text": {
			objects: "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: default, annotations: {\"" + wave + "\": 1}}",
			fault:   "Secret default/a (f.yaml:1) has a value in metadata.annotations that is no text; quote it",
		},
		"a label that is no text": {
			objects: "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: default, labels: {on: true}}",
			fault:   "Secret default/a (f.yaml:1) has a value in metadata.labels that is no text; quote it",
		},
		"two different objects of one name": {
			objects: docs(meta("v1", "Secret", "a"), meta("v1", "Secret", "a")+"data: {k: dg==}"),
			fault:   "Secret default/a is written twice, differently: in f.yaml:1 and in f.yaml:2; keep one of them",
		},
		"depends-on cannot be read": {
			objects: annotated("a", dependsOn, "Secret/default/b/c"),
			fault: `ConfigMap default/a (f.yaml:1): config.kubernetes.io/depends-on: cannot read "Secret/default/b/c": write group/kind/name, or ` +
				"group/namespaces/namespace/kind/name, with an empty group for core kinds",
		},
		"depends-on names what is not there": {
			objects: annotated("a", dependsOn, "/namespaces/default/Secret/b"),
			fault:   "ConfigMap default/a (f.yaml:1): config.kubernetes.io/depends-on: Secret default/b is not part of the state",
		},
		"depends-on names itself": {
			objects: annotated("a", dependsOn, "/namespaces/default/ConfigMap/a"),
			fault:   "ConfigMap default/a (f.yaml:1): config.kubernetes.io/depends-on: it refers to the object itself",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := order.Build(parse(t, tt.objects), order.Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.fault, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOptionsKnowMoreThanTheState(t *testing.T) {
	g, err := order.Build(parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: shop}"), order.Options{
		KnownKind:         func(gvk schema.GroupVersionKind) (bool, bool) { return true, gvk.Kind == "Widget" },
		ExistingNamespace: func(name string) bool { return name == "shop" },
	})
	if err != nil || g.Len() != 1 {
		t.Fatalf("graph %v, error %v", g, err)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: missing-%02d}", i))
	}
	_, err := order.Build(parse(t, docs(all...)), order.Options{})
	var faults order.Faults
	if !errors.As(err, &faults) || len(faults) != 30 {
		t.Fatalf("got %v", err)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 22 || lines[21] != "- and 10 more" {
		t.Errorf("printed %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestCycles(t *testing.T) {
	in := func(kind, name, annotations string) string {
		return "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: default, annotations: {" + annotations + "}}\n"
	}
	on := func(name string) string { return dependsOn + ": /namespaces/default/ConfigMap/" + name }
	id := func(name string) manifests.ID {
		return manifests.ID{Kind: "ConfigMap", Namespace: "default", Name: name}
	}
	at := func(line int) manifests.Origin { return manifests.Origin{File: "f.yaml", Line: line} }
	declared := func(name string, line int) order.CycleStep {
		return order.CycleStep{ID: id(name), Origin: at(line), Kind: order.Declared, Gate: order.Ready, Reason: "declares that it depends on it"}
	}
	tests := map[string]struct {
		objects string
		cycles  [][]order.CycleStep
	}{
		"the shortest of several": {
			objects: docs(in("ConfigMap", "a", on("b")), in("ConfigMap", "b", on("c")), in("ConfigMap", "c", on("d")),
				in("ConfigMap", "d", dependsOn+": '/namespaces/default/ConfigMap/c,/namespaces/default/ConfigMap/a'")),
			cycles: [][]order.CycleStep{{declared("c", 3), declared("d", 4)}},
		},
		"each of two": {
			objects: docs(in("ConfigMap", "a", on("b")), in("ConfigMap", "b", on("a")), in("ConfigMap", "c", on("d")), in("ConfigMap", "d", on("c"))),
			cycles:  [][]order.CycleStep{{declared("a", 1), declared("b", 2)}, {declared("c", 3), declared("d", 4)}},
		},
		"a wave against depends-on": {
			objects: docs(in("ConfigMap", "a", on("b")), in("ConfigMap", "b", wave+": '1'")),
			cycles: [][]order.CycleStep{{
				declared("a", 1),
				{ID: id("b"), Origin: at(2), Kind: order.Declared, Gate: order.Ready, Reason: "is in sync-wave 1"},
				{Barrier: "all 1 object of sync-wave 0", Kind: order.Declared, Gate: order.Ready, Reason: "is in sync-wave 0"},
			}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := order.Build(parse(t, tt.objects), order.Options{})
			var faults order.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v is no Faults", err)
			}
			var got [][]order.CycleStep
			for _, f := range faults {
				var c *order.CycleError
				if !errors.As(f, &c) {
					t.Fatalf("%v is no cycle", f)
				}
				got = append(got, rotate(c.Steps))
			}
			if diff := cmp.Diff(tt.cycles, got); diff != "" {
				t.Errorf("cycles (-want +got):\n%s", diff)
			}
		})
	}
}

// rotate starts a cycle at its smallest name, as any start is as good.
func rotate(steps []order.CycleStep) []order.CycleStep {
	first := 0
	for i, s := range steps {
		if s.Barrier == "" && (steps[first].Barrier != "" || s.ID.Compare(steps[first].ID) < 0) {
			first = i
		}
	}
	return append(append([]order.CycleStep{}, steps[first:]...), steps[:first]...)
}

func TestCyclePrints(t *testing.T) {
	_, err := order.Build(parse(t, docs(
		annotated("a", dependsOn, "/namespaces/default/ConfigMap/b"), annotated("b", dependsOn, "/namespaces/default/ConfigMap/a"))), order.Options{})
	want := `a cycle: each of these waits for the next, and the last for the first:
  ConfigMap default/a (f.yaml:1)
    after ConfigMap default/b: declares that it depends on it (declared)
  ConfigMap default/b (f.yaml:2)
    after ConfigMap default/a: declares that it depends on it (declared)
  remove one of the declared edges`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
