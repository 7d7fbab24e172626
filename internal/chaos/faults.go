package chaos

import (
	"context"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/internal/witness"
)

// Fault is one kind of thing that goes wrong.
type Fault struct {
	Name string
	Kind faultproxy.Kind
	// Late thaws a frozen controller only when the other one is done.
	Late bool
	// Elect has controllers wait for the leader's Lease.
	Elect bool
	// Alone runs without other points beside it.
	Alone bool
	// OwnSource gives the point a repository of its own.
	OwnSource bool
	// AfterPreflight tells that the end is that of a run without faults only from the
	// first write on that follows the record of the preflight; before, the run may fail.
	AfterPreflight bool
	// Anyhow tells that the run may fail, if only no rule is broken.
	Anyhow bool
	hand   func(context.Context, *trial) error
	// outsideAlways makes controllers processes of their own.
	child bool
}

// outside tells whether the controllers of the point are processes of their own.
func (f Fault) outside() bool {
	return f.child || f.Kind == faultproxy.KillBefore || f.Kind == faultproxy.KillAfter || f.Kind == faultproxy.Freeze
}

// Faults that points are made of.
func Faults() []Fault {
	return []Fault{
		{Name: "drop-request", Kind: faultproxy.DropRequest},
		{Name: "drop-response", Kind: faultproxy.DropResponse},
		{Name: "delay", Kind: faultproxy.Delay},
		{Name: "409", Kind: faultproxy.Conflict},
		{Name: "429", Kind: faultproxy.TooMany},
		{Name: "500", Kind: faultproxy.Broken},
		{Name: "cut-watches", Kind: faultproxy.CutWatches},
		{Name: "stale-watches", Kind: faultproxy.StaleWatches},
		{Name: "stale-reads", Kind: faultproxy.StaleReads},
		{Name: "kill-before", Kind: faultproxy.KillBefore},
		{Name: "kill-after", Kind: faultproxy.KillAfter},
		{Name: "freeze", Kind: faultproxy.Freeze},
		{Name: "freeze-late", Kind: faultproxy.Freeze, Late: true},
		{Name: "freeze-leader", Kind: faultproxy.Freeze, Elect: true},
		{Name: "storm", Kind: faultproxy.Storm},
		{Name: "workload-gone", Kind: faultproxy.Event, hand: workloadGone},
		{Name: "api-restart", Kind: faultproxy.Event, hand: managementRestarts, Alone: true},
		{Name: "git-gone", Kind: faultproxy.Event, hand: gitGone, OwnSource: true, AfterPreflight: true, child: true},
		{Name: "git-forced", Kind: faultproxy.Event, hand: gitForced, OwnSource: true, AfterPreflight: true, child: true},
		{Name: "git-corrupt", Kind: faultproxy.Event, hand: gitCorrupt, OwnSource: true, AfterPreflight: true, child: true},
		{Name: "clock+1m", Kind: faultproxy.Event, hand: clockJumps(time.Minute)},
		{Name: "clock-1m", Kind: faultproxy.Event, hand: clockJumps(-time.Minute)},
		{Name: "clock+1d", Kind: faultproxy.Event, hand: clockJumps(24 * time.Hour), Anyhow: true},
		{Name: "cancel", Kind: faultproxy.Event, hand: cancel, Anyhow: true},
	}
}

func faultNamed(name string) (Fault, bool) {
	all := Faults()
	i := slices.IndexFunc(all, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		return Fault{}, false
	}
	return all[i], true
}

// lawful tells whether the run may end otherwise than without faults.
func (f Fault) lawful(p Point, reference *outcome) bool {
	return f.Anyhow || f.AfterPreflight && reference != nil && p.At < reference.preflighted()
}

// preflighted is a write by which the preflight is surely recorded: the first that touches
// a cluster's objects.
func (o *outcome) preflighted() int {
	for k, w := range o.writes {
		if t := w.Target; w.Server == witness.Management && (t.Resource == "clusters" || t.Resource == "secrets") {
			return k + 1
		}
	}
	return len(o.writes)
}
