package simulation

import (
	"cmp"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

// work that a run is.
type work struct {
	at       int // its transition
	start    time.Time
	takes    time.Duration
	waits    time.Duration
	plan     string
	priority int32
}

// teardownTakes is how long a teardown counts as working: nobody measures them.
const teardownTakes = 5 * time.Minute

func duration(d v1alpha1.Direction, p schedules.Pace) time.Duration {
	if d == v1alpha1.DirectionTeardown {
		return teardownTakes
	}
	return p.Expected
}

// queued lets as many of one schedule's runs work at a time as its limit says; 0 for all.
func queued(runs []work, limit int) {
	if limit <= 0 {
		return
	}
	slices.SortFunc(runs, func(a, b work) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(b.priority, a.priority), cmp.Compare(a.plan, b.plan))
	})
	var ends []time.Time // of those that work, sorted
	for i := range runs {
		w := &runs[i]
		begin := w.start
		if len(ends) == limit {
			if ends[0].After(begin) {
				begin = ends[0]
			}
			ends = ends[1:]
		}
		w.waits = begin.Sub(w.start)
		end := begin.Add(w.takes)
		at, _ := slices.BinarySearchFunc(ends, end, time.Time.Compare)
		ends = slices.Insert(ends, at, end)
	}
}

// peak is how many work at most at a time, and since when.
func peak(runs []work) (int, time.Time) {
	type edge struct {
		at    time.Time
		delta int
	}
	edges := make([]edge, 0, 2*len(runs))
	for _, w := range runs {
		begin := w.start.Add(w.waits)
		edges = append(edges, edge{begin, 1}, edge{begin.Add(w.takes), -1})
	}
	// What ends at an instant makes room for what begins then.
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.delta, b.delta)) })
	working, most, since := 0, 0, time.Time{}
	for _, e := range edges {
		if working += e.delta; working > most {
			most, since = working, e.at
		}
	}
	return most, since
}
