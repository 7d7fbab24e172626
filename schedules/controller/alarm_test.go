package controller

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestAlarmAfterAWrongClock calls everybody up when a clock that was far ahead comes back:
// what was asked for meanwhile must not keep others from being called.
func TestAlarmAfterAWrongClock(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	c := clocktesting.NewFakeClock(now)
	a := newAlarm(c, nil)
	first, second := types.NamespacedName{Name: "first"}, types.NamespacedName{Name: "second"}
	if due, _ := a.due(); len(due) > 0 {
		t.Errorf("due %v", due)
	}
	c.SetTime(now.AddDate(1, 0, 0))
	a.due()
	a.set(first, c.Now().Add(time.Minute))
	a.set(second, c.Now().Add(10*time.Minute))
	c.SetTime(now.Add(time.Minute))
	due, nap := a.due()
	if slices.SortFunc(due, func(x, y types.NamespacedName) int { return len(x.Name) - len(y.Name) }); !slices.Equal(due, []types.NamespacedName{first, second}) || nap != maxNap {
		t.Errorf("due %v, then a nap of %s", due, nap)
	}
	a.set(first, c.Now().Add(time.Minute))
	c.SetTime(c.Now().Add(-time.Second)) // clocks are always set a little
	if due, _ := a.due(); len(due) > 0 {
		t.Errorf("due %v after a second", due)
	}
}
