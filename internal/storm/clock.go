package storm

import (
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// Clock is the machine's, set forward by hand.
type Clock struct {
	clock.RealClock
	ahead atomic.Int64
}

// Now implements clock.PassiveClock.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Since implements clock.PassiveClock.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Set the clock.
func (c *Clock) Set(now time.Time) { c.ahead.Store(int64(time.Until(now))) }
