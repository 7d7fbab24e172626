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
	// lifeless is since when no reading said Alive, and times how many said so; zero when the
	// last one said Alive, or nothing.
	lifeless time.Time
	times    int
}

// Next track after a reading.
func (t Track) Next(r Reading) Track {
	next := Track{Last: r, Since: t.Since, lifeless: t.lifeless, times: t.times}
	if t.Pending() || t.Last.Kind != r.Kind {
		next.Since = r.At
	}
	switch r.Kind {
	case Alive, Unknown:
		next.lifeless, next.times = time.Time{}, 0
	case Dead, NoAnswer:
		if next.lifeless.IsZero() {
			next.lifeless = r.At
		}
		next.times++
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

// Asking is how a signal is asked.
type Asking struct {
	// Every so often, with so much time for an answer.
	Every, Timeout time.Duration
	// Patience with silence.
	Patience time.Duration
}

// Late tells whether a track waits for an answer that would have come if it were given at
// once: when many are late at the same time, something is wrong on this side.
func (a Asking) Late(t Track, now time.Time) bool {
	return !t.Pending() && now.Sub(t.Last.At) > a.Every+1500*time.Millisecond
}

// gone is when nobody asks any more.
func (a Asking) gone() time.Duration { return a.Every + a.Timeout + 5*time.Second }

// enough readings in a row have to be lifeless: one alone may be a packet that was lost.
const enough = 2

// Sample of a track. Silence fails once it has lasted for the patience there is with it. What
// was said says nothing any more once nobody has asked for long.
func (t Track) Sample(name string, how Asking, now time.Time) Sample {
	s := Sample{Name: name, State: v1alpha1.SignalUnknown, Since: t.Since, Message: t.Last.Message, Pending: t.Pending()}
	if s.Pending {
		return s
	}
	age := now.Sub(t.Last.At)
	if age > how.gone() {
		s.Since, s.Message = t.Last.At.Add(how.gone()), "it was not asked lately"
		return s
	}
	fails := t.lifeless.Add(how.Patience)
	switch t.Last.Kind {
	case Alive:
		s.State = v1alpha1.SignalHealthy
	case Dead:
		s.State = v1alpha1.SignalFailing
		if fails.Before(s.Since) {
			s.Since = fails // it was silent for too long before
		}
	case NoAnswer:
		s.State, s.Since = v1alpha1.SignalFailing, fails
		if now.Before(fails) {
			s.State, s.Since, s.Changes = v1alpha1.SignalSilent, t.lifeless, fails
		}
	case Unknown:
	}
	if s.State == v1alpha1.SignalFailing && t.times < enough {
		s.State = v1alpha1.SignalSilent
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
