package main

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestGetOfNothing ends as with every other command that is given a wrong name.
func TestGetOfNothing(t *testing.T) {
	for _, noun := range []string{"plans", "runs", "schedules", "budgets", "policies"} {
		table, err := tableOf(noun)
		if err != nil {
			t.Fatal(err)
		}
		for _, all := range []bool{false, true} {
			err = table(t.Context(), terminal{}, management(t, interceptor.Funcs{}), getOptions{namespace: map[bool]string{false: "fleet"}[all], name: "nope", all: all})
			if where := map[bool]string{false: `namespace "fleet"`, true: "any namespace"}[all]; exitCode(err) != exitUsage || !strings.Contains(err.Error(), `"nope" was not found in `+where) {
				t.Errorf("get %s nope: %v", noun, err)
			}
		}
	}
}
