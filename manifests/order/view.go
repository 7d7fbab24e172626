package order

import "github.com/refloat-dev/refloat/manifests"

// View is the graph as data, for output: everything is named instead of indexed.
type View struct {
	Waves    []WaveView    `json:"waves"`
	Barriers []BarrierView `json:"barriers,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Units    []UnitView    `json:"units,omitempty"`
	// LeftOut objects are never written.
	LeftOut []LeftOutView `json:"leftOut,omitempty"`
}

// UnitView is one unit and the units that it waits for.
type UnitView struct {
	Name       string                 `json:"name"`
	Definition *manifests.ID          `json:"definition,omitempty"`
	Origin     manifests.Origin       `json:"origin,omitzero"`
	Objects    int                    `json:"objects"`
	After      []manifests.Dependency `json:"after,omitempty"`
}

// LeftOutView is one object that is never written.
type LeftOutView struct {
	manifests.ID
	Origin manifests.Origin `json:"origin"`
}

// WaveView is one level.
type WaveView struct {
	// Number from 1.
	Number  int          `json:"number"`
	Objects []ObjectView `json:"objects"`
}

// ObjectView is one object and what it waits for.
type ObjectView struct {
	manifests.ID
	APIVersion string           `json:"apiVersion"`
	Origin     manifests.Origin `json:"origin"`
	After      []NeedView       `json:"after,omitempty"`
}

// NeedView is one edge, seen from the object that waits. Either Object or Barrier
// names the dependency.
type NeedView struct {
	Object  *manifests.ID `json:"object,omitempty"`
	Barrier string        `json:"barrier,omitempty"`
	Gate    Gate          `json:"gate"`
	Kind    EdgeKind      `json:"kind"`
	Reason  string        `json:"reason"`
}

// Name of the dependency.
func (n NeedView) Name() string {
	if n.Object != nil {
		return n.Object.String()
	}
	return n.Barrier
}

// BarrierView is one barrier and the objects, and earlier barriers, that it stands for.
type BarrierView struct {
	Description string     `json:"description"`
	After       []NeedView `json:"after"`
}

// View of the graph.
func (g *Graph) View() View {
	v := View{Waves: make([]WaveView, 0, len(g.Waves)), Warnings: g.Warnings}
	for k, wave := range g.Waves {
		w := WaveView{Number: k + 1, Objects: make([]ObjectView, 0, len(wave))}
		for _, i := range wave {
			o := g.Nodes[i].Object
			w.Objects = append(w.Objects, ObjectView{ID: o.ID(), APIVersion: o.GetAPIVersion(), Origin: o.Origin, After: g.after(i)})
		}
		v.Waves = append(v.Waves, w)
	}
	for i, n := range g.Nodes {
		// A barrier that stands for nothing is passed at once.
		if n.Virtual() && len(n.Needs) > 0 {
			v.Barriers = append(v.Barriers, BarrierView{Description: n.Barrier, After: g.after(i)})
		}
	}
	v.Units = g.units()
	for _, o := range g.LeftOut {
		v.LeftOut = append(v.LeftOut, LeftOutView{ID: o.ID(), Origin: o.Origin})
	}
	return v
}

func (g *Graph) units() []UnitView {
	objects := map[string]int{}
	for _, n := range g.Nodes[:g.Len()] {
		objects[n.Object.Origin.Unit]++
	}
	out := make([]UnitView, 0, len(g.Units))
	for _, u := range g.Units {
		view := UnitView{Name: u.Name, Origin: u.Origin, Objects: objects[u.Name], After: u.After}
		if u.Definition != (manifests.ID{}) {
			view.Definition = &u.Definition
		}
		out = append(out, view)
	}
	return out
}

func (g *Graph) after(i int) []NeedView {
	var out []NeedView
	for _, e := range g.Nodes[i].Needs {
		n := NeedView{Gate: e.Gate, Kind: e.Kind, Reason: e.Reason}
		if from := g.Nodes[e.From]; from.Virtual() {
			n.Barrier = from.Barrier
		} else {
			id := from.Object.ID()
			n.Object = &id
		}
		out = append(out, n)
	}
	return out
}
