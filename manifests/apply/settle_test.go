package apply

import (
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// An object about which no operator says anything settles by the clock: no event comes.
func TestSilenceSettlesByTimer(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := testingclock.NewFakeClock(start)
	for name, then := range map[string]health.Status{"healthy": health.Healthy, "failed": health.Failed} {
		t.Run(name, func(t *testing.T) {
			g := &order.Graph{Nodes: []order.Node{node("silent"), node("behind", after(0, order.Ready))}, Waves: [][]int{{0}, {1}}}
			e, err := newEngine(g, Options{Clock: clock}.withDefaults(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := takeAll(e.sched); len(got) != 1 {
				t.Fatalf("%d objects may go, want 1", len(got))
			}
			at := start.Add(30 * time.Second)
			e.accepted(&answer{item: 0, seen: observation{Assessment: health.Assessment{
				Status: health.Progressing, Message: "silent", Settles: &health.Settled{At: at, Status: then, Message: "silent"}}}})
			if due, ok := e.timers.next(); !ok || !due.Equal(at) {
				t.Fatalf("the timer is set for %v", due)
			}
			e.expire(at.Add(-time.Nanosecond))
			if e.tally.healthy != 0 || e.stopping {
				t.Fatal("settled too early")
			}
			e.expire(at)
			if then == health.Failed {
				if !e.stopping || !e.items[0].failed {
					t.Error("the failure was not taken up")
				}
				return
			}
			if got := takeAll(e.sched); len(got) != 1 || e.items[0].seen.Message != "silent" {
				t.Errorf("%d objects may go behind it, want 1", len(got))
			}
		})
	}
}

// Whatever is seen in the meantime takes the place of what would have been.
func TestNewsOverrulesSilence(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	g := &order.Graph{Nodes: []order.Node{node("silent")}, Waves: [][]int{{0}}}
	e, err := newEngine(g, Options{Clock: testingclock.NewFakeClock(start)}.withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := start.Add(30 * time.Second)
	e.accepted(&answer{item: 0, seen: observation{version: "1", Assessment: health.Assessment{
		Status: health.Progressing, Settles: &health.Settled{At: at, Status: health.Healthy}}}})
	e.observed(&observed{item: 0, observation: observation{version: "2", Assessment: health.Assessment{
		Status: health.Progressing, Message: "at work"}}})
	e.expire(at)
	if e.tally.healthy != 0 || e.items[0].seen.Message != "at work" {
		t.Errorf("%s %q", e.items[0].seen.Status, e.items[0].seen.Message)
	}
}

func TestCheckOfTheRepository(t *testing.T) {
	with := node("a")
	c := &manifests.HealthCheck{Current: "data.x == 'y'"}
	with.Object.Rules = &manifests.Rules{Health: c}
	e, err := newEngine(&order.Graph{Nodes: []order.Node{with, node("b")}, Waves: [][]int{{0, 1}}}, Options{}.withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.check(with.Object.ID()); got != c {
		t.Errorf("got %v", got)
	}
	if got := e.check(node("b").Object.ID()); got != nil {
		t.Errorf("an object without a rule has %v", got)
	}
	if got := e.check(node("c").Object.ID()); got != nil {
		t.Errorf("an unknown object has %v", got)
	}
}
