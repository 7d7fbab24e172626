package order

import (
	"fmt"
)

// strength orders the rules by which soft edges give way to one another, strongest
// first. Everything from reference on is soft.
type strength int

const (
	firm strength = iota
	handover
	reference
	backend
	governance
	conversion
	interception
)

// link is an edge before the graph has its final indexes. Nodes from len(items) on
// are barriers.
type link struct {
	from, to int
	gate     Gate
	kind     EdgeKind
	reason   string
	strength strength
}

// builder collects links. Its methods run in the sequence that Build gives.
type builder struct {
	*set
	simulated bool
	// late items go after everything else and are waited for by nothing but the
	// kinds that they serve.
	late     []bool
	barriers []string
	strong   []link
	soft     []link
	joins    []joined
	// untangled counts towards maxUntangled.
	untangled int
	// unit and place are where each item goes: as declared, or earlier if something
	// needs it there; see pullForward.
	unit  []string
	place []place
	// waved units have more than one place.
	waved map[string]bool
	// counted items belong to what is waited for of their unit.
	counted []bool
}

func newBuilder(s *set, o Options) *builder {
	b := &builder{set: s, simulated: o.Simulated, late: make([]bool, len(s.items)), waved: map[string]bool{}, counted: make([]bool, len(s.items))}
	if !o.Simulated {
		return b
	}
	for i, it := range s.items {
		switch it.id.GroupKind() {
		case mutatingKind, validatingKind, apiServiceKind:
			b.late[i] = true
		default:
			_, aggregated := s.servedBy(i)
			b.late[i] = aggregated
		}
	}
	return b
}

// servedBy is the APIService that serves the item's kind, if any does.
func (s *set) servedBy(i int) (int, bool) {
	api, ok := s.aggregated[s.items[i].gvk.GroupVersion()]
	return api, ok
}

func (b *builder) barrier(description string) int {
	b.barriers = append(b.barriers, description)
	return len(b.items) + len(b.barriers) - 1
}

// name of a node as warnings print it.
func (b *builder) name(node int) string {
	if node >= len(b.items) {
		return b.barriers[node-len(b.items)]
	}
	return b.items[node].where()
}

func (b *builder) nodes() int { return len(b.items) + len(b.barriers) }

func (b *builder) need(to, from int, gate Gate, kind EdgeKind, reason string) {
	b.strong = append(b.strong, link{from: from, to: to, gate: gate, kind: kind, reason: reason})
}

// prefer adds a soft edge; a missing object (-1) or the object itself adds none.
func (b *builder) prefer(to, from int, gate Gate, st strength, reason string) {
	if from < 0 || from == to || b.late[from] {
		return
	}
	b.soft = append(b.soft, link{from: from, to: to, gate: gate, kind: Inferred, reason: reason, strength: st})
}

func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}
