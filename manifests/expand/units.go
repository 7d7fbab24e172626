package expand

import (
	"fmt"
	"maps"
	"slices"

	"github.com/refloat-dev/refloat/manifests"
)

// planned is a unit on its way into the result.
type planned struct {
	manifests.Unit
	def      manifests.ID
	declared *declaration // nil for a state path, and for a part of a unit
	parent   string       // the unit that rendered the definition
	gate     bool         // a part of a unit that others wait for
}

// units of the result, each after those that it waits for.
func (d *driver) units(static []manifests.Object) ([]*planned, error) {
	if err := d.cycle(); err != nil {
		return nil, err
	}
	var all []*planned
	byName := map[string]*planned{}
	for _, u := range d.paths {
		all = append(all, &planned{Unit: u})
	}
	for _, id := range slices.SortedFunc(maps.Keys(d.attempt), manifests.ID.Compare) {
		a := d.attempt[id]
		if a.declared == nil || a.declared.generator {
			continue
		}
		effective := d.state.objects[id]
		p := &planned{Unit: a.declared.Unit, def: id, declared: a.declared, parent: effective.object.Origin.Unit}
		p.Origin = effective.object.Origin
		all = append(all, p)
	}
	for _, p := range all {
		byName[p.Name] = p
	}
	all = append(all, d.gated(all, byName, static)...)
	if err := d.resolve(all, byName); err != nil {
		return nil, err
	}
	for _, p := range all {
		inherit(p, byName, map[string]bool{})
	}
	d.widen(all, byName)
	return sorted(all, byName)
}

// cycle finds definitions that only each other render.
func (d *driver) cycle() error {
	for _, start := range slices.SortedFunc(maps.Keys(d.attempt), manifests.ID.Compare) {
		var names []string
		seen := map[manifests.ID]bool{}
		for id := start; ; {
			names = append(names, unitName(id))
			parent := d.turns[d.state.objects[id].turn]
			if parent == (manifests.ID{}) || parent == id {
				break // a state path, or a unit that manages itself
			}
			if seen[id] = true; seen[parent] {
				slices.Reverse(names)
				return fmt.Errorf("%s: definitions render each other in a circle: %s: give each a path that does not hold the other",
					d.state.objects[start].object.Origin, chain(append(names, names[0])))
			}
			id = parent
		}
	}
	return nil
}

// resolve checks that the units that others wait for exist.
func (d *driver) resolve(all []*planned, byName map[string]*planned) error {
	skipped := map[string]bool{}
	for id, a := range d.attempt {
		if a.declared == nil {
			skipped[unitName(id)] = true
		}
	}
	var faults []error
	for _, p := range all {
		var kept []manifests.Dependency
		for _, dep := range p.After {
			switch {
			case byName[dep.Unit] != nil:
				kept = append(kept, dep)
			case skipped[dep.Unit]:
				d.warn(fmt.Sprintf("%s: %s: %s names %s, which is not expanded: nothing waits for it", p.Origin, p.Name, dep.Reason, dep.Unit))
			default:
				faults = append(faults, fmt.Errorf("%s: %s: %s names %s, which nothing in the state defines", p.Origin, p.Name, dep.Reason, dep.Unit))
			}
		}
		p.After = kept
	}
	return joined(faults)
}

// inherit makes a unit wait for what its parent waits for: its definition comes to be
// only then.
func inherit(p *planned, byName map[string]*planned, done map[string]bool) {
	parent := byName[p.parent]
	if p.declared == nil || parent == nil || parent == p || done[p.Name] {
		return
	}
	done[p.Name] = true
	inherit(parent, byName, done)
	for _, dep := range parent.After {
		if dep.Unit == p.Name || slices.ContainsFunc(p.After, func(has manifests.Dependency) bool { return has.Unit == dep.Unit }) {
			continue
		}
		p.After = append(p.After, manifests.Dependency{Unit: dep.Unit, Reason: dep.Reason + " of " + parent.Name + ", which declares it"})
	}
}

// widen lets those that wait for a unit wait for the units behind the definitions whose
// health it includes: on a cluster they are healthy when their units are ready.
func (d *driver) widen(all []*planned, byName map[string]*planned) {
	children := map[string][]*planned{}
	byDefinition := map[manifests.ID]*planned{}
	for _, p := range all {
		if p.declared != nil && p.parent != p.Name {
			children[p.parent] = append(children[p.parent], p)
		}
		byDefinition[p.def] = p
	}
	declared := map[string][]manifests.Dependency{}
	for _, p := range all {
		declared[p.Name] = p.After
	}
	for _, p := range all {
		has := map[string]bool{p.Name: true}
		queue := slices.Clone(p.After)
		for _, dep := range queue {
			has[dep.Unit] = true
		}
		for len(queue) > 0 {
			dep := queue[0]
			queue = queue[1:]
			for _, behind := range includes(byName[dep.Unit], children, byDefinition) {
				if has[behind.Name] {
					continue
				}
				has[behind.Name] = true
				if reaches(behind.Name, p.Name, declared) {
					d.warn(fmt.Sprintf("%s: %s waits for %s, which with %s includes what waits for it in turn: its tool would wait for ever",
						p.Origin, p.Name, dep.Unit, behind.Name))
					continue
				}
				next := manifests.Dependency{Unit: behind.Name, Reason: fmt.Sprintf("%s on %s, which includes it", dep.Reason, dep.Unit)}
				p.After = append(p.After, next)
				queue = append(queue, manifests.Dependency{Unit: next.Unit, Reason: dep.Reason})
			}
		}
	}
	for _, p := range all {
		p.Ready.Objects = slices.DeleteFunc(p.Ready.Objects, func(id manifests.ID) bool { return byDefinition[id] != nil })
	}
}

// includes are the units behind the definitions whose health a unit's own includes.
func includes(p *planned, children map[string][]*planned, byDefinition map[manifests.ID]*planned) []*planned {
	if p.Ready.All && p.declared != nil && p.declared.apart {
		return nil
	}
	if p.Ready.All {
		return children[p.Name]
	}
	var all []*planned
	for _, id := range p.Ready.Objects {
		if behind := byDefinition[id]; behind != nil && behind.declared != nil {
			all = append(all, behind)
		}
	}
	return all
}

// reaches says whether a unit waits for another by what definitions declare.
func reaches(from, to string, after map[string][]manifests.Dependency) bool {
	seen := map[string]bool{}
	queue := []string{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, dep := range after[at] {
			if dep.Unit == to {
				return true
			}
			if !seen[dep.Unit] {
				seen[dep.Unit] = true
				queue = append(queue, dep.Unit)
			}
		}
	}
	return false
}

// sorted puts units after those that they wait for, otherwise in the given sequence.
func sorted(all []*planned, byName map[string]*planned) ([]*planned, error) {
	const (
		open = 1
		done = 2
	)
	mark := map[string]int{}
	var out []*planned
	var path []string
	var visit func(p *planned) error
	visit = func(p *planned) error {
		switch mark[p.Name] {
		case done:
			return nil
		case open:
			names := append(path[slices.Index(path, p.Name):], p.Name)
			return fmt.Errorf("%s: units wait for each other in a circle: %s: take one dependency away", p.Origin, chain(names))
		}
		mark[p.Name] = open
		path = append(path, p.Name)
		for _, dep := range p.After {
			if err := visit(byName[dep.Unit]); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		mark[p.Name] = done
		out = append(out, p)
		return nil
	}
	for _, p := range all {
		if err := visit(p); err != nil {
			return nil, err
		}
	}
	return out, nil
}
