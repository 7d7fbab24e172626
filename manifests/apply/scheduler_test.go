package apply

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

func node(name string, needs ...order.Edge) order.Node {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": "a", "name": name}}}
	return order.Node{Object: manifests.Object{Unstructured: u}, Needs: needs}
}

func barrier(needs ...order.Edge) order.Node { return order.Node{Barrier: "a barrier", Needs: needs} }

func after(from int, g order.Gate) order.Edge { return order.Edge{From: from, Gate: g} }

func takeAll(s *scheduler) []int {
	var out []int
	for {
		i, ok := s.next()
		if !ok {
			return out
		}
		out = append(out, i)
	}
}

func TestSchedulerOpensGates(t *testing.T) {
	g := &order.Graph{Nodes: []order.Node{
		node("root"),
		node("applied", after(0, order.Applied)),
		node("ready", after(0, order.Ready)),
		node("both", after(0, order.Applied), after(0, order.Served), after(2, order.Ready)),
		barrier(after(1, order.Ready), after(2, order.Ready)),
		node("behind", after(4, order.Ready)),
	}}
	s, err := newScheduler(g)
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		node int
		gate order.Gate
		want []int
	}{
		{0, order.Applied, []int{1}},
		{0, order.Applied, nil}, // again
		{0, order.Ready, []int{2}},
		{2, order.Ready, nil},
		{0, order.Served, []int{3}},
		{1, order.Applied, nil}, // the barrier wants Ready
		{1, order.Ready, []int{5}},
	}
	if got := takeAll(s); !slices.Equal(got, []int{0}) {
		t.Fatalf("at first %v may go, want only the root", got)
	}
	for _, step := range steps {
		s.observe(step.node, step.gate)
		if got := takeAll(s); !slices.Equal(got, step.want) {
			t.Errorf("after %s of %d: %v may go, want %v", step.gate, step.node, got, step.want)
		}
	}
}

func TestSchedulerStartsLongestChainFirst(t *testing.T) {
	g := &order.Graph{Nodes: []order.Node{
		node("alone"), node("short"), node("long"),
		node("after short", after(1, order.Applied)),
		node("after long", after(2, order.Ready)),
	}}
	s, err := newScheduler(g)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := takeAll(s), []int{2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// What an earlier process applied is taken over one by one, and the gates that it opens
// may queue others before they are taken over in their turn.
func TestSchedulerSendsNothingThatWasTakenOver(t *testing.T) {
	s, err := newScheduler(&order.Graph{Nodes: []order.Node{
		node("root"), node("applied before", after(0, order.Applied)), node("not applied yet", after(0, order.Applied)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1} {
		s.take(i)
		s.observe(i, order.Applied)
	}
	if got, want := takeAll(s), []int{2}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

func TestSchedulerRefusesGraphsOnWhichItWouldHang(t *testing.T) {
	cases := map[string]struct {
		nodes []order.Node
		want  string
	}{
		"cycle":           {[]order.Node{node("a", after(1, order.Applied)), node("b", after(0, order.Applied))}, "cycle"},
		"edge to nowhere": {[]order.Node{node("a", after(7, order.Applied))}, "node 7"},
		"negative edge":   {[]order.Node{node("a", after(-1, order.Applied))}, "does not exist"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := newScheduler(&order.Graph{Nodes: tc.nodes}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// On random graphs, with gates opening in random sequence: nothing is sent before its
// gates or twice, nothing that may go is held back, and everything is sent in the end.
func TestSchedulerProperties(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := randomGraph(r)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, r, g) })
	}
}

func randomGraph(r *rand.Rand) *order.Graph {
	all := []order.Gate{order.Applied, order.Served, order.Ready}
	g := &order.Graph{}
	for i := range 1 + r.IntN(40) {
		var needs []order.Edge
		for from := range i {
			if r.IntN(5) == 0 {
				needs = append(needs, after(from, all[r.IntN(3)]))
			}
		}
		if r.IntN(8) == 0 {
			g.Nodes = append(g.Nodes, barrier(needs...))
		} else {
			g.Nodes = append(g.Nodes, node(fmt.Sprint(i), needs...))
		}
	}
	return g
}

type opening struct {
	node int
	gate order.Gate
}

func simulate(t *testing.T, r *rand.Rand, g *order.Graph) {
	s, err := newScheduler(g)
	if err != nil {
		t.Fatal(err)
	}
	open, sent := map[opening]bool{}, map[int]bool{}
	var pending []opening
	for {
		for _, i := range takeAll(s) {
			if sent[i] || !met(g, open, i) {
				t.Fatalf("node %d was sent twice or before its gates", i)
			}
			sent[i] = true
			for _, gate := range []order.Gate{order.Applied, order.Served, order.Ready} {
				pending = append(pending, opening{i, gate})
			}
		}
		for i, n := range g.Nodes {
			if !n.Virtual() && !sent[i] && met(g, open, i) {
				t.Fatalf("node %d may go and is held back", i)
			}
		}
		if len(pending) == 0 {
			break
		}
		at := r.IntN(len(pending))
		o := pending[at]
		pending = slices.Delete(pending, at, at+1)
		open[o] = true
		s.observe(o.node, o.gate)
	}
	for i, n := range g.Nodes {
		if !n.Virtual() && !sent[i] {
			t.Errorf("node %d was never sent", i)
		}
	}
}

// met is the rule, stated without any bookkeeping.
func met(g *order.Graph, open map[opening]bool, i int) bool {
	for _, e := range g.Nodes[i].Needs {
		if g.Nodes[e.From].Virtual() {
			if !met(g, open, e.From) {
				return false
			}
		} else if !open[opening{e.From, e.Gate}] {
			return false
		}
	}
	return true
}

// What waits for an object that is given up goes on, but for what cannot be without it.
func TestSchedulerGivesUp(t *testing.T) {
	hard := func(from int, g order.Gate) order.Edge { return order.Edge{From: from, Gate: g, Kind: order.Hard} }
	g := &order.Graph{Nodes: []order.Node{
		node("optional"),
		node("soft", after(0, order.Ready)),
		node("in it", hard(0, order.Applied)),
		node("served by it", hard(0, order.Served)),
		barrier(after(0, order.Ready)),
		node("behind", after(4, order.Ready)),
	}}
	for name, tt := range map[string]struct {
		observed       []order.Gate
		free, stranded []int
	}{
		"never accepted": {nil, []int{1, 5}, []int{2, 3}},
		"accepted, late": {[]order.Gate{order.Applied}, []int{1, 2, 5}, []int{3}},
		"served, late":   {[]order.Gate{order.Applied, order.Served}, []int{1, 2, 3, 5}, nil},
	} {
		s, err := newScheduler(g)
		if err != nil {
			t.Fatal(err)
		}
		free := takeAll(s)[1:]
		for _, gate := range tt.observed {
			s.observe(0, gate)
		}
		stranded := s.giveUp(0)
		if free = append(free, takeAll(s)...); !slices.Equal(slices.Sorted(slices.Values(free)), tt.free) || !slices.Equal(stranded, tt.stranded) {
			t.Errorf("%s: %v may go and %v cannot, want %v and %v", name, free, stranded, tt.free, tt.stranded)
		}
	}
}
