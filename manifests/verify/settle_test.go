package verify

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/manifests"
)

// scriptedClock lets time pass as soon as somebody waits for it, or lets the next event
// happen instead.
type scriptedClock struct {
	clock.RealClock
	now    time.Time
	script []func() // one per wait; nil lets time pass
}

func (c *scriptedClock) Now() time.Time { return c.now }

type firedTimer struct{ c chan time.Time }

func (t firedTimer) C() <-chan time.Time    { return t.c }
func (firedTimer) Stop() bool               { return true }
func (firedTimer) Reset(time.Duration) bool { return true }

func (c *scriptedClock) NewTimer(d time.Duration) clock.Timer {
	timer := firedTimer{make(chan time.Time, 1)}
	if len(c.script) > 0 {
		next := c.script[0]
		c.script = c.script[1:]
		if next != nil {
			c.now = c.now.Add(time.Second)
			go next()
			return timer
		}
	}
	c.now = c.now.Add(d)
	timer.c <- c.now
	return timer
}

func TestKeepVigil(t *testing.T) {
	object := manifests.Object{Unstructured: managedBy(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"b"}}`, "", "")}
	events := make(chan lookout)
	send := func(e lookout) func() { return func() { events <- e } }
	listed := send(lookout{source: "pods/v1", whole: true, item: -1})
	down, up := send(lookout{item: 0, message: "Failed: it crashed"}), send(lookout{item: 0})
	cases := map[string]struct {
		script []func()
		took   time.Duration
		found  string
	}{
		"undisturbed":          {[]func(){listed}, 31 * time.Second, ""},
		"a relapse":            {[]func(){listed, down, up}, 33 * time.Second, ""},
		"never seen":           {nil, patience(30 * time.Second), "could not be watched"},
		"ill to the end":       {[]func(){listed, down}, patience(30 * time.Second), "left 1 times, last: Failed: it crashed"},
		"up and down all long": {flapping(listed, down, up), patience(30 * time.Second), "last: Failed: it crashed"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
			c := &scriptedClock{now: start, script: tc.script}
			v := newVerifier([]manifests.Object{object}, Options{Clock: c, StableFor: 30 * time.Second}, nil)
			found, err := v.keepVigil(t.Context(), newVigil(30*time.Second, []string{"pods/v1"}), events)
			if err != nil {
				t.Fatal(err)
			}
			if took := c.now.Sub(start); took < tc.took || took > tc.took+2*time.Second {
				t.Errorf("it took %s, want %s", took, tc.took)
			}
			if (len(found) == 0) != (tc.found == "") || len(found) > 0 && !strings.Contains(found[0].Detail, tc.found) {
				t.Errorf("found %+v, want %q", found, tc.found)
			}
		})
	}
}

func flapping(listed, down, up func()) []func() {
	out := []func(){listed}
	for range 200 {
		out = append(out, down, up)
	}
	return out
}
