package schedules

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// measured recovery times that count: the latest.
	measured = 20
	// share of them that a rebuild has to fit in, in percent.
	share = 90
	// maxExpected bounds how early a rebuild starts.
	maxExpected = 24 * time.Hour
)

// Expected is how long a rebuild of a plan takes, and where that is from. history are the
// recovery times of its rebuilds and drills, the latest first; objective is what was
// promised, 0 without a promise.
func (t *Timetable) Expected(history []time.Duration, objective time.Duration) (time.Duration, string) {
	if len(history) > 0 {
		sorted := slices.Clone(history[:min(len(history), measured)])
		slices.Sort(sorted)
		nearest := (len(sorted)*share + 99) / 100
		return min(sorted[nearest-1], maxExpected), fmt.Sprintf("p%d of %d measured recovery times", share, len(sorted))
	}
	switch {
	case t.expected > 0:
		return t.expected, "spec.rebuild.expected; nothing was measured yet"
	case objective > 0:
		return min(objective, maxExpected), "the plan's objective; nothing was measured yet"
	}
	return defaultExpected, "nothing was measured yet, and the plan has no objective"
}

// Jitter is a plan's share of a schedule's jitter: always the same, and spread evenly over
// the plans.
func Jitter(schedule types.UID, plan string, of time.Duration) time.Duration {
	if of <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s", schedule, plan)
	return time.Duration(h.Sum64() % uint64(of)).Truncate(time.Second)
}
