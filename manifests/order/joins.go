package order

import (
	"fmt"
	"slices"
	"strings"
)

// manyToMany is the product from which an edge for each pair is still worth its
// reason; beyond it a barrier stands between the two sides.
const manyToMany = 64

// joined is a relation of many to many with a barrier between its sides.
type joined struct {
	middle              int
	to, from            []int
	gate                Gate
	strength            strength
	description, reason string
}

// join makes each of many objects wait for each of many others, in linear space.
func (b *builder) join(to, from []int, gate Gate, st strength, description, reason string) {
	if len(to)*len(from) <= manyToMany {
		for _, t := range to {
			for _, f := range from {
				b.prefer(t, f, gate, st, reason)
			}
		}
		return
	}
	from = slices.DeleteFunc(slices.Clone(from), func(f int) bool { return b.late[f] })
	if len(from) == 0 {
		return
	}
	j := joined{middle: b.barrier(description), to: to, from: from, gate: gate, strength: st, description: description, reason: reason}
	b.joins = append(b.joins, j)
	for _, f := range from {
		b.soft = append(b.soft, link{from: f, to: j.middle, gate: gate, kind: Inferred, reason: "belongs to them", strength: st})
	}
	for _, t := range to {
		b.soft = append(b.soft, link{from: j.middle, to: t, gate: Ready, kind: Inferred, reason: reason, strength: st})
	}
}

// maxUntangled bounds how many members of barriers are looked at one by one.
const maxUntangled = 512

// untangle takes those members out of the barriers of one strength that would close a
// cycle with what is kept already, and lets them be waited for by whatever does not
// contradict: one contradiction must not cost a barrier the edges of all others. It
// returns the pairs that it gave up.
func (b *builder) untangle(st strength, kept []link, comp partition) (dropped []link, changed bool) {
	var before [][]int // of each node, the nodes that it waits for
	for _, j := range b.joins {
		own := comp.id[j.middle]
		if j.strength != st || comp.size[own] == 1 {
			continue
		}
		if before == nil {
			before = predecessors(b.nodes(), kept)
		}
		out := map[string]*subset{}
		var keys []string
		for _, f := range j.from {
			if comp.id[f] != own || b.untangled == maxUntangled {
				continue
			}
			b.untangled++
			first := among(j.to, f, before)
			if len(first) == 0 {
				continue
			}
			key := fmt.Sprint(first)
			if out[key] == nil {
				out[key] = &subset{first: first}
				keys = append(keys, key)
			}
			out[key].from = append(out[key].from, f)
		}
		for _, key := range keys {
			changed = true
			dropped = append(dropped, b.split(j, out[key])...)
		}
	}
	return dropped, changed
}

// subset of the objects that others should wait for, all of which come after the same
// ones of those.
type subset struct{ from, first []int }

// split a subset off a barrier.
func (b *builder) split(j joined, s *subset) []link {
	gone := map[int]bool{}
	for _, f := range s.from {
		gone[f] = true
	}
	b.soft = slices.DeleteFunc(b.soft, func(l link) bool { return l.to == j.middle && gone[l.from] })
	var dropped []link
	for _, f := range s.from {
		for _, t := range s.first {
			dropped = append(dropped, link{from: f, to: t, gate: j.gate, kind: Inferred, reason: j.reason, strength: j.strength})
		}
	}
	free := slices.DeleteFunc(slices.Clone(j.to), func(t int) bool { return slices.Contains(s.first, t) })
	if len(free) > 0 {
		b.join(free, s.from, j.gate, j.strength, j.description, j.reason)
	}
	return dropped
}

// predecessors lists for each node those that it waits for.
func predecessors(nodes int, links []link) [][]int {
	out := make([][]int, nodes)
	for _, l := range links {
		out[l.to] = append(out[l.to], l.from)
	}
	return out
}

// among lists those of some nodes that come before a node.
func among(nodes []int, node int, before [][]int) []int {
	seen := map[int]bool{node: true}
	queue := []int{node}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if n >= len(before) {
			continue
		}
		for _, p := range before[n] {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	var out []int
	for _, n := range nodes {
		if n != node && seen[n] {
			out = append(out, n)
		}
	}
	return out
}

// declaredBetween says in words why declared order puts the first before the second;
// "" when neither waves nor units do.
func (b *builder) declaredBetween(first, second int) string {
	n := len(b.items)
	if first >= n || second >= n || b.late[first] {
		return ""
	}
	one, other := b.unit[first], b.unit[second]
	switch {
	case one == other && b.waved[one] && b.place[first].compare(b.place[second]) < 0:
		return puts(b.place[first], b.place[second])
	case one != other && b.counted[first] && b.units.after(other, b.items[first].Origin.Unit):
		return fmt.Sprintf("%s waits for %s", other, b.items[first].Origin.Unit)
	}
	return ""
}

func puts(first, second place) string {
	if first.phase == second.phase {
		kind, _, _ := strings.Cut(first.String(), " ")
		return fmt.Sprintf("%ss %d and %d put it first", kind, first.wave, second.wave)
	}
	return fmt.Sprintf("%s and %s put it first", first, second)
}
