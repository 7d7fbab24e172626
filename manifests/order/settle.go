package order

import "fmt"

// settle drops the soft edges that declared order contradicts: those that point from
// a later sync-wave to an earlier one of the same unit, or from a unit to one that it
// waits for, and those that would close a cycle, the weakest first. Each rule's
// contradictions are reported.
func (b *builder) settle() {
	kept := b.soft[:0]
	var against []link
	for _, l := range b.soft {
		if b.declaredBetween(l.to, l.from) != "" {
			// That a unit comes before a webhook which would see it is what the
			// repository wants, not what it overlooks.
			if l.strength != interception || b.unit[l.from] == b.unit[l.to] {
				against = append(against, l)
			}
			continue
		}
		kept = append(kept, l)
	}
	b.soft = kept
	b.report(against, func(l link) string { return b.declaredBetween(l.to, l.from) })
	b.dropCycles()
}

// dropCycles adds the soft edges strength by strength and drops those that lie on a
// cycle with what was there before. Usually there is none and one look suffices.
func (b *builder) dropCycles() {
	all := append(append([]link{}, b.strong...), b.soft...)
	if !cyclic(components(b.nodes(), all)) {
		return
	}
	kept := append([]link{}, b.strong...)
	for st := handover; st <= interception; st++ {
		trial := b.with(kept, st)
		comp := components(b.nodes(), trial)
		dropped, changed := b.untangle(st, kept, comp)
		if changed {
			trial = b.with(kept, st)
			comp = components(b.nodes(), trial)
		}
		next := kept[:len(kept):len(kept)]
		for _, l := range trial[len(kept):] {
			if comp.id[l.from] == comp.id[l.to] {
				dropped = append(dropped, l)
				continue
			}
			next = append(next, l)
		}
		kept = next
		b.reportCycles(st, dropped)
	}
	b.soft = kept[len(b.strong):]
}

// with adds the soft edges of one strength.
func (b *builder) with(kept []link, st strength) []link {
	out := kept[:len(kept):len(kept)]
	for _, l := range b.soft {
		if l.strength == st {
			out = append(out, l)
		}
	}
	return out
}

// reportCycles stays silent about a webhook that would intercept what it needs
// itself: such an object always goes first, and no declared order is broken by it.
func (b *builder) reportCycles(st strength, dropped []link) {
	switch {
	case st == interception || len(dropped) == 0:
		return
	case st == handover:
		for _, l := range dropped {
			b.keptInPlace(l.to)
		}
		return
	}
	out := adjacency(b.nodes(), b.strong)
	b.report(dropped, func(l link) string {
		if why := b.declaredBetween(l.to, l.from); why != "" {
			return why
		}
		if first := b.firstOnPath(l.to, l.from, out); first != nil {
			return fmt.Sprintf("that closes a cycle, as %s %s", b.name(first.to), first.reason)
		}
		return "that closes a cycle of inferred edges"
	})
}

// firstOnPath is the declared or hard link by which the last node of a path waits, or
// nil if declared and hard links alone make no path.
func (b *builder) firstOnPath(start, end int, out [][]int) *link {
	via := map[int]int{start: -1}
	queue := []int{start}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, k := range out[n] {
			to := b.strong[k].to
			if _, seen := via[to]; seen {
				continue
			}
			via[to] = k
			if to == end {
				return &b.strong[k]
			}
			queue = append(queue, to)
		}
	}
	return nil
}

// report groups dropped edges by dependency and reason, so that one cause is one
// warning.
func (b *builder) report(dropped []link, but func(link) string) {
	type cause struct {
		from   int
		reason string
	}
	groups := map[cause][]link{}
	var causes []cause
	for _, l := range dropped {
		c := cause{l.from, l.reason}
		if len(groups[c]) == 0 {
			causes = append(causes, c)
		}
		groups[c] = append(groups[c], l)
	}
	for n, c := range causes {
		if n == maxPrinted {
			b.warn("and %s that declared order contradicts", count(len(causes)-n, "more inferred edge"))
			return
		}
		first, others := groups[c][0], ""
		if more := len(groups[c]) - 1; more > 0 {
			others = " and " + count(more, "more object")
		}
		b.warn("%s%s should wait for %s, because it %s; but %s: declared order wins",
			b.name(first.to), others, b.name(first.from), first.reason, but(first))
	}
}
