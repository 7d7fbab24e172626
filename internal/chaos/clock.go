package chaos

import (
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// jumpy is a clock that can be set, as somebody does who corrects the time.
type jumpy struct {
	clock.RealClock
	offset atomic.Int64
}

func (j *jumpy) jump(by time.Duration) { j.offset.Add(int64(by)) }

// Now with the offset.
func (j *jumpy) Now() time.Time { return j.RealClock.Now().Add(time.Duration(j.offset.Load())) }

// Since by this clock.
func (j *jumpy) Since(t time.Time) time.Duration { return j.Now().Sub(t) }
