package faultproxy

import (
	"context"
	"sync"
	"time"
)

// Sequence numbers the writes of one test over all of its proxies and applies a Plan to
// them.
type Sequence struct {
	plan Plan

	mu   sync.Mutex
	k    int
	hits []Hit
	seen []Request
	at   []time.Time
	hand func()
	kill func(from *Front)
	icy  func(from *Front)
}

// Hit is a write to which something was done.
type Hit struct {
	K       int
	Request Request
}

// NewSequence that begins with number 1.
func NewSequence(plan Plan) *Sequence {
	return &Sequence{plan: plan}
}

// Do says what happens on verdicts that concern more than one request. kill is called
// when the client of a proxy is to die: when it returns, nothing that this client does
// reaches a server any more. freeze is called when it is to stand still, and hand for an
// Event, before the write goes on. They must not wait for other requests.
func (s *Sequence) Do(kill, freeze func(from *Front), hand func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill, s.icy, s.hand = kill, freeze, hand
}

// next gives a write its number and verdict.
func (s *Sequence) next(r Request) (int, Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.k++
	s.seen, s.at = append(s.seen, r), append(s.at, time.Now())
	v := s.plan.On(s.k, r)
	if v != (Verdict{}) {
		s.hits = append(s.hits, Hit{K: s.k, Request: r})
	}
	return s.k, v
}

// Writes so far, in order.
func (s *Sequence) Writes() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.seen...)
}

// FirstAfter is when the first write after a moment came; false when none did.
func (s *Sequence) FirstAfter(moment time.Time) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.at {
		if at.After(moment) {
			return at, true
		}
	}
	return time.Time{}, false
}

// Hits are the writes to which something was done.
func (s *Sequence) Hits() []Hit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Hit(nil), s.hits...)
}

func (s *Sequence) killed(from *Front) {
	s.mu.Lock()
	kill := s.kill
	s.mu.Unlock()
	if kill != nil {
		kill(from)
	}
}

func (s *Sequence) frozen(from *Front) {
	s.mu.Lock()
	freeze := s.icy
	s.mu.Unlock()
	if freeze != nil {
		freeze(from)
	}
}

func (s *Sequence) called() {
	s.mu.Lock()
	hand := s.hand
	s.mu.Unlock()
	if hand != nil {
		hand()
	}
}

// gate is open, or closed until somebody opens it.
type gate struct {
	mu     sync.Mutex
	closed chan struct{} // nil while open
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == nil {
		g.closed = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		close(g.closed)
		g.closed = nil
	}
}

// pass waits until the gate is open or the context ends.
func (g *gate) pass(ctx context.Context) bool {
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed == nil {
		return true
	}
	select {
	case <-closed:
		return true
	case <-ctx.Done():
		return false
	}
}
