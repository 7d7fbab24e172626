package simulation

import (
	"fmt"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

var eight = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)

// rebuilds of ten minutes each, after so many minutes past eight.
func rebuilds(minutes ...int) []work {
	var all []work
	for i, m := range minutes {
		all = append(all, work{at: i, start: eight.Add(time.Duration(m) * time.Minute), takes: 10 * time.Minute, plan: fmt.Sprintf("dev-%02d", i)})
	}
	return all
}

func TestQueued(t *testing.T) {
	for name, test := range map[string]struct {
		starts []int
		limit  int
		waits  []int // in minutes, in the order in which they work
	}{
		"nothing":                  {nil, 2, nil},
		"no limit":                 {[]int{0, 0, 0}, 0, []int{0, 0, 0}},
		"a limit that none meets":  {[]int{0, 0}, 2, []int{0, 0}},
		"one by one":               {[]int{0, 0, 0, 0}, 1, []int{0, 10, 20, 30}},
		"two by two":               {[]int{0, 0, 0, 0, 0}, 2, []int{0, 0, 10, 10, 20}},
		"room by then":             {[]int{0, 20, 40}, 1, []int{0, 0, 0}},
		"room at that very minute": {[]int{0, 10}, 1, []int{0, 0}},
		"a part of it":             {[]int{0, 5, 9}, 2, []int{0, 0, 1}},
		"out of order":             {[]int{9, 0, 5}, 2, []int{0, 0, 1}},
	} {
		runs := rebuilds(test.starts...)
		queued(runs, test.limit)
		for i, w := range runs {
			if want := time.Duration(test.waits[i]) * time.Minute; w.waits != want {
				t.Errorf("%s: number %d waits %s, want %s", name, i, w.waits, want)
			}
		}
	}
}

// TestQueuedByPriority: of those that are due together the higher priority goes first, then
// the name.
func TestQueuedByPriority(t *testing.T) {
	runs := rebuilds(0, 0, 0)
	runs[2].priority = 5
	queued(runs, 1)
	for i, plan := range []string{"dev-02", "dev-00", "dev-01"} {
		if runs[i].plan != plan || runs[i].waits != time.Duration(i)*10*time.Minute {
			t.Errorf("number %d is %s after %s, want %s", i, runs[i].plan, runs[i].waits, plan)
		}
	}
}

func TestPeak(t *testing.T) {
	for name, test := range map[string]struct {
		starts []int
		limit  int
		most   int
		since  int
	}{
		"nothing":            {nil, 0, 0, 0},
		"one":                {[]int{3}, 0, 1, 3},
		"one after another":  {[]int{0, 10, 20}, 0, 1, 0},
		"overlapping":        {[]int{0, 5, 9, 30}, 0, 3, 9},
		"the first of peaks": {[]int{0, 5, 30, 35}, 0, 2, 5},
		"limited":            {[]int{0, 0, 0, 0}, 2, 2, 0},
		"all at once":        {[]int{7, 7, 7, 7}, 0, 4, 7},
	} {
		runs := rebuilds(test.starts...)
		queued(runs, test.limit)
		most, since := peak(runs)
		if most != test.most || most > 0 && !since.Equal(eight.Add(time.Duration(test.since)*time.Minute)) {
			t.Errorf("%s: %d since %s, want %d since minute %d", name, most, since, test.most, test.since)
		}
	}
}

func TestDuration(t *testing.T) {
	pace := schedules.Pace{Expected: 42 * time.Minute}
	if d := duration(v1alpha1.DirectionRebuild, pace); d != pace.Expected {
		t.Errorf("a rebuild takes %s", d)
	}
	if d := duration(v1alpha1.DirectionTeardown, pace); d != teardownTakes {
		t.Errorf("a teardown takes %s", d)
	}
}

func TestAwake(t *testing.T) {
	minute := func(n int) time.Time { return eight.Add(time.Duration(n) * time.Minute) }
	outages := []Span{{minute(10), minute(20)}, {minute(20), minute(30)}, {minute(40), minute(50)}}
	for at, want := range map[int]int{0: 0, 9: 9, 10: 30, 15: 30, 20: 30, 30: 30, 45: 50, 50: 50} {
		if got := awake(minute(at), outages); !got.Equal(minute(want)) {
			t.Errorf("due at minute %d: %s, want minute %d", at, got, want)
		}
	}
	if got := awake(eight, nil); !got.Equal(eight) {
		t.Errorf("without an outage: %s", got)
	}
}
