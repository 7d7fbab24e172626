package expand

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/flux"
)

// tool is one that reads declarations from the cluster which it runs on.
type tool interface {
	// name that people call it.
	name() string
	// owns says whether a kind is one of its own, which only a cluster with it has.
	owns(schema.GroupKind) bool
	// defines says whether a kind declares units.
	defines(schema.GroupKind) bool
	// begin says what is known when a round begins.
	begin(*state)
	// content is what an expansion depends on in the definition itself.
	content(manifests.Object) any
	// stale names something else that has changed since a definition was expanded with it;
	// "" when nothing has.
	stale(manifests.ID, *state) string
	// expand renders one definition. Its errors are those of flux.Expander.
	expand(ctx context.Context, def manifests.Object, s *state, patient bool) (*declaration, error)
	// warnings that belong to no definition.
	warnings() []string
}

// How a tool says that it does not expand a definition. The words of Flux serve for all.
type (
	skippedError = flux.SkippedError
	notYetError  = flux.NotYetError
)

// declaration is what a definition declares.
type declaration struct {
	flux.Expansion
	// generator is set when the definition has no unit of its own: its objects are
	// further definitions, which are never applied.
	generator bool
	// created are namespaces that yield to those that anybody renders.
	created []manifests.Object
	// waved units order the definitions among their objects by phases and waves.
	waved bool
	// apart is set when the unit is ready whatever becomes of the definitions in it.
	apart bool
	// leftOut are parts of the definition that were not expanded, with reasons.
	leftOut []string
}

// size in objects.
func (x *declaration) size() int { return len(x.Objects) + len(x.Implied) + len(x.created) }

// unitName is what the unit of a definition is called, whichever tool reads it.
func unitName(id manifests.ID) string { return flux.UnitName(id) }

// fluxTool is Flux.
type fluxTool struct {
	*flux.Expander
	// read says for each definition what was looked up for it, and what was there.
	read map[manifests.ID]*reads
}

func (fluxTool) name() string                     { return flux.Tool }
func (fluxTool) owns(gk schema.GroupKind) bool    { return flux.Owns(gk) }
func (fluxTool) defines(gk schema.GroupKind) bool { return flux.Defines(gk) }
func (fluxTool) begin(*state)                     {}
func (fluxTool) content(def manifests.Object) any { return def.Object["spec"] }
func (fluxTool) warnings() []string               { return nil }

func (t fluxTool) stale(id manifests.ID, s *state) string { return t.read[id].changed(s) }

func (t fluxTool) expand(ctx context.Context, def manifests.Object, s *state, patient bool) (*declaration, error) {
	seen := &reads{state: s, objects: map[manifests.ID]reading{}, lists: map[schema.GroupKind]string{}}
	x, err := t.Expand(ctx, def, seen, patient)
	seen.state = nil // which is replaced; what was seen in it is kept
	t.read[def.ID()] = seen
	if err != nil {
		return nil, err
	}
	return &declaration{Expansion: *x}, nil
}

// tool that a kind is a definition for; nil for all other kinds.
func (d *driver) tool(gk schema.GroupKind) tool {
	for _, t := range d.tools {
		if t.defines(gk) {
			return t
		}
	}
	return nil
}

// owner is the tool that a kind belongs to; nil for kinds that are nobody's.
func (d *driver) owner(gk schema.GroupKind) tool {
	for _, t := range d.tools {
		if t.owns(gk) {
			return t
		}
	}
	return nil
}
