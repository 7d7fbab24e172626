package report

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The status of objects whose waiting is over. Package apply sets them.
const (
	StatusHealthy     = "Healthy"
	StatusNotProvable = "NotProvable"
)

// Settled tells whether nothing was left to wait for.
func (o *Object) Settled() bool { return o.Status == StatusHealthy || o.Status == StatusNotProvable }

// GateSeconds is how long the object took from its application until it was healthy.
func (o *Object) GateSeconds() float64 {
	if o.AppliedAt == nil || o.ReadyAt == nil {
		return 0
	}
	return max(o.ReadyAt.Sub(*o.AppliedAt).Seconds(), 0)
}

// lived is an object's time within the waves.
type lived struct {
	id                  string
	wave                int
	start, applied, end time.Time
}

// waveChain is what the waves waited for, from the first to the last: the object that ended
// last, before it the one of an earlier wave that ended last before that began, and so on.
// An object waits for earlier waves only, so that one of the same wave did not hold it up.
func waveChain(waves []Wave, from, to time.Time) []leg {
	all := livedIn(waves, from, to)
	slices.SortFunc(all, func(a, b lived) int {
		return cmp.Or(b.end.Compare(a.end), a.start.Compare(b.start), cmp.Compare(a.id, b.id))
	})
	var back []leg
	at, wave := to, math.MaxInt
	add := func(since time.Time, part Part, what string) {
		if since.Before(at) {
			back = append(back, leg{part: part, what: what, from: since, to: at})
			at = since
		}
	}
	for _, o := range all {
		if o.end.After(at) || o.wave >= wave {
			continue
		}
		add(o.end, PartApply, "requests between objects")
		if !o.applied.IsZero() {
			add(o.applied, PartGates, o.id)
		}
		add(o.start, PartApply, o.id)
		wave = o.wave
	}
	rest := "requests between objects"
	if len(all) == 0 {
		rest = "no object's times are known"
	}
	add(from, PartApply, rest)
	slices.Reverse(back)
	return back
}

// livedIn clips every object's time to that of the phase. What was found applied after a
// restart has no times to go by.
func livedIn(waves []Wave, from, to time.Time) []lived {
	clip := func(t time.Time) time.Time {
		switch {
		case t.Before(from):
			return from
		case t.After(to):
			return to
		}
		return t
	}
	var all []lived
	for _, w := range waves {
		for i := range w.Objects {
			o := &w.Objects[i]
			if o.StartedAt == nil {
				continue
			}
			l := lived{id: o.ID, wave: w.Number, start: clip(*o.StartedAt)}
			l.end = l.start
			if o.AppliedAt != nil {
				l.applied = clip(*o.AppliedAt)
				l.end = l.applied
			}
			switch {
			case o.ReadyAt != nil:
				l.end = clip(*o.ReadyAt)
			case !o.Settled() && !o.Optional:
				l.end = to // it was waited for until the end
			}
			if l.end.After(l.start) {
				all = append(all, l)
			}
		}
	}
	return all
}

// SlowestGates are the objects that took longest to become healthy.
func (r *Report) SlowestGates(most int) []Object {
	var all []Object
	for _, w := range r.Waves {
		for i := range w.Objects {
			if w.Objects[i].GateSeconds() > 0 {
				o := w.Objects[i]
				o.Wave = w.Number
				all = append(all, o)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Object) int { return cmp.Compare(b.GateSeconds(), a.GateSeconds()) })
	return all[:min(most, len(all))]
}
