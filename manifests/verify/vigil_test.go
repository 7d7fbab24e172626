package verify

import (
	"strings"
	"testing"
	"time"
)

func TestVigil(t *testing.T) {
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	type step struct {
		second int
		do     func(v *vigil, now time.Time)
		// left at that second; -1 while the time does not run.
		left int
	}
	seen := func(source string, whole bool) func(*vigil, time.Time) {
		return func(v *vigil, now time.Time) { v.observed(source, whole, now) }
	}
	sick := func(item int, message string) func(*vigil, time.Time) {
		return func(v *vigil, now time.Time) { v.sick(item, message, now) }
	}
	cases := map[string]struct {
		sources []string
		steps   []step
		culprit string
	}{
		"nothing to watch":                  {nil, []step{{0, func(*vigil, time.Time) {}, 30}}, ""},
		"every source has to be seen":       {[]string{"a", "b"}, []step{{0, seen("a", true), -1}, {5, seen("b", true), 30}, {10, func(*vigil, time.Time) {}, 25}}, ""},
		"a healthy object disturbs nothing": {[]string{"a"}, []step{{0, seen("a", true), 30}, {20, sick(1, ""), 10}}, ""},
		"one that leaves restarts the time": {[]string{"a"}, []step{{0, seen("a", true), 30}, {20, sick(1, "down"), -1}, {22, sick(2, ""), -1}, {25, sick(1, ""), 30}}, "left 1 times, last: down"},
		"two have to come back":             {[]string{"a"}, []step{{0, seen("a", true), 30}, {1, sick(1, "x"), -1}, {2, sick(2, "y"), -1}, {3, sick(1, ""), -1}, {4, sick(2, ""), 30}}, "last: y"},
		"a gap in the view restarts too":    {[]string{"a"}, []step{{0, seen("a", true), 30}, {20, seen("a", false), -1}, {21, seen("a", true), 30}}, ""},
		"ill while listed":                  {[]string{"a"}, []step{{0, sick(1, "down"), -1}, {1, seen("a", true), -1}, {2, sick(1, "still down"), -1}, {3, sick(1, ""), 30}}, "left 1 times"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			v := newVigil(30*time.Second, tc.sources)
			v.begin(start)
			for i, s := range tc.steps {
				s.do(v, at(s.second))
				left, running := v.left(at(s.second))
				if running != (s.left >= 0) || running && left != time.Duration(s.left)*time.Second {
					t.Fatalf("step %d: %s left, running %t; want %d", i, left, running, s.left)
				}
			}
			culprits := v.culprits()
			if (len(culprits) == 0) != (tc.culprit == "") {
				t.Fatalf("culprits %v", culprits)
			}
			if tc.culprit != "" && !strings.Contains(v.says(culprits[0]), tc.culprit) {
				t.Errorf("%s, want %q", v.says(culprits[0]), tc.culprit)
			}
		})
	}
}
