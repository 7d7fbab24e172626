package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// vigil decides when objects have been healthy for long enough. It is pure: times are
// the caller's. The time runs while everything is observed and nothing is ill, and
// starts anew when that was interrupted.
type vigil struct {
	need time.Duration
	// since is zero while the time does not run.
	since time.Time
	// unseen sources of observations are not under way, or were interrupted.
	unseen map[string]bool
	// ill objects and what they say.
	ill map[int]string
	// relapses count how often an object fell ill, and said what the last time.
	relapses map[int]relapse
}

type relapse struct {
	count   int
	message string
	at      time.Time
}

func newVigil(need time.Duration, sources []string) *vigil {
	v := &vigil{need: need, unseen: map[string]bool{}, ill: map[int]string{}, relapses: map[int]relapse{}}
	for _, s := range sources {
		v.unseen[s] = true
	}
	return v
}

// begin the time if nothing is in the way. With no source it begins at once.
func (v *vigil) begin(now time.Time) {
	switch {
	case len(v.unseen) > 0 || len(v.ill) > 0:
		v.since = time.Time{}
	case v.since.IsZero():
		v.since = now
	}
}

// observed a source whole, or lost sight of it.
func (v *vigil) observed(source string, whole bool, now time.Time) {
	if whole {
		delete(v.unseen, source)
	} else {
		v.unseen[source] = true
	}
	v.begin(now)
}

// sick marks an object by what it says; healthy ones say nothing.
func (v *vigil) sick(item int, message string, now time.Time) {
	if message == "" {
		delete(v.ill, item)
		v.begin(now)
		return
	}
	if _, already := v.ill[item]; !already {
		v.relapses[item] = relapse{count: v.relapses[item].count + 1, message: message, at: now}
	}
	v.ill[item] = message
	v.begin(now)
}

// left until it is over; false while the time does not run.
func (v *vigil) left(now time.Time) (time.Duration, bool) {
	if v.since.IsZero() {
		return 0, false
	}
	return v.need - now.Sub(v.since), true
}

// culprits are the objects that kept the time from running out, the last ones first.
func (v *vigil) culprits() []int {
	items := slices.Collect(maps.Keys(v.relapses))
	slices.SortFunc(items, func(a, b int) int {
		return cmp.Or(v.relapses[b].at.Compare(v.relapses[a].at), cmp.Compare(a, b))
	})
	return items
}

// says why an object is a culprit.
func (v *vigil) says(item int) string {
	r := v.relapses[item]
	if now, ill := v.ill[item]; ill {
		r.message = now
	}
	return fmt.Sprintf("it did not stay healthy for %s: left %d times, last: %s", v.need, r.count, r.message)
}
