package order

import (
	"fmt"
)

// settle drops the soft edges that declared order contradicts: those that point from
// a later sync-wave to an earlier one of the same unit, and those that would close a
// cycle, the weakest first. Each rule's contradictions are reported.
func (b *builder) settle() {
	kept := b.soft[:0]
	var against []link
	for _, l := range b.soft {
		if b.againstWaves(l) {
			against = append(against, l)
			continue
		}
		kept = append(kept, l)
	}
	b.soft = kept
	b.report(against, func(l link) string {
		return fmt.Sprintf("but they declare sync-wave %d and %d", b.wave[l.to], b.wave[l.from])
	})
	b.dropCycles()
}

func (b *builder) againstWaves(l link) bool {
	n := len(b.items)
	if l.from >= n || l.to >= n {
		return false
	}
	unit := b.items[l.from].Origin.Unit
	return b.waved[unit] && b.items[l.to].Origin.Unit == unit && b.wave[l.from] > b.wave[l.to] && !b.late[l.to]
}

// dropCycles adds the soft edges strength by strength and drops those that lie on a
// cycle with what was there before. Usually there is none and one look suffices.
func (b *builder) dropCycles() {
	all := append(append([]link{}, b.strong...), b.soft...)
	if !cyclic(components(b.nodes(), all)) {
		return
	}
	kept := append([]link{}, b.strong...)
	for st := reference; st <= interception; st++ {
		trial := kept
		for _, l := range b.soft {
			if l.strength == st {
				trial = append(trial, l)
			}
		}
		comp := components(b.nodes(), trial)
		var dropped []link
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

// reportCycles stays silent about a webhook that would intercept what it needs
// itself: such an object always goes first, and no declared order is broken by it.
func (b *builder) reportCycles(st strength, dropped []link) {
	if st == interception {
		return
	}
	b.report(dropped, func(l link) string {
		return "but " + b.name(l.from) + " already waits for it in declared order"
	})
}

// report groups dropped edges by dependency and reason, so that one cause is one
// warning.
func (b *builder) report(dropped []link, because func(link) string) {
	type key struct {
		from   int
		reason string
	}
	groups := map[key][]link{}
	var keys []key
	for _, l := range dropped {
		k := key{l.from, l.reason}
		if len(groups[k]) == 0 {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], l)
	}
	for _, k := range keys {
		first := groups[k][0]
		others := ""
		if n := len(groups[k]) - 1; n > 0 {
			others = fmt.Sprintf(" (and %s more)", count(n, "object"))
		}
		b.warn("%s%s %s: %s; %s; declared order wins", b.name(first.to), others, "should wait for "+b.name(first.from), first.reason, because(first))
	}
}
