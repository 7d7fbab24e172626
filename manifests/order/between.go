package order

import (
	"fmt"

	"github.com/refloat-dev/refloat/manifests"
)

// declaredUnits makes every object of a unit wait until the units are ready that it
// waits for, and the definition of a unit until the unit is.
func (b *builder) declaredUnits() {
	own, members := map[string][]int{}, map[string][]int{}
	definitions := map[int]bool{}
	for i, it := range b.items {
		own[b.unit[i]] = append(own[b.unit[i]], i)
		members[it.Origin.Unit] = append(members[it.Origin.Unit], i)
	}
	for unit, copies := range b.copies {
		members[unit] = append(members[unit], copies...)
	}
	for _, u := range b.units.list {
		if d, ok := b.byID[u.Definition]; ok {
			definitions[d] = true
		}
	}
	done := map[string]int{}
	for _, u := range b.units.sorted() {
		start := b.begin(u, own[u.Name], done)
		definition, handed := b.byID[u.Definition]
		handed = handed && !b.late[definition] && len(members[u.Name]) > 0
		if handed && b.items[definition].Origin.Unit == u.Name {
			b.warn("%s belongs to the unit that it defines: it goes in its place there, not after the rest", b.name(definition))
			handed = false
		}
		if !handed && len(b.units.dependants[b.units.index[u.Name]]) == 0 {
			continue
		}
		end := b.end(u, start, members[u.Name], definitions)
		done[u.Name] = end
		if handed {
			b.soft = append(b.soft, link{from: end, to: definition, gate: Ready, kind: Declared, reason: "hands them over", strength: handover})
		}
	}
}

// begin makes the objects that go in a unit wait for the units before it. It returns
// the node that stands for these; -1 if there is none.
func (b *builder) begin(u manifests.Unit, objects []int, done map[string]int) int {
	if len(u.After) == 0 {
		return -1
	}
	start, reason := done[u.After[0].Unit], u.After[0].Reason+" of "+u.Name
	if len(u.After) > 1 {
		start, reason = b.barrier("what "+u.Name+" waits for"), "belongs to "+u.Name
		for _, d := range u.After {
			b.need(start, done[d.Unit], Ready, Declared, d.Reason)
		}
	}
	for _, i := range objects {
		if !b.late[i] {
			b.need(i, start, Ready, Declared, reason)
		}
	}
	return start
}

// end is the barrier that is passed when a unit is ready. Definitions of further units
// are left out of a unit that need not be healthy as a whole: what they declare goes
// its own way.
func (b *builder) end(u manifests.Unit, start int, members []int, definitions map[int]bool) int {
	gate, how := Applied, "applied"
	switch {
	case u.Ready.All:
		gate, how = Ready, "healthy"
	case len(u.Ready.Objects) > 0:
		how = fmt.Sprintf("applied, and %s healthy", count(len(u.Ready.Objects), "object"))
	}
	done := b.barrier(fmt.Sprintf("%s: all %s %s", u.Name, count(len(members), "object"), how))
	if start >= 0 {
		b.need(done, start, Ready, Declared, "is waited for by "+u.Name)
	}
	for _, i := range members {
		g := gate
		if rules := b.items[i].Rules; rules != nil && rules.Hook != nil {
			g = Ready // a hook is done when its work is
		}
		if b.late[i] || g == Applied && definitions[i] {
			continue
		}
		b.counted[i] = true
		b.need(done, i, g, Declared, "belongs to "+u.Name)
	}
	for _, id := range u.Ready.Objects {
		i, ok := b.byID[id]
		switch {
		case !ok:
			b.warn("%s is ready when %s is healthy, which nothing in the repository holds: not waited for", whereUnit(u), id)
		case b.late[i]:
			b.warn("%s is ready when %s is healthy, which goes last on a simulated cluster: not waited for", whereUnit(u), b.name(i))
		default:
			b.need(done, i, Ready, Declared, "says whether "+u.Name+" is healthy")
		}
	}
	return done
}

// keptInPlace says that a definition does not go after the objects that it declares.
func (b *builder) keptInPlace(definition int) {
	b.warn("%s does not go after the objects of its own unit, because some of these wait for it: it goes in its place among them", b.name(definition))
}
