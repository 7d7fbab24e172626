package failover

import (
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Kind of an answer.
type Kind int

const (
	// Unknown says nothing about the cluster: the question could not be asked, or somebody
	// else answered.
	Unknown Kind = iota
	// Alive is an answer that only a living cluster gives.
	Alive
	// Dead is an answer that says that nothing lives there.
	Dead
	// NoAnswer came within the time that a question has.
	NoAnswer
)

// Reading is one answer.
type Reading struct {
	At      time.Time
	Kind    Kind
	Message string
}

// Track is what the readings of one signal come to. The zero one had none.
type Track struct {
	Last Reading
	// Since when the kind of reading is what it is.
	Since time.Time
	// lifeless is since when no reading said Alive; zero when the last one did, or says
	// nothing.
	lifeless time.Time
}

// Next track after a reading.
func (t Track) Next(r Reading) Track {
	next := Track{Last: r, Since: t.Since, lifeless: t.lifeless}
	if t.Pending() || t.Last.Kind != r.Kind {
		next.Since = r.At
	}
	switch r.Kind {
	case Alive, Unknown:
		next.lifeless = time.Time{}
	case Dead, NoAnswer:
		if next.lifeless.IsZero() {
			next.lifeless = r.At
		}
	}
	return next
}

// Pending is true until there is a reading.
func (t Track) Pending() bool { return t.Last.At.IsZero() }

// Sample is what a signal says at one instant.
type Sample struct {
	Name    string
	State   v1alpha1.SignalState
	Since   time.Time
	Message string
	// Pending signals had no reading yet.
	Pending bool
	// Changes is when the state changes by itself, if no reading comes; zero for never.
	Changes time.Time
}

// Sample of a track. Silence fails once it has lasted for patience.
func (t Track) Sample(name string, patience time.Duration, now time.Time) Sample {
	s := Sample{Name: name, State: v1alpha1.SignalUnknown, Since: t.Since, Message: t.Last.Message, Pending: t.Pending()}
	switch t.Last.Kind {
	case Alive:
		s.State = v1alpha1.SignalHealthy
	case Dead:
		s.State = v1alpha1.SignalFailing
	case NoAnswer:
		fails := t.lifeless.Add(patience)
		if now.Before(fails) {
			s.State, s.Since, s.Changes = v1alpha1.SignalSilent, t.lifeless, fails
			return s
		}
		// Failing since the silence was too long, or since before it, when what came before
		// was as bad: that is on the safe side only if it is the later one.
		s.State, s.Since = v1alpha1.SignalFailing, later(t.Since, fails)
	case Unknown:
	}
	return s
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
