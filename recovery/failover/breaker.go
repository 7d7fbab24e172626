package failover

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// DefaultMaxUnhealthy clusters may look dead at once.
var DefaultMaxUnhealthy = intstr.FromString("30%")

// thawAfter is how long few enough clusters have to look dead before a breaker that tripped
// closes again: the slowest to come back must not be taken for the only dead one.
const thawAfter = 5 * time.Minute

// Fleet counts the clusters that policies watch and know something of. Those that a run is
// at work on are left out. Pending ones, which are none of the others, were not looked at yet.
type Fleet struct{ Watched, LookDead, Pending int }

// Breaker of a policy. The zero one has not tripped.
type Breaker struct {
	// Since when it is open, zero when it is closed.
	Since time.Time
	// Calm since when few enough look dead, while it is open.
	Calm time.Time
	// Thawed is when it closed last: what failed before counts from then on only.
	Thawed time.Time
	// Unsure is true while so many are pending that it may be about to trip, as when the
	// controller has just started.
	Unsure bool
	// Why it is open, in one sentence.
	Why string
}

// Next state of the breaker.
func (b Breaker) Next(fleet Fleet, most intstr.IntOrString, now time.Time) Breaker {
	limit := Limit(most, fleet.Watched)
	b.Unsure = fleet.LookDead+fleet.Pending > limit
	if fleet.LookDead > limit {
		if b.Since.IsZero() {
			b.Since = now
		}
		b.Calm = time.Time{}
		b.Why = fmt.Sprintf("%d of %d watched clusters look dead at once, more than %d: that is more likely a fault on this side than of all of them; "+
			"nothing is ordered. If they are dead, order the runs by hand", fleet.LookDead, fleet.Watched, limit)
		return b
	}
	if b.Since.IsZero() {
		b.Why = ""
		if b.Unsure {
			b.Why = fmt.Sprintf("%d of %d watched clusters look dead and %d were not looked at yet", fleet.LookDead, fleet.Watched, fleet.Pending)
		}
		return b
	}
	if b.Calm.IsZero() {
		b.Calm = now
	}
	if now.Before(b.Calm.Add(thawAfter)) {
		b.Why = fmt.Sprintf("too many clusters looked dead at once; nothing is ordered before %s, if it stays calm", b.Calm.Add(thawAfter).UTC().Format(time.RFC3339))
		return b
	}
	return Breaker{Thawed: now, Unsure: b.Unsure}
}

// Open tells whether nothing may be ordered.
func (b Breaker) Open() bool { return b.Unsure || !b.Since.IsZero() }

const (
	// lookWhileOpen and lookWhileUnsure are how often an open breaker looks at the fleet:
	// what others see calls nobody up.
	lookWhileOpen   = 5 * time.Second
	lookWhileUnsure = 500 * time.Millisecond
)

// Again is when to look at the fleet again; zero when it is closed.
func (b Breaker) Again(now time.Time) time.Time {
	switch {
	case b.Since.IsZero() && b.Unsure:
		return now.Add(lookWhileUnsure)
	case b.Since.IsZero():
		return time.Time{}
	case b.Calm.IsZero():
		return now.Add(lookWhileOpen)
	}
	return sooner(b.Calm.Add(thawAfter), now.Add(lookWhileOpen))
}

// Limit of clusters that may look dead of so many, at least one. What cannot be read is 0%.
func Limit(most intstr.IntOrString, watched int) int {
	if most.Type == intstr.Int {
		return max(1, most.IntValue())
	}
	percent, err := strconv.Atoi(strings.TrimSuffix(most.StrVal, "%"))
	if err != nil || percent < 0 {
		percent = 0
	}
	return max(1, watched*min(percent, 100)/100)
}
