package failover

import (
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Verdict about a cluster.
type Verdict struct {
	// Dead: at least quorum signals fail, since Since. Alive: so many are healthy that
	// quorum cannot fail. At most one is true; neither when it cannot be told.
	Dead, Alive bool
	Since       time.Time
	// LooksDead is true when quorum would be reached if silence counted: what the breaker
	// counts. Pending is true when it would be if what was not looked at yet counted, too.
	LooksDead, Pending bool
	// Known is false when no signal says anything and none is pending.
	Known bool
}

// Judge samples. A quorum of 0 is all of them.
func Judge(samples []Sample, quorum int) Verdict {
	n := len(samples)
	if n == 0 {
		return Verdict{}
	}
	if quorum <= 0 || quorum > n {
		quorum = n
	}
	var failing, healthy []time.Time
	suspect, pending, silent := 0, 0, true
	for _, s := range samples {
		switch {
		case s.State == v1alpha1.SignalFailing:
			failing = append(failing, s.Since)
		case s.State == v1alpha1.SignalHealthy:
			healthy = append(healthy, s.Since)
		}
		if s.State == v1alpha1.SignalFailing || s.State == v1alpha1.SignalSilent {
			suspect++
		}
		if s.Pending {
			pending++
		}
		if s.Pending || s.State != v1alpha1.SignalUnknown {
			silent = false
		}
	}
	v := Verdict{LooksDead: suspect >= quorum, Known: !silent}
	v.Pending = !v.LooksDead && suspect+pending >= quorum
	if since, ok := reached(failing, quorum); ok {
		v.Dead, v.Since = true, since
	} else if since, ok := reached(healthy, n-quorum+1); ok {
		v.Alive, v.Since = true, since
	}
	return v
}

// reached is when the n-th of the times came.
func reached(times []time.Time, n int) (time.Time, bool) {
	if len(times) < n {
		return time.Time{}, false
	}
	sorted := slices.SortedFunc(slices.Values(times), time.Time.Compare)
	return sorted[n-1], true
}
