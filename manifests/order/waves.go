package order

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/refloat-dev/refloat/manifests"
)

// place of an object within its unit. One place begins when all that is in earlier
// places is ready.
type place struct {
	phase manifests.Phase
	wave  int
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.phase, q.phase), cmp.Compare(p.wave, q.wave))
}

func (p place) String() string {
	switch {
	case p.phase < manifests.PhaseMain:
		return fmt.Sprintf("pre-sync-wave %d", p.wave)
	case p.phase > manifests.PhaseMain:
		return fmt.Sprintf("post-sync-wave %d", p.wave)
	}
	return fmt.Sprintf("sync-wave %d", p.wave)
}

// declaredWaves reads the places within each unit and makes every later one of a unit
// wait until all earlier ones are ready. Places in different units do not compare.
func (b *builder) declaredWaves() {
	b.readPlaces()
	b.pullForward()
	places := map[string]map[place][]int{}
	for i := range b.items {
		if b.late[i] {
			continue
		}
		unit := b.unit[i]
		if places[unit] == nil {
			places[unit] = map[place][]int{}
		}
		places[unit][b.place[i]] = append(places[unit][b.place[i]], i)
	}
	for _, unit := range sortedKeys(places) {
		if len(places[unit]) > 1 {
			b.waved[unit] = true
			b.chain(unit, places[unit])
		}
	}
}

// readPlaces takes the place from the rules, or from the annotation of an object that
// has none.
func (b *builder) readPlaces() {
	b.place, b.unit = make([]place, len(b.items)), make([]string, len(b.items))
	for i, it := range b.items {
		b.unit[i] = it.Origin.Unit
		if it.Rules != nil {
			b.place[i] = place{phase: it.Rules.Phase, wave: it.Rules.Wave}
			continue
		}
		n, err := manifests.WaveOf(it.Unstructured)
		if err != nil {
			b.warn("%s: %v", it.where(), err)
		}
		b.place[i] = place{wave: n}
	}
}

// pullForward moves what a hard edge needs into the earliest place that needs it, also
// out of its unit if that waits for the one that needs it, and what that needs in turn.
func (b *builder) pullForward() {
	needs := map[int][]int{}
	for _, l := range b.strong {
		needs[l.to] = append(needs[l.to], l.from)
	}
	declared, by := slices.Clone(b.place), map[int]int{}
	queue := make([]int, 0, len(needs))
	for i := range b.items {
		if len(needs[i]) > 0 && !b.late[i] {
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		user := queue[0]
		queue = queue[1:]
		for _, dep := range needs[user] {
			if b.later(dep, user) {
				b.unit[dep], b.place[dep], by[dep] = b.unit[user], b.place[user], user
				queue = append(queue, dep)
			}
		}
	}
	for _, dep := range sortedKeys(by) {
		if own := b.items[dep].Origin.Unit; b.unit[dep] != own {
			b.warn("%s belongs to %s, which waits for %s, but %s needs it: it goes first",
				b.name(dep), own, b.unit[dep], b.name(by[dep]))
			continue
		}
		b.warn("%s declares %s, but %s needs it in %s: it goes in %s",
			b.name(dep), declared[dep], b.name(by[dep]), b.place[dep], b.place[dep])
	}
}

// later tells whether declared order puts an item after one that needs it.
func (b *builder) later(dep, user int) bool {
	if b.unit[dep] == b.unit[user] {
		return b.place[user].compare(b.place[dep]) < 0
	}
	return b.units.after(b.unit[dep], b.unit[user])
}

// chain makes one barrier after each place of a unit but the last.
func (b *builder) chain(unit string, places map[place][]int) {
	sequence := make([]place, 0, len(places))
	for p := range places {
		sequence = append(sequence, p)
	}
	slices.SortFunc(sequence, place.compare)
	for k, p := range sequence[:len(sequence)-1] {
		next := sequence[k+1]
		members := places[p]
		done := b.barrier(fmt.Sprintf("all %s of %s%s", count(len(members), "object"), p, of(unit)))
		for _, i := range members {
			b.need(done, i, Ready, Declared, fmt.Sprintf("is in %s", p))
		}
		for _, i := range places[next] {
			b.need(i, done, Ready, Declared, fmt.Sprintf("is in %s", next))
		}
	}
}

func of(unit string) string {
	if unit == "" {
		return ""
	}
	return " of " + unit
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
