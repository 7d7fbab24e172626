package expand

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

// driver carries an expansion to its fixed point.
type driver struct {
	options  Options
	tools    []tool
	argo     *argoTool // one of the tools
	state    *state
	paths    []manifests.Unit
	given    []manifests.Object // seeds and what the state paths hold
	warnings map[string]bool

	// turns are the definitions in the sequence of their expansion, from 1.
	turns   []manifests.ID
	objects int // rendered so far
	settled bool
	attempt map[manifests.ID]*attempt
	// times that a definition was expanded.
	times map[manifests.ID]int
}

// attempt is what came of a definition.
type attempt struct {
	// content of the definition when it was read.
	content []byte
	origin  manifests.Origin
	depth   int
	turn    int
	// kinds that the state installed then.
	kinds int
	// Exactly one of the following is set. Waiting attempts are made again.
	declared *declaration
	skipped  *skippedError
	waiting  *notYetError
	fault    error
}

func newDriver(snap *source.Snapshot, o Options, charts *Charts) *driver {
	inner := o.Options
	inner.Decrypt, inner.DefaultNamespace, inner.PathNamespaces = nil, "", nil
	d := &driver{
		options: o, state: newState(), warnings: map[string]bool{},
		turns: make([]manifests.ID, 1), attempt: map[manifests.ID]*attempt{}, times: map[manifests.ID]int{},
		argo: newArgoTool(snap, o, inner, charts),
	}
	d.tools = []tool{fluxTool{Expander: &flux.Expander{
		Snapshot: snap, Repository: o.Repository, Render: inner,
		Charts: o.Charts, Git: o.Git, OCI: o.OCI, Decryption: o.Decryption,
	}, read: map[manifests.ID]*reads{}}, d.argo}
	return d
}

// start takes in what is known before any definition is read.
func (d *driver) start(rendered *render.Result, paths []string) error {
	d.paths = pathUnits(paths)
	for _, s := range d.options.Seeds {
		o, err := seedObject(s)
		if err != nil {
			return err
		}
		d.given = append(d.given, o)
	}
	warnings, err := ruled(rendered.Objects, d.argo.snapshot.Commit)
	if err != nil {
		return err
	}
	d.warn(warnings...)
	d.given = append(d.given, rendered.Objects...)
	for _, o := range d.given {
		d.state.add(o, 0)
	}
	d.objects = len(rendered.Objects)
	d.warn(rendered.Warnings...)
	return nil
}

func (d *driver) warn(messages ...string) {
	for _, m := range messages {
		d.warnings[m] = true
	}
}

// expandAll goes on until no definition is left that could be expanded. While there is
// progress, definitions wait for what another one may still render, even where they
// could do without.
func (d *driver) expandAll(ctx context.Context) error {
	for {
		progress, err := d.round(ctx, true)
		if err == nil && !progress {
			progress, err = d.round(ctx, false)
		}
		if err != nil {
			return err
		}
		if !progress && d.settled {
			return nil
		}
		d.settled = !progress
	}
}

// round tries all definitions that are new or have changed. An impatient one ends with the first
// that could be expanded.
func (d *driver) round(ctx context.Context, patient bool) (progress bool, err error) {
	for _, t := range d.tools {
		t.begin(d.state)
	}
	for _, id := range d.definitions() {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		done, err := d.try(ctx, id, patient)
		if err != nil {
			return false, err
		}
		progress = progress || done
		if done && !patient {
			return true, nil
		}
	}
	return progress, nil
}

// definitions known so far: the one from which Flux was installed first, because it
// may render others anew.
func (d *driver) definitions() []manifests.ID {
	var all []manifests.ID
	for gk, ids := range d.state.kinds {
		if d.tool(gk) != nil {
			all = slices.AppendSeq(all, maps.Keys(ids))
		}
	}
	slices.SortFunc(all, func(a, b manifests.ID) int {
		if first := a.Name == a.Namespace; first != (b.Name == b.Namespace) {
			if first {
				return -1
			}
			return 1
		}
		return a.Compare(b)
	})
	return all
}

// try expands one definition, unless that was done. It reports whether something new is known.
func (d *driver) try(ctx context.Context, id manifests.ID, patient bool) (bool, error) {
	def, known := d.state.objects[id]
	if !known {
		return false, nil // what made it was read anew in this round, and makes it no more
	}
	t := d.tool(id.GroupKind())
	content, err := json.Marshal(t.content(def.object))
	if err != nil {
		return false, fmt.Errorf("%s: %s cannot be read: %w", def.object.Origin, id, err)
	}
	before := d.attempt[id]
	changed := ""
	if before != nil && before.waiting == nil && bytes.Equal(before.content, content) {
		if changed = t.stale(id, d.state); changed == "" && !d.outdated(before) {
			return false, nil
		}
	}
	a := &attempt{content: content, origin: def.object.Origin, depth: 1 + d.depth(def.turn), kinds: len(d.state.scopes)}
	if err := d.bounded(id, a, changed); err != nil {
		return false, err
	}
	a.declared, err = t.expand(ctx, def.object, d.state, patient)
	switch {
	case err == nil:
	case errors.As(err, &a.waiting):
		d.attempt[id] = a
		d.forget(before)
		return false, nil
	case errors.As(err, &a.skipped):
		a.skipped = &skippedError{Err: err, Meant: a.skipped.Meant} // with where it happened
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false, err
	default:
		if passing(err) {
			return false, withMirrors(err)
		}
		a.fault = err
	}
	d.times[id]++
	d.replace(id, before, a)
	if a.declared == nil {
		return before != nil && before.declared != nil, nil
	}
	return true, d.take(id, a)
}

// replace an earlier reading. What is declared again counts before anything is taken back:
// it must not be an orphan in between, or those below it would be read anew for ever.
func (d *driver) replace(id manifests.ID, before, a *attempt) {
	d.attempt[id] = a
	if a.declared != nil {
		a.turn = len(d.turns)
		d.turns = append(d.turns, id)
		d.state.place(a.declared.Objects, a.declared.Namespace)
	}
	d.forget(before)
}

// passing is true for what may go better another time.
func passing(err error) bool {
	var repository *source.UnreachableError
	return errors.As(err, &repository) || chart.Temporary(err)
}

// withMirrors adds what can be done when another repository does not answer.
func withMirrors(err error) error {
	var repository *source.UnreachableError
	if errors.As(err, &repository) && repository.Why == source.NoAnswer {
		return fmt.Errorf("%w, or read it elsewhere: chartMirrors of the plan, or --chart-mirror", err)
	}
	return err
}

// outdated says whether a chart was rendered when the state was not known to install all
// the kinds that it does. Kinds come and never go, so this ends; and it waits until
// nothing else is left to do, so that it happens once.
func (d *driver) outdated(a *attempt) bool {
	return d.settled && a.declared != nil && a.declared.AsksForKinds && a.kinds != len(d.state.scopes)
}

// depth of the unit that was expanded in a turn; 0 for state paths.
func (d *driver) depth(turn int) int {
	if a := d.attempt[d.turns[turn]]; a != nil {
		return a.depth
	}
	return 0
}

// mostTimes that one definition is expanded, besides twice for each other one. Each time has a
// reason in what another one rendered since; units that change each other's input would
// go on for ever.
const mostTimes = 64

// bounded is an error when an expansion goes on too far. changed is what makes it necessary.
func (d *driver) bounded(id manifests.ID, a *attempt, changed string) error {
	b := d.options.Bounds
	switch {
	case d.times[id] >= mostTimes+2*len(d.attempt) && changed != "":
		return fmt.Errorf("%s: %s does not come to rest: after %d renderings %s, which it reads, has changed again because of what it renders itself: "+
			"give one of the units that it goes round a fixed value", a.origin, unitName(id), d.times[id], changed)
	case a.depth > b.Depth:
		return fmt.Errorf("%s: %s is a definition %d levels below the state paths; at most %d are followed: name a path that is nearer to it",
			a.origin, unitName(id), a.depth, b.Depth)
	case len(d.attempt) >= b.Units && d.attempt[id] == nil:
		return fmt.Errorf("%s: %s: more than %d units in all", a.origin, unitName(id), b.Units)
	case len(d.turns) > 4*b.Units:
		return fmt.Errorf("%s: %s is rendered differently again and again by the units that render it", a.origin, unitName(id))
	}
	return nil
}

// take adds what a definition declares.
func (d *driver) take(id manifests.ID, a *attempt) error {
	x := a.declared
	if d.objects += x.size(); d.objects > d.options.Bounds.Objects {
		return fmt.Errorf("%s: %s: more than %d objects in all", a.origin, unitName(id), d.options.Bounds.Objects)
	}
	d.state.place(x.Objects, x.Namespace)
	for _, o := range x.Objects {
		d.state.add(o, a.turn)
	}
	return nil
}

// forget takes back what an earlier reading of a definition declared.
func (d *driver) forget(before *attempt) {
	if before == nil || before.declared == nil {
		return
	}
	d.objects -= before.declared.size()
	for again := true; again; {
		d.state = newState()
		for _, o := range d.given {
			d.state.add(o, 0)
		}
		for _, a := range d.attempt {
			if a.declared != nil && a.turn != 0 {
				for _, o := range a.declared.Objects {
					d.state.add(o, a.turn)
				}
			}
		}
		again = d.orphans()
	}
}

// orphans forgets definitions that nothing renders any more. It reports whether one of
// them had rendered something itself.
func (d *driver) orphans() (rendered bool) {
	for id, a := range d.attempt {
		if _, known := d.state.objects[id]; known {
			continue
		}
		delete(d.attempt, id)
		if a.declared != nil && a.turn != 0 {
			d.objects -= a.declared.size()
			rendered = true
		}
	}
	return rendered
}

// outcome turns what was not expanded into skipped definitions, or into an error.
func (d *driver) outcome() ([]Skipped, error) {
	var skipped []Skipped
	var faults []error
	for _, id := range slices.SortedFunc(maps.Keys(d.attempt), manifests.ID.Compare) {
		a := d.attempt[id]
		var reason error
		meant, theirs := false, true
		switch {
		case a.fault != nil:
			reason, theirs = a.fault, false
		case a.waiting != nil:
			reason, theirs = a.waiting, a.waiting.Theirs || d.options.Partial
		case a.skipped != nil:
			reason, meant = a.skipped, a.skipped.Meant
		case len(a.declared.leftOut) > 0:
			reason = errors.New(strings.Join(a.declared.leftOut, "; "))
		default:
			continue
		}
		if !meant && !(theirs && (d.known(id.GroupKind()) || d.options.Partial)) {
			if theirs {
				reason = fmt.Errorf("%w; its objects would be missing, because nothing in the state installs %s to make them", reason, d.tool(id.GroupKind()).name())
			}
			faults = append(faults, reason)
			continue
		}
		skipped = append(skipped, Skipped{Definition: id, Origin: a.origin, Reason: reason.Error(), Meant: meant})
	}
	return skipped, joined(faults)
}

// known says whether a kind will be on the cluster.
func (d *driver) known(gk schema.GroupKind) bool {
	return d.state.installed(gk) || d.options.KnownKind != nil && d.options.KnownKind(gk)
}

// shownErrors is how many faults are reported at once.
const shownErrors = 10

func joined(faults []error) error {
	if more := len(faults) - shownErrors; more > 0 {
		faults = append(faults[:shownErrors:shownErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(faults...)
}

// chain is how people read a sequence of units.
func chain(names []string) string { return strings.Join(names, " -> ") }
