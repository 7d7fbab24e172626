package order_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

func unit(name string, after ...string) manifests.Unit {
	u := manifests.Unit{Name: name, Origin: manifests.Origin{File: "units.yaml", Line: len(name)}}
	for _, a := range after {
		u.After = append(u.After, manifests.Dependency{Unit: a, Reason: "spec.dependsOn"})
	}
	return u
}

func healthy(u manifests.Unit) manifests.Unit {
	u.Ready.All = true
	return u
}

func defined(u manifests.Unit, name string) manifests.Unit {
	u.Definition = manifests.ID{Kind: "ConfigMap", Namespace: "default", Name: name}
	return u
}

func in(unit string, objects ...string) string { return "# unit " + unit + "\n" + docs(objects...) }

func TestUnits(t *testing.T) {
	cm := func(name string) string { return meta("v1", "ConfigMap", name) }
	on := func(name string) manifests.ID {
		return manifests.ID{Kind: "ConfigMap", Namespace: "default", Name: name}
	}
	tests := map[string]struct {
		objects  string
		units    []manifests.Unit
		edges    []string
		warnings []string
	}{
		"accepted is enough": {
			objects: docs(in("a", cm("a1"), cm("a2")), in("b", cm("b1"))),
			units:   []manifests.Unit{unit("b", "a"), unit("a")},
			edges: []string{
				"ConfigMap default/b1 after [a: all 2 objects applied]: spec.dependsOn of b (Declared Ready)",
				"[a: all 2 objects applied] after ConfigMap default/a1: belongs to a (Declared Applied)",
				"[a: all 2 objects applied] after ConfigMap default/a2: belongs to a (Declared Applied)",
			},
		},
		"all healthy": {
			objects: docs(in("a", cm("a1")), in("b", cm("b1"))),
			units:   []manifests.Unit{healthy(unit("a")), unit("b", "a")},
			edges: []string{
				"ConfigMap default/b1 after [a: all 1 object healthy]: spec.dependsOn of b (Declared Ready)",
				"[a: all 1 object healthy] after ConfigMap default/a1: belongs to a (Declared Ready)",
			},
		},
		"some healthy, also of another unit, and one that is not there": {
			objects: docs(in("a", cm("a1"), cm("a2")), in("b", cm("b1")), in("c", cm("c1"))),
			units: []manifests.Unit{
				{Name: "a", Ready: manifests.Readiness{Objects: []manifests.ID{on("a1"), on("c1"), on("gone")}}}, unit("b", "a"), unit("c")},
			edges: []string{
				"ConfigMap default/b1 after [a: all 2 objects applied, and 3 objects healthy]: spec.dependsOn of b (Declared Ready)",
				"[a: all 2 objects applied, and 3 objects healthy] after ConfigMap default/a1: belongs to a, says whether a is healthy (Declared Ready)",
				"[a: all 2 objects applied, and 3 objects healthy] after ConfigMap default/a2: belongs to a (Declared Applied)",
				"[a: all 2 objects applied, and 3 objects healthy] after ConfigMap default/c1: says whether a is healthy (Declared Ready)",
			},
			warnings: []string{"a is ready when ConfigMap default/gone is healthy, which nothing in the repository holds: not waited for"},
		},
		"a unit without objects still waits, and is waited for": {
			objects: docs(in("a", cm("a1")), in("c", cm("c1"))),
			units:   []manifests.Unit{unit("a"), unit("b", "a"), unit("c", "b")},
			edges: []string{
				"ConfigMap default/c1 after [b: all 0 objects applied]: spec.dependsOn of c (Declared Ready)",
				"[a: all 1 object applied] after ConfigMap default/a1: belongs to a (Declared Applied)",
				"[b: all 0 objects applied] after [a: all 1 object applied]: is waited for by b (Declared Ready)",
			},
		},
		"several dependencies stand behind one barrier": {
			objects: docs(in("a", cm("a1")), in("b", cm("b1")), in("c", cm("c1"), cm("c2"))),
			units:   []manifests.Unit{unit("a"), unit("b"), unit("c", "a", "b")},
			edges: []string{
				"ConfigMap default/c1 after [what c waits for]: belongs to c (Declared Ready)",
				"ConfigMap default/c2 after [what c waits for]: belongs to c (Declared Ready)",
				"[a: all 1 object applied] after ConfigMap default/a1: belongs to a (Declared Applied)",
				"[b: all 1 object applied] after ConfigMap default/b1: belongs to b (Declared Applied)",
				"[what c waits for] after [a: all 1 object applied]: spec.dependsOn (Declared Ready)",
				"[what c waits for] after [b: all 1 object applied]: spec.dependsOn (Declared Ready)",
			},
		},
		"what a hard edge needs is pulled out of a unit that waits": {
			objects: docs(in("a", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a1, namespace: shop}"), in("b", cluster("v1", "Namespace", "shop"))),
			units:   []manifests.Unit{unit("a"), unit("b", "a")},
			edges: []string{
				"ConfigMap shop/a1 after Namespace shop: is in this namespace (Hard Applied)",
				"[a: all 1 object applied] after ConfigMap shop/a1: belongs to a (Declared Applied)",
			},
			warnings: []string{"Namespace shop (f.yaml:2) belongs to b, which waits for a, but ConfigMap shop/a1 (f.yaml:1) needs it: it goes first"},
		},
		"an inferred edge yields to units": {
			objects: docs(in("a", deployment("app", "{volumes: [{name: v, configMap: {name: c}}]}")), in("b", cm("c"))),
			units:   []manifests.Unit{unit("a"), unit("b", "a")},
			edges: []string{
				"ConfigMap default/c after [a: all 1 object applied]: spec.dependsOn of b (Declared Ready)",
				"[a: all 1 object applied] after Deployment.apps default/app: belongs to a (Declared Applied)",
			},
			warnings: []string{"Deployment.apps default/app (f.yaml:1) should wait for ConfigMap default/c (f.yaml:2), because it mounts it as a volume; " +
				"but b waits for a: declared order wins"},
		},
		"a definition hands its unit over": {
			objects: docs(in("root", cm("def")), in("a", cm("a1"))),
			units:   []manifests.Unit{unit("root"), defined(unit("a"), "def")},
			edges: []string{
				"ConfigMap default/def after [a: all 1 object applied]: hands them over (Declared Ready)",
				"[a: all 1 object applied] after ConfigMap default/a1: belongs to a (Declared Applied)",
			},
		},
		"a unit that holds its own definition": {
			objects:  in("a", cm("def"), cm("a1")),
			units:    []manifests.Unit{defined(unit("a"), "def")},
			warnings: []string{"ConfigMap default/def (f.yaml:1) belongs to the unit that it defines: it goes in its place there, not after the rest"},
		},
		"a definition that the unit itself needs stays where it is": {
			objects: docs(in("root", cm("def")), in("a", annotated("a1", dependsOn, "/namespaces/default/ConfigMap/def"))),
			units:   []manifests.Unit{unit("root"), defined(unit("a"), "def")},
			edges: []string{
				"ConfigMap default/a1 after ConfigMap default/def: declares that it depends on it (Declared Ready)",
				"[a: all 1 object applied] after ConfigMap default/a1: belongs to a (Declared Applied)",
			},
			warnings: []string{"ConfigMap default/def (f.yaml:1) does not go after the objects of its own unit, because some of these wait for it: it goes in its place among them"},
		},
		"who waits for a parent does not wait for what its definitions declare": {
			objects: docs(in("root", cm("def"), cm("r1")), in("child", cm("c1")), in("later", cm("l1"))),
			units:   []manifests.Unit{unit("root"), defined(unit("child", "later"), "def"), unit("later", "root")},
			edges: []string{
				"ConfigMap default/c1 after [later: all 1 object applied]: spec.dependsOn of child (Declared Ready)",
				"ConfigMap default/def after [child: all 1 object applied]: hands them over (Declared Ready)",
				"ConfigMap default/l1 after [root: all 2 objects applied]: spec.dependsOn of later (Declared Ready)",
				"[child: all 1 object applied] after ConfigMap default/c1: belongs to child (Declared Applied)",
				"[child: all 1 object applied] after [later: all 1 object applied]: is waited for by child (Declared Ready)",
				"[later: all 1 object applied] after ConfigMap default/l1: belongs to later (Declared Applied)",
				"[later: all 1 object applied] after [root: all 2 objects applied]: is waited for by later (Declared Ready)",
				"[root: all 2 objects applied] after ConfigMap default/r1: belongs to root (Declared Applied)",
			},
		},
		"an object of two units goes with the earlier": {
			objects: docs(in("z", cm("both"), cm("z1")), in("a", cm("both"))),
			units:   []manifests.Unit{unit("a", "z"), unit("z"), unit("c", "a")},
			edges: []string{
				"[a: all 1 object applied] after ConfigMap default/both: belongs to a (Declared Applied)",
				"[a: all 1 object applied] after [z: all 2 objects applied]: is waited for by a (Declared Ready)",
				"[z: all 2 objects applied] after ConfigMap default/both: belongs to z (Declared Applied)",
				"[z: all 2 objects applied] after ConfigMap default/z1: belongs to z (Declared Applied)",
			},
			warnings: []string{"ConfigMap default/both is written twice, identically: in f.yaml:1 and in f.yaml:3"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := build(t, tt.objects, order.Options{Units: tt.units})
			if diff := cmp.Diff(tt.edges, edges(g)); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, g.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnitFaults(t *testing.T) {
	tests := map[string]struct {
		units []manifests.Unit
		want  string
	}{
		"a unit that does not exist": {
			[]manifests.Unit{unit("app", "infra")},
			"app (units.yaml:3): spec.dependsOn names infra, which is not in the repository; add it, or remove the dependency",
		},
		"itself": {[]manifests.Unit{unit("app", "app")}, "app (units.yaml:3): spec.dependsOn names the unit itself; remove the dependency"},
		"twice":  {[]manifests.Unit{unit("app"), unit("app")}, "app is declared twice: in units.yaml:3 and in units.yaml:3; keep one of them"},
		"a cycle": {
			[]manifests.Unit{unit("b", "a"), unit("a", "ccc"), unit("ccc", "b"), unit("free")},
			`a cycle: each of these waits for the next, and the last for the first:
  b (units.yaml:1)
    after a: spec.dependsOn (declared)
  a (units.yaml:1)
    after ccc: spec.dependsOn (declared)
  ccc (units.yaml:3)
    after b: spec.dependsOn (declared)
  remove one of the declared edges`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := order.Build(parse(t, in("app", meta("v1", "ConfigMap", "a"))), order.Options{Units: tt.units})
			var faults order.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRules(t *testing.T) {
	objects := parse(t, docs(meta("v1", "ConfigMap", "before"), annotated("main", wave, "7"), meta("v1", "ConfigMap", "second"),
		meta("v1", "ConfigMap", "after"), meta("example.com/v1", "Unknown", "never"), meta("v1", "ConfigMap", "plain")))
	objects[0].Rules = &manifests.Rules{Phase: manifests.PhaseBefore, Wave: 3, Hook: &manifests.Hook{}}
	objects[1].Rules = &manifests.Rules{Manager: "x"} // what the annotation says no longer counts
	objects[2].Rules = &manifests.Rules{Wave: 1}
	objects[3].Rules = &manifests.Rules{Phase: manifests.PhaseAfter, Wave: -1}
	objects[4].Rules = &manifests.Rules{Write: manifests.WriteNever}
	g, err := order.Build(objects, order.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"ConfigMap default/before": 1, "ConfigMap default/main": 2, "ConfigMap default/plain": 2,
		"ConfigMap default/second": 3, "ConfigMap default/after": 4}
	if diff := cmp.Diff(want, levels(g)); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	if len(g.LeftOut) != 1 || g.LeftOut[0].GetName() != "never" {
		t.Errorf("left out: %v", g.LeftOut)
	}
	if !slices.Contains(edges(g), "ConfigMap default/main after [all 1 object of pre-sync-wave 3]: is in sync-wave 0 (Declared Ready)") {
		t.Errorf("edges %v", edges(g))
	}
}

func TestAHookIsNamed(t *testing.T) {
	objects := parse(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-, namespace: default}")
	objects[0].Rules = &manifests.Rules{Phase: manifests.PhaseBefore, Hook: &manifests.Hook{}}
	g, err := order.Build(objects, order.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if name := g.Nodes[0].Object.GetName(); !strings.HasPrefix(name, "migrate-") || len(name) != 16 {
		t.Errorf("name %q", name)
	}
}

// TestMixedUnits divides objects among units that wait for some earlier ones. Whatever
// the input, the graph is acyclic, does not depend on its sequence, and puts no object
// before one of a unit that its own unit waits for, unless a hard edge asks for it.
func TestMixedUnits(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 4))
		objects := mixed(r, 5+r.IntN(40))
		units := make([]manifests.Unit, 2+r.IntN(6))
		for i := range units {
			units[i] = unit(fmt.Sprintf("unit-%d", i))
			units[i].Ready.All = r.IntN(2) == 0
			for j := range i {
				if r.IntN(3) == 0 {
					units[i].After = append(units[i].After, manifests.Dependency{Unit: units[j].Name, Reason: "dependsOn"})
				}
			}
		}
		for i := range objects {
			objects[i].Origin.Unit = units[r.IntN(len(units))].Name
		}
		for i := range units {
			units[i].Definition = objects[r.IntN(len(objects))].ID()
		}
		g, err := order.Build(objects, order.Options{Units: units})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkShape(t, seed, g, len(objects))
		again, err := order.Build(shuffled(r, objects), order.Options{Units: units})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(g.View(), again.View()); diff != "" {
			t.Fatalf("seed %d: another sequence, another graph:\n%s", seed, diff)
		}
		checkUnits(t, seed, g, units)
		checkReverse(t, seed, g)
	}
}

func checkUnits(t *testing.T, seed uint64, g *order.Graph, units []manifests.Unit) {
	t.Helper()
	last, first := map[string]int{}, map[string]int{}
	definition := map[manifests.ID]bool{}
	for _, u := range units {
		definition[u.Definition] = true
	}
	for _, n := range g.Nodes[:g.Len()] {
		u := n.Object.Origin.Unit
		if first[u] == 0 {
			first[u] = n.Wave
		}
		if !definition[n.Object.ID()] {
			last[u] = max(last[u], n.Wave)
		}
	}
	for _, u := range units {
		for _, d := range u.After {
			if first[u.Name] != 0 && first[u.Name] <= last[d.Unit] {
				t.Fatalf("seed %d: %s begins in wave %d, before %s ends in wave %d", seed, u.Name, first[u.Name], d.Unit, last[d.Unit])
			}
		}
	}
}

// checkReverse holds for every graph: each object is deleted once, and after all that
// waited for it.
func checkReverse(t *testing.T, seed uint64, g *order.Graph) {
	t.Helper()
	level := map[int]int{}
	for k, objects := range g.Reverse() {
		for _, i := range objects {
			level[i] = k + 1
		}
	}
	if len(level) != g.Len() {
		t.Fatalf("seed %d: %d of %d objects are deleted", seed, len(level), g.Len())
	}
	// Through barriers: the latest level among the objects that waited.
	dependants := make([][]int, len(g.Nodes))
	for i, n := range g.Nodes {
		for _, e := range n.Needs {
			dependants[e.From] = append(dependants[e.From], i)
		}
	}
	var latest func(n int) int
	latest = func(n int) int {
		if !g.Nodes[n].Virtual() {
			return level[n]
		}
		out := 0
		for _, d := range dependants[n] {
			out = max(out, latest(d))
		}
		return out
	}
	for i := range g.Len() {
		for _, d := range dependants[i] {
			if after := latest(d); after >= level[i] {
				t.Fatalf("seed %d: %s is deleted in level %d, before what waited for it in level %d", seed, nodeName(g.Nodes[i]), level[i], after)
			}
		}
	}
}

func TestReverse(t *testing.T) {
	g := build(t, docs(annotated("a", wave, "0"), annotated("b", wave, "1"), annotated("c", wave, "1"), annotated("d", wave, "2"),
		"# unit free\n"+meta("v1", "ConfigMap", "e")), order.Options{})
	var got [][]string
	for _, objects := range g.Reverse() {
		var names []string
		for _, i := range objects {
			names = append(names, g.Nodes[i].Object.GetName())
		}
		got = append(got, names)
	}
	if diff := cmp.Diff([][]string{{"d", "e"}, {"c", "b"}, {"a"}}, got); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
}
