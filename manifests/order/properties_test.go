package order_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

func configMap(name string, annotations map[string]any) manifests.Object {
	metadata := map[string]any{"name": name, "namespace": "default"}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}}
	return manifests.Object{Unstructured: u, Origin: manifests.Origin{Unit: "u", File: "f.yaml"}}
}

// randomDAG is objects of which each declares that it depends on some earlier ones.
func randomDAG(r *rand.Rand, n int) (objects []manifests.Object, needs [][]int) {
	for i := range n {
		var on []int
		var references []string
		for range r.IntN(4) {
			if i > 0 {
				j := r.IntN(i)
				on = append(on, j)
				references = append(references, fmt.Sprintf("/namespaces/default/ConfigMap/o%d", j))
			}
		}
		annotations := map[string]any{}
		if len(references) > 0 {
			annotations[dependsOn] = strings.Join(references, ",")
		}
		objects, needs = append(objects, configMap(fmt.Sprintf("o%d", i), annotations)), append(needs, on)
	}
	return objects, needs
}

func shuffled(r *rand.Rand, objects []manifests.Object) []manifests.Object {
	out := make([]manifests.Object, len(objects))
	for to, from := range r.Perm(len(objects)) {
		out[to] = objects[from]
	}
	return out
}

func TestWavesAreLongestPaths(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		objects, needs := randomDAG(r, 1+r.IntN(60))
		want := map[string]int{}
		longest := make([]int, len(objects))
		for i := range objects {
			for _, j := range needs[i] {
				longest[i] = max(longest[i], longest[j])
			}
			longest[i]++
			want[objects[i].ID().String()] = longest[i]
		}
		g, err := order.Build(shuffled(r, objects), order.Options{})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(want, levels(g)); diff != "" {
			t.Fatalf("seed %d: levels (-want +got):\n%s", seed, diff)
		}
		checkShape(t, seed, g, len(objects))
	}
}

// checkShape holds for every graph: objects come first and by wave, each once; needs
// point to strictly earlier waves, or through barriers to no later one.
func checkShape(t *testing.T, seed uint64, g *order.Graph, n int) {
	t.Helper()
	if g.Len() != n {
		t.Fatalf("seed %d: %d objects in waves, want %d", seed, g.Len(), n)
	}
	next := 0
	for k, w := range g.Waves {
		for _, i := range w {
			if i != next || g.Nodes[i].Wave != k+1 || g.Nodes[i].Virtual() {
				t.Fatalf("seed %d: node %d of wave %d is out of place", seed, i, k+1)
			}
			next++
		}
	}
	for i, node := range g.Nodes {
		if node.Virtual() != (i >= n) {
			t.Fatalf("seed %d: node %d: barriers must follow the objects", seed, i)
		}
		for k, e := range node.Needs {
			if from := g.Nodes[e.From]; from.Wave > node.Wave || !node.Virtual() && from.Wave == node.Wave {
				t.Fatalf("seed %d: %s in wave %d waits for %s in wave %d", seed, nodeName(node), node.Wave, nodeName(from), from.Wave)
			}
			if k > 0 && e.From <= node.Needs[k-1].From {
				t.Fatalf("seed %d: needs of %s are not sorted or not unique", seed, nodeName(node))
			}
		}
	}
}

// TestMixedSourcesOfOrder throws waves, references, soft edges and webhooks together.
// Whatever the input, the graph is acyclic and does not depend on its sequence.
func TestMixedSourcesOfOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		objects := mixed(r, 5+r.IntN(40))
		g, err := order.Build(objects, order.Options{Simulated: seed%2 == 0})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkShape(t, seed, g, len(objects))
		again, err := order.Build(shuffled(r, objects), order.Options{Simulated: seed%2 == 0})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(g.View(), again.View()); diff != "" {
			t.Fatalf("seed %d: another sequence, another graph:\n%s", seed, diff)
		}
	}
}

func mixed(r *rand.Rand, n int) []manifests.Object {
	annotate := func(o manifests.Object, on int) manifests.Object {
		if r.IntN(3) == 0 {
			o.SetAnnotations(map[string]string{wave: fmt.Sprint(r.IntN(4))})
		} else if on > 0 && r.IntN(4) == 0 {
			// Unit "free" has no waves, so its references cannot close a cycle.
			o.Origin.Unit = "free"
		}
		return o
	}
	var objects []manifests.Object
	for i := range n {
		objects = append(objects, annotate(configMap(fmt.Sprintf("c%d", i), nil), i))
		objects = append(objects, annotate(mounting(r, i, n), i))
		if r.IntN(5) == 0 {
			objects = append(objects, intercepting(i)...)
		}
	}
	return objects
}

func mounting(r *rand.Rand, i, n int) manifests.Object {
	volume := map[string]any{"name": "v", "configMap": map[string]any{"name": fmt.Sprintf("c%d", r.IntN(n))}}
	return manifests.Object{Origin: manifests.Origin{Unit: "u"}, Unstructured: &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": fmt.Sprintf("d%d", i), "namespace": "default"},
		"spec": map[string]any{"template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": fmt.Sprintf("d%d", i)}},
			"spec":     map[string]any{"volumes": []any{volume}},
		}},
	}}}
}

func intercepting(i int) []manifests.Object {
	name := fmt.Sprintf("d%d", i)
	service := map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name, "namespace": "default"},
		"spec": map[string]any{"selector": map[string]any{"app": name}}}
	rule := map[string]any{"apiGroups": []any{"*"}, "resources": []any{"*"}, "operations": []any{"CREATE"}}
	config := map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
		"metadata": map[string]any{"name": name}, "webhooks": []any{map[string]any{"rules": []any{rule},
			"clientConfig": map[string]any{"service": map[string]any{"name": name, "namespace": "default"}}}}}
	origin := manifests.Origin{Unit: "w"}
	return []manifests.Object{
		{Unstructured: &unstructured.Unstructured{Object: service}, Origin: origin},
		{Unstructured: &unstructured.Unstructured{Object: config}, Origin: origin},
	}
}

// fleet is n objects as a large platform has them: namespaces with workloads, their
// configuration, accounts, permissions, policies, and a webhook over all pods.
func fleet(n int) []manifests.Object {
	r := rand.New(rand.NewPCG(1, 3))
	var objects []manifests.Object
	add := func(apiVersion, kind, namespace, name string, rest map[string]any) {
		metadata := map[string]any{"name": name}
		if namespace != "" {
			metadata["namespace"] = namespace
		}
		object := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
		for k, v := range rest {
			object[k] = v
		}
		objects = append(objects, manifests.Object{Unstructured: &unstructured.Unstructured{Object: object}, Origin: manifests.Origin{Unit: "u", File: "f.yaml", Line: len(objects)}})
	}
	objects = append(objects, intercepting(0)...)
	for k := 0; len(objects) < n; k++ {
		namespace := fmt.Sprintf("team-%d", k/20)
		if k%20 == 0 {
			add("v1", "Namespace", "", namespace, nil)
			add("networking.k8s.io/v1", "NetworkPolicy", namespace, "deny", map[string]any{"spec": map[string]any{"podSelector": map[string]any{}}})
			add("v1", "ServiceAccount", namespace, "robot", nil)
			add("rbac.authorization.k8s.io/v1", "RoleBinding", namespace, "robot", map[string]any{
				"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "robot"}}})
		}
		o := mounting(r, k, k+1)
		o.SetNamespace(namespace)
		_ = unstructured.SetNestedField(o.Object, "robot", "spec", "template", "spec", "serviceAccountName")
		o.SetAnnotations(map[string]string{wave: fmt.Sprint(k % 5)})
		objects = append(objects, o)
		for _, kind := range []string{"ConfigMap", "Secret", "Service"} {
			add("v1", kind, namespace, fmt.Sprintf("c%d", k), nil)
		}
	}
	return objects[:n]
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1000, 5000, 10000} {
		objects := fleet(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := order.Build(objects, order.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestEdgesAreLinear keeps the graph of a large state in proportion to it.
func TestEdgesAreLinear(t *testing.T) {
	g, err := order.Build(fleet(10000), order.Options{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range g.Nodes {
		total += len(n.Needs)
	}
	if perObject := total / g.Len(); perObject > 8 {
		t.Errorf("%d edges for each of %d objects", perObject, g.Len())
	}
}
