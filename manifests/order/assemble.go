package order

import (
	"cmp"
	"slices"
	"strings"
)

// simulatedLast puts what nothing answers on a simulated cluster after all the rest.
func (b *builder) simulatedLast() {
	var rest, last []int
	for i := range b.items {
		if b.late[i] {
			last = append(last, i)
		} else {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 || len(last) == 0 {
		return
	}
	done := b.barrier("all " + count(len(rest), "other object"))
	for _, i := range rest {
		b.need(done, i, Ready, Inferred, "goes before what nothing answers here")
	}
	for _, i := range last {
		b.need(i, done, Ready, Inferred, "is answered by nothing on a simulated cluster")
	}
}

// graph computes the levels and gives nodes their final sequence.
func (b *builder) graph() *Graph {
	links := append(append([]link{}, b.strong...), b.soft...)
	level := b.levels(links)
	order := make([]int, b.nodes())
	for n := range order {
		order[n] = n
	}
	// Items are already in the sequence of rank and ID, barriers in that of creation.
	slices.SortStableFunc(order, func(x, y int) int {
		if x < len(b.items) && y < len(b.items) {
			return cmp.Compare(level[x], level[y])
		}
		return cmp.Compare(max(x, len(b.items)-1), max(y, len(b.items)-1))
	})
	final := make([]int, len(order))
	g := &Graph{Nodes: make([]Node, len(order)), Warnings: b.warnings, Units: b.units.sorted(), LeftOut: b.leftOut}
	for at, n := range order {
		final[n] = at
		node := Node{Wave: level[n]}
		if n < len(b.items) {
			node.Object = b.items[n].Object
			for len(g.Waves) < level[n] {
				g.Waves = append(g.Waves, nil)
			}
			g.Waves[level[n]-1] = append(g.Waves[level[n]-1], at)
		} else {
			node.Barrier = b.barriers[n-len(b.items)]
		}
		g.Nodes[at] = node
	}
	connect(g, links, final)
	return g
}

// levels is the longest path to each node, counted in objects. The links are acyclic.
func (b *builder) levels(links []link) []int {
	level, waiting := make([]int, b.nodes()), make([]int, b.nodes())
	for _, l := range links {
		waiting[l.to]++
	}
	out := adjacency(b.nodes(), links)
	queue := make([]int, 0, b.nodes())
	for n, w := range waiting {
		if w == 0 {
			queue = append(queue, n)
		}
	}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if n < len(b.items) {
			level[n]++ // until now the highest level among its dependencies
		}
		for _, k := range out[n] {
			to := links[k].to
			level[to] = max(level[to], level[n])
			if waiting[to]--; waiting[to] == 0 {
				queue = append(queue, to)
			}
		}
	}
	return level
}

// connect gives each node its needs, one per dependency.
func connect(g *Graph, links []link, final []int) {
	needs := make([]int, len(final))
	for _, l := range links {
		needs[final[l.to]]++
	}
	for n := range g.Nodes {
		if needs[n] > 0 {
			g.Nodes[n].Needs = make([]Edge, 0, needs[n])
		}
	}
	for _, l := range links {
		n := &g.Nodes[final[l.to]]
		n.Needs = append(n.Needs, Edge{From: final[l.from], Gate: l.gate, Kind: l.kind, Reason: l.reason})
	}
	for n := range g.Nodes {
		g.Nodes[n].Needs = merge(g.Nodes[n].Needs)
	}
}

var (
	gateStrength = map[Gate]int{Applied: 0, Served: 1, Ready: 2}
	kindStrength = map[EdgeKind]int{Inferred: 0, Declared: 1, Hard: 2}
)

// merge joins edges from one dependency: the strictest gate, the strongest kind, all
// reasons.
func merge(edges []Edge) []Edge {
	slices.SortStableFunc(edges, func(a, b Edge) int { return cmp.Compare(a.From, b.From) })
	out := edges[:0]
	var reasons []string
	for _, e := range edges {
		if len(out) == 0 || e.From != out[len(out)-1].From {
			out, reasons = append(out, e), []string{e.Reason}
			continue
		}
		last := &out[len(out)-1]
		if gateStrength[e.Gate] > gateStrength[last.Gate] {
			last.Gate = e.Gate
		}
		if kindStrength[e.Kind] > kindStrength[last.Kind] {
			last.Kind = e.Kind
		}
		if !slices.Contains(reasons, e.Reason) {
			reasons = append(reasons, e.Reason)
			last.Reason = strings.Join(reasons, ", ")
		}
	}
	return out
}
