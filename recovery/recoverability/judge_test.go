package recoverability

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

var t0 = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func well() Facts {
	return Facts{
		Now: t0, Remotes: []Remote{{URL: "https://a", Tip: "11"}}, Lint: &Lint{},
		Rendered: &Rendered{Commit: strings.Repeat("1", 40), Objects: 3, FetchedAt: t0},
	}
}

// TestJudge says what each fact means, and nothing of what is well.
func TestJudge(t *testing.T) {
	none := func(f *Facts) { f.Rendered, f.Lint = nil, nil }
	for name, test := range map[string]struct {
		change func(*Facts)
		status metav1.ConditionStatus
		want   []string // severity, check and the beginning or a part of the sentence
	}{
		"all is well": {func(*Facts) {}, "True", nil},
		"a mirror is dead": {func(f *Facts) { f.Remotes = append(f.Remotes, Remote{URL: "https://b", Fault: "no route to b"}) }, "True",
			[]string{"Warning Git: no route to b; a rebuild would read https://a instead of https://b"}},
		"the repository is dead, a mirror is not": {func(f *Facts) {
			f.Remotes = []Remote{{URL: "https://a", Fault: "no route to a"}, {URL: "https://b", Tip: "11"}}
		}, "True", []string{"Warning Git: no route to a; a rebuild would read https://b instead"}},
		"a mirror is behind":                {func(f *Facts) { f.Remotes = append(f.Remotes, Remote{URL: "https://b", Tip: "22"}) }, "True", []string{"Warning Git: mirror https://b is at 22"}},
		"a mirror need not say where it is": {func(f *Facts) { f.Remotes = append(f.Remotes, Remote{URL: "https://b"}) }, "True", nil},
		"all are dead": {func(f *Facts) {
			f.Remotes[0].Fault = "no route"
			none(f)
		}, "False", []string{"Blocker Git: no place of the repository"}},
		"all are dead, a commit is kept": {func(f *Facts) {
			f.Remotes[0].Fault, f.Rendered.Stale, f.Rendered.FetchedAt = "no route", true, t0.Add(-5*time.Hour)
		}, "True", []string{"Warning Git: no place of the repository can be read; a rebuild would use commit 111111111111, fetched 5 hours ago: no route"}},
		"answers now and then": {func(f *Facts) { f.Rendered.Stale = true }, "True", []string{"Warning Git: the repository answers only now and then"}},
		"unsteady":             {func(f *Facts) { f.Rendered.Unsteady = true }, "False", []string{"Blocker Rendering: commit 111111111111 gives another state each time"}},
		"a fault": {func(f *Facts) {
			none(f)
			f.Faults = []Fault{{Check: CheckSeeds, Message: "Secret x does not exist"}}
		}, "False", []string{"Blocker Seeds: Secret x does not exist"}},
		"could not look": {func(f *Facts) { f.Faults = []Fault{{Check: CheckClusterAPI, Message: "timeout", Unsure: true}} }, "Unknown", []string{"Warning ClusterAPI: could not be checked, it is tried again: timeout"}},
		"could not look, but knows": {func(f *Facts) {
			f.Faults = []Fault{{Check: CheckClusterAPI, Message: "timeout", Unsure: true}, {Check: CheckCharts, Message: "gone"}}
		}, "False", []string{"Blocker Charts: gone", "Warning ClusterAPI: could not"}},
		"nothing known": {none, "Unknown", nil},
		"lint":          {func(f *Facts) { f.Lint = &Lint{Errors: []string{"first", "second"}, Warnings: 3} }, "False", []string{"Blocker Lint: first", "Blocker Lint: second", "Warning Lint: 3 warnings of lint"}},
		"much lint": {func(f *Facts) { f.Lint = &Lint{Errors: []string{"1", "2", "3", "4", "5", "6"}, Warnings: 1} }, "False",
			[]string{"Blocker Lint: 1", "Blocker Lint: 2", "Blocker Lint: 3", "Blocker Lint: 4", "Blocker Lint: 2 more errors", "Warning Lint: 1 warning of"}},
		"five of lint": {func(f *Facts) { f.Lint = &Lint{Errors: []string{"1", "2", "3", "4", "5"}} }, "False", []string{"Blocker Lint: 1", "Blocker Lint: 2", "Blocker Lint: 3", "Blocker Lint: 4", "Blocker Lint: 5"}},
		"version is offered": {func(f *Facts) {
			f.Version = &Version{Wanted: "v1.36.3", Class: "fleet/k", Offered: []string{"v1.35.1", "v1.36.3"}}
		}, "True", nil},
		"version is gone": {func(f *Facts) {
			f.Version = &Version{Wanted: "v1.34.1", Class: "fleet/k", Offered: []string{"v1.35.1", "v1.36.3"}}
		}, "False",
			[]string{"Blocker KubernetesVersion: ClusterClass fleet/k does not offer Kubernetes v1.34.1 any more: it has v1.35.1, v1.36.3"}},
		"never drilled":           {func(f *Facts) { f.MaxDrillAge = time.Hour }, "True", []string{"Warning LastDrill: no rebuild or drill has succeeded yet"}},
		"drilled long ago":        {func(f *Facts) { f.MaxDrillAge, f.LastDrill = 24*time.Hour, t0.Add(-73*time.Hour) }, "True", []string{"Warning LastDrill: the last rebuild or drill that succeeded was 3 days ago, and spec.evaluate.maxDrillAge is 24h"}},
		"drilled in time":         {func(f *Facts) { f.MaxDrillAge, f.LastDrill = 24*time.Hour, t0.Add(-24*time.Hour) }, "True", nil},
		"nobody asks for drills":  {func(f *Facts) { f.LastDrill = t0.Add(-9000 * time.Hour) }, "True", nil},
		"slow":                    {func(f *Facts) { f.RecoveryTime, f.Objective = 61*time.Minute, time.Hour }, "True", []string{"Warning RecoveryTime: the last recovery took 1h1m0s, longer than the objective of 1h0m0s"}},
		"in time":                 {func(f *Facts) { f.RecoveryTime, f.Objective = time.Hour, time.Hour }, "True", nil},
		"no objective, never run": {func(f *Facts) { f.RecoveryTime = time.Hour }, "True", nil},
		"order": {func(f *Facts) {
			f.RecoveryTime, f.Objective = 2*time.Hour, time.Hour
			f.Remotes = append(f.Remotes, Remote{URL: "b", Fault: "dead"})
			f.Faults = []Fault{{Check: CheckClusterAPI, Message: "refused"}, {Check: CheckSecrets, Message: "gone"}}
		}, "False", []string{"Blocker Secrets: gone", "Blocker ClusterAPI: refused", "Warning Git: dead", "Warning RecoveryTime: "}},
	} {
		t.Run(name, func(t *testing.T) {
			f := well()
			test.change(&f)
			v := Judge(f)
			var got []string
			for _, b := range v.Blockers {
				got = append(got, string(b.Severity)+" "+b.Check+": "+b.Message)
			}
			if v.Status != test.status || !slices.EqualFunc(got, test.want, strings.HasPrefix) || v.Reason == "" || v.Message == "" {
				t.Errorf("%s (%s: %s) %q, want %s %q", v.Status, v.Reason, v.Message, got, test.status, test.want)
			}
		})
	}
}

// TestBounds keep a status to what the API takes, blockers before warnings.
func TestBounds(t *testing.T) {
	f := well()
	for range 20 {
		f.Faults = append(f.Faults, Fault{Check: CheckLint, Message: "unsure", Unsure: true})
	}
	f.Faults = append(f.Faults, Fault{Check: CheckItself, Message: strings.Repeat("ü\n", 2000)})
	plan := planAt()
	plan.Annotations = map[string]string{v1alpha1.AnnotationEvaluate: strings.Repeat("ü", 100)}
	Record(plan, Judge(f), 1, Asked(plan), t0)
	r := plan.Status.Recoverability
	if len(r.Blockers) != maxListed || r.More != 5 || r.Blockers[0].Check != string(CheckItself) {
		t.Errorf("%d blockers and %d more, the first %+v", len(r.Blockers), r.More, r.Blockers[0])
	}
	if m := r.Blockers[0].Message; len(m) > maxMessage || strings.ContainsAny(m, "\n\uFFFD") {
		t.Errorf("%d bytes: %q", len(m), m)
	}
	if len(r.Asked) > maxAsked || !strings.HasPrefix(r.Asked, "üü") || strings.Contains(r.Asked, "\uFFFD") {
		t.Errorf("asked %q", r.Asked)
	}
	if at, due := Due(plan, t0); !due || !at.After(t0) {
		t.Error("a request that was cut is answered again and again")
	}
}
