package apply

import (
	"strings"
	"testing"
	"time"
)

// TestTooOld: which backup a Restore brings back, and whether it is new enough.
func TestTooOld(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	at := func(name, schedule, phase string, age time.Duration) backup {
		return backup{name: name, schedule: schedule, phase: phase, at: now.Add(-age)}
	}
	for name, test := range map[string]struct {
		backups      []backup
		by, schedule string
		says         string // empty when it may be restored
	}{
		"new enough":               {backups: []backup{at("a", "", "Completed", time.Hour)}, by: "a"},
		"exactly":                  {backups: []backup{at("a", "", "Completed", 24*time.Hour)}, by: "a"},
		"too old":                  {backups: []backup{at("a", "", "Completed", 25*time.Hour)}, by: "a", says: "25h0m0s ago, and the plan allows 24h0m0s"},
		"another one is newer":     {backups: []backup{at("a", "", "Completed", 25*time.Hour), at("b", "", "Completed", time.Hour)}, by: "a", says: "backup a began"},
		"not there":                {backups: []backup{at("b", "", "Completed", time.Hour)}, by: "a", says: "no completed backup a"},
		"half":                     {backups: []backup{at("a", "", "PartiallyFailed", time.Hour)}, by: "a", says: "no completed backup a"},
		"without a time":           {backups: []backup{{name: "a", phase: "Completed"}}, by: "a", says: "does not say when"},
		"newest of the schedule":   {backups: []backup{at("a", "daily", "Completed", 30*time.Hour), at("b", "daily", "Completed", 6*time.Hour)}, schedule: "daily"},
		"the newest is under way":  {backups: []backup{at("a", "daily", "Completed", 30*time.Hour), at("b", "daily", "InProgress", time.Minute)}, schedule: "daily", says: "backup a began"},
		"of another schedule":      {backups: []backup{at("a", "weekly", "Completed", time.Hour)}, schedule: "daily", says: "no completed backup of schedule daily"},
		"nothing named":            {backups: []backup{at("a", "", "Completed", time.Hour)}, says: "names neither"},
		"no schedule is no backup": {backups: []backup{at("a", "", "Completed", time.Hour)}, schedule: "daily", says: "no completed"},
	} {
		if got := tooOld(test.backups, test.by, test.schedule, 24*time.Hour, now); (got == "") != (test.says == "") || !strings.Contains(got, test.says) {
			t.Errorf("%s: %q, want it to say %q", name, got, test.says)
		}
	}
}
