package controller

import (
	"slices"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestAlarmOfAClockThatWasAhead calls up who was told of an instant by a clock that was a year
// ahead and is right again.
func TestAlarmOfAClockThatWasAhead(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC))
	a := newAlarm(clock, nil)
	one, two := client.ObjectKey{Name: "one"}, client.ObjectKey{Name: "two"}
	a.set(one, clock.Now().Add(time.Hour))
	a.set(two, clock.Now().Add(2*time.Hour))
	calls := func(want ...client.ObjectKey) {
		t.Helper()
		if got, _ := a.due(); !slices.Equal(got, want) {
			t.Errorf("at %s called %v, want %v", clock.Now(), got, want)
		}
	}
	calls()
	clock.Step(365 * 24 * time.Hour)
	calls(one, two)
	a.set(one, clock.Now().Add(time.Hour))
	a.set(two, clock.Now().Add(2*time.Hour))
	clock.SetTime(clock.Now().Add(-time.Second))
	calls() // that much is no reason
	clock.SetTime(clock.Now().Add(-365 * 24 * time.Hour))
	calls(one, two)
	a.set(one, clock.Now().Add(time.Hour))
	calls()
}
