package expand

import (
	"slices"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
)

// gates let units wait for the waves that come before their definitions.
type gates struct {
	driver *driver
	byName map[string]*planned
	static map[string][]manifests.Object // by state path
	sets   map[string]argocd.GateSet
	names  map[string]bool
	done   map[*planned]bool
}

// gated adds to units what they wait for, and returns the parts of units that they wait for.
func (d *driver) gated(all []*planned, byName map[string]*planned, static []manifests.Object) []*planned {
	g := &gates{
		driver: d, byName: byName, static: map[string][]manifests.Object{}, sets: map[string]argocd.GateSet{},
		names: map[string]bool{}, done: map[*planned]bool{},
	}
	for _, o := range static {
		g.static[o.Origin.Unit] = append(g.static[o.Origin.Unit], o)
	}
	for _, p := range all {
		g.wait(p)
	}
	needed := map[string]bool{}
	for _, p := range all {
		for _, dep := range p.After {
			needed[dep.Unit] = true
		}
	}
	var parts []*planned
	for _, p := range all {
		for _, u := range g.sets[p.Name].Units {
			if needed[u.Name] {
				part := &planned{Unit: u, gate: true}
				parts = append(parts, part)
				byName[u.Name] = part
			}
		}
	}
	return parts
}

// wait adds to a unit what goes before its definition in the unit that rendered that.
func (g *gates) wait(p *planned) {
	parent := g.byName[p.parent]
	if g.done[p] || parent == nil || parent == p {
		return
	}
	g.done[p] = true
	g.wait(parent)
	for _, dep := range g.set(parent).After[p.Definition] {
		known := g.names[dep.Unit] || g.byName[dep.Unit] != nil
		same := func(has manifests.Dependency) bool { return has.Unit == dep.Unit }
		if known && dep.Unit != p.Name && !slices.ContainsFunc(p.After, same) {
			p.After = append(p.After, dep)
		}
	}
}

// set of a unit, which waits for all that it will wait for already.
func (g *gates) set(p *planned) argocd.GateSet {
	if s, ok := g.sets[p.Name]; ok {
		return s
	}
	var s argocd.GateSet
	switch {
	case p.declared == nil:
		s = g.driver.argo.expander.Gates(p.Unit, g.static[p.Name])
	case p.declared.waved:
		s = g.driver.argo.expander.Gates(p.Unit, p.declared.Objects)
	}
	for _, u := range s.Units {
		g.names[u.Name] = true
	}
	g.sets[p.Name] = s
	return s
}

// confine lets parts of units wait only for objects that are applied.
func confine(units []*planned, objects []manifests.Object) {
	kept := map[manifests.ID]bool{}
	for _, o := range objects {
		kept[o.ID()] = true
	}
	for _, p := range units {
		if p.gate {
			p.Ready.Objects = slices.DeleteFunc(p.Ready.Objects, func(id manifests.ID) bool { return !kept[id] })
		}
	}
}

// created are the namespaces that units make for their objects and nobody renders.
func (d *driver) created(claims []claim, units []*planned) []claim {
	var wanted, rendered []manifests.Object
	for _, c := range claims {
		rendered = append(rendered, c.object)
	}
	owner := map[string]int{}
	for i, p := range units {
		if p.declared == nil {
			continue
		}
		for _, o := range p.declared.created {
			if d.ordinary(o.ID()) && o.Rules.Write == manifests.WriteCreate {
				continue
			}
			if _, ok := owner[o.GetName()]; !ok {
				owner[o.GetName()] = i
			}
			wanted = append(wanted, o)
		}
	}
	kept, warnings := argocd.Namespaces(wanted, rendered)
	d.warn(warnings...)
	var all []claim
	for _, o := range kept {
		i := owner[o.GetName()]
		o.Origin.Unit = unhindered(units[i], units)
		all = append(all, claim{o.ID(), o, units[i], i})
	}
	return all
}

// unhindered is the nearest unit above one that waits for nothing. A namespace goes with
// it: units that come before may have objects in the namespace too.
func unhindered(p *planned, units []*planned) string {
	for range units {
		i := slices.IndexFunc(units, func(u *planned) bool { return u.Name == p.parent })
		if len(p.After) == 0 || i < 0 || units[i] == p {
			break
		}
		p = units[i]
	}
	return p.Name
}
