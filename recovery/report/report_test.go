package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/recovery/pack"
)

var t0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func finishedRun() *v1alpha1.RecoveryRun {
	at := func(seconds int) *metav1.MicroTime {
		m := metav1.NewMicroTime(t0.Add(time.Duration(seconds) * time.Second))
		return &m
	}
	return &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev-drill-1"},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: v1alpha1.OperationDrill, Reason: "monthly"},
		Status: v1alpha1.RecoveryRunStatus{
			StartedAt: at(0), FinishedAt: at(90), RecoveredAt: at(70),
			Pinned: &v1alpha1.PinnedInputs{Commit: strings.Repeat("a", 40), Plan: v1alpha1.RecoveryPlanSpec{
				Objective: v1alpha1.Objective{RecoveryTime: &metav1.Duration{Duration: time.Minute}}}},
			Target:     &v1alpha1.Incarnation{Name: "dev-drill-1a2b3c", Simulated: true},
			Phases:     []v1alpha1.PhaseRecord{{Name: v1alpha1.PhasePreflight, StartedAt: *at(0), FinishedAt: at(2), Message: "3 objects"}},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionCleanedUp, Status: metav1.ConditionTrue}},
		},
	}
}

func TestBuildStoreAndRead(t *testing.T) {
	earlier := &Report{
		Waves: WavesOf([]Object{{ID: "b", Wave: 2, Status: "Healthy"}, {ID: "a", Wave: 1, Status: "Healthy", Seconds: 1.5}, {ID: "c", Wave: 2, Status: "NotProvable", Adopted: true},
			{ID: "d", Wave: 2, Status: "Missing", Optional: true, Origin: "d.yaml:4", Message: "refused"}}),
		Verification: &Verification{Rendered: 3, Matched: 3, Healthy: 2, NotProvable: 1, Details: Details{NotProvable: []Finding{{ID: "c", Origin: "a.yaml:3", Detail: "simulated"}}}},
	}
	built := Build(finishedRun(), earlier)
	raw, err := built.Compress()
	if err != nil {
		t.Fatal(err)
	}
	read, err := FromConfigMap(&corev1.ConfigMap{BinaryData: map[string][]byte{ConfigMapKey: raw}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range built.Waves {
		for j := range built.Waves[i].Objects {
			built.Waves[i].Objects[j].Wave = 0 // not part of the stored form
		}
	}
	if diff := cmp.Diff(built, read); diff != "" {
		t.Errorf("read (-built +read):\n%s", diff)
	}
	if len(read.Waves) != 2 || read.Waves[1].Number != 2 || len(read.Waves[1].Objects) != 3 {
		t.Errorf("waves %+v", read.Waves)
	}
	var text bytes.Buffer
	if err := read.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Drill of plan fleet/dev: Succeeded", "dev-drill-1a2b3c (simulated", "1m10s (objective 1m0s: missed)", "cleaned up", "Preflight  2.0s  3 objects",
		"4 objects in 2 waves, 1 of them found applied", "optional, and failed: d (d.yaml:4): refused", "3 of 3 objects match", "not provable", "a.yaml:3",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
}

// TestTextIsPrintable has what a terminal would obey.
func TestTextIsPrintable(t *testing.T) {
	r := Build(finishedRun(), &Report{Notes: []string{"\x1b]0;title\x07 \u009b31m\x00 \r\n ok"}})
	r.Reason = "\x1b[2J"
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(text.String(), func(c rune) bool { return c != '\n' && unicode.IsControl(c) }); i >= 0 {
		t.Errorf("at %d: %q", i, text.String())
	}
}

func TestMatches(t *testing.T) {
	for name, test := range map[string]struct {
		v    *Verification
		want bool
	}{
		"all":          {&Verification{Rendered: 2, Matched: 2}, true},
		"with extra":   {&Verification{Rendered: 2, Matched: 2, Extra: 3}, true},
		"not provable": {&Verification{Rendered: 2, Matched: 2, NotProvable: 1}, true},
		"nothing":      {&Verification{}, false},
		"none":         {nil, false},
		"missing":      {&Verification{Rendered: 2, Matched: 1, Missing: 1}, false},
		"changed":      {&Verification{Rendered: 2, Matched: 2, Changed: 1}, false},
		"unhealthy":    {&Verification{Rendered: 2, Matched: 2, Unhealthy: 1}, false},
	} {
		if got := test.v.Matches(); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestLargeReportIsCut builds reports that do not compress and shrinks the bound.
func TestLargeReportIsCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%x", random.Uint64())
		}
		return b.String()
	}
	r := Build(finishedRun(), nil)
	var objects []Object
	for i := range 2000 {
		status := "Healthy"
		if i%100 == 0 {
			status = "Failed"
		}
		objects = append(objects, Object{ID: noise(40), Status: status, Message: noise(400), Attempts: 1})
	}
	r.Waves = WavesOf(objects)
	r.Verification = &Verification{Rendered: 2000, Matched: 0, Changed: 2000}
	for range 2000 {
		r.Verification.Details.Changed = append(r.Verification.Details.Changed, Finding{ID: noise(40), Detail: noise(200)})
	}
	for _, limit := range []int{600 << 10, 300 << 10, 60 << 10, 40 << 10} {
		raw, err := r.compressWithin(limit)
		if err != nil {
			t.Fatalf("%d: %v", limit, err)
		}
		cut, err := FromConfigMap(&corev1.ConfigMap{BinaryData: map[string][]byte{ConfigMapKey: raw}})
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > limit || cut.Truncated == "" || cut.Verification.Changed != 2000 {
			t.Errorf("limit %d: %d bytes, truncated %q", limit, len(raw), cut.Truncated)
		}
	}
	if len(r.Verification.Details.Changed) != 2000 || len(r.Waves[0].Objects) != 2000 || r.Truncated != "" {
		t.Error("the report itself was changed")
	}
	if _, err := r.compressWithin(10); err == nil {
		t.Error("a bound that cannot be kept was")
	}
}

func TestFromConfigMapRefuses(t *testing.T) {
	for name, data := range map[string]map[string][]byte{
		"no key":  nil,
		"no gzip": {ConfigMapKey: []byte("x")},
	} {
		if _, err := FromConfigMap(&corev1.ConfigMap{BinaryData: data}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestOriginIsSaid holds what a reader must learn of the commit: its age, that no remote
// answered, and who signed it.
func TestOriginIsSaid(t *testing.T) {
	run := finishedRun()
	made, fetched := metav1.NewTime(t0.Add(-26*time.Hour)), metav1.NewTime(t0.Add(-25*time.Hour))
	run.Status.Pinned.CommitTime = &made
	run.Status.Pinned.Origin = &v1alpha1.CommitOrigin{
		From: "https://mirror.example.com/fleet.git", Ref: "refs/heads/main", FetchedAt: &fetched, Stale: true,
		SignedBy: []string{"commit signed by dev@example.com, SHA256:abc (SSH)"},
	}
	built := Build(run, nil)
	if o := built.Origin; o == nil || !o.Stale || o.Ref != "refs/heads/main" || !o.FetchedAt.Equal(fetched.Time) || len(o.SignedBy) != 1 {
		t.Fatalf("origin %+v", o)
	}
	var text bytes.Buffer
	if err := built.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"(26h0m0s before the run)", "https://mirror.example.com/fleet.git", "REMOTE UNREACHABLE", "signed by dev@example.com, SHA256:abc (SSH)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text.String())
		}
	}
	run.Status.Pinned.Origin.Stale = false
	text.Reset()
	if err := Build(run, nil).WriteText(&text); err != nil || strings.Contains(text.String(), "UNREACHABLE") {
		t.Errorf("%v:\n%s", err, text.String())
	}
}

// TestAskedIsKept holds who ordered, who agreed, and what was not heeded.
func TestAskedIsKept(t *testing.T) {
	run := finishedRun()
	at := func(seconds int) metav1.MicroTime {
		return metav1.NewMicroTime(t0.Add(time.Duration(seconds) * time.Second))
	}
	approved := at(5)
	run.CreationTimestamp = metav1.NewTime(t0.Add(-time.Minute))
	run.Spec.RequestedBy, run.Spec.OverrideHolds = "ada", true
	run.Spec.Schedule = &v1alpha1.ScheduledTime{Name: "nightly", Nominal: "2026-11-23T09:00", Due: at(0), ReadyBy: &metav1.Time{Time: t0.Add(time.Hour)}}
	s := &run.Status
	s.Approval = &v1alpha1.ApprovalRecord{RequestedAt: at(2), ApprovedBy: "grace", ApprovedAt: &approved, Reason: "seen"}
	s.OverriddenHolds = []v1alpha1.OverriddenHold{{Name: "fair", Reason: "trade fair", Until: metav1.NewTime(t0.Add(time.Hour))}}
	s.Budget = &v1alpha1.BudgetWait{Waited: metav1.Duration{Duration: 7 * time.Second}}
	s.Phases[0].Suspended = &metav1.Duration{Duration: 9 * time.Second}
	made := metav1.NewTime(t0.Add(-26 * time.Hour))
	s.Pinned.CommitTime = &made
	r := Build(run, nil)
	if r.RequestedBy != "ada" || r.Schedule.Name != "nightly" || !r.Schedule.ReadyBy.Equal(t0.Add(time.Hour)) || r.Approval.By != "grace" || r.Approval.Reason != "seen" ||
		!r.OverridesHolds || r.HoldsOverridden[0].Reason != "trade fair" || r.BudgetWaitSeconds != 7 || r.Phases[0].StoodStillSeconds != 9 || *r.CommitAgeSeconds != 26*3600 || !r.OrderedAt.Equal(t0.Add(-time.Minute)) {
		t.Errorf("%+v", r)
	}
	kinds := ""
	for _, d := range r.Deviations {
		kinds += d.Kind + " "
	}
	if kinds != "ObjectiveMissed Simulated HoldsOverridden Suspended BudgetWait " {
		t.Errorf("deviations %s", kinds)
	}
}

// TestLossIsBounded stores a preview that is far too large.
func TestLossIsBounded(t *testing.T) {
	p := &loss.Preview{Total: 2000}
	for i := range 2000 {
		item := loss.Item{What: loss.Fields, Class: loss.Lost, ID: manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprintf("c%d", i)}}
		for j := range 50 {
			noise := sha256.Sum256(fmt.Appendf(nil, "%d %d", i, j))
			item.Fields = append(item.Fields, loss.Field{Path: "data." + hex.EncodeToString(noise[:]), Live: hex.EncodeToString(noise[:])})
		}
		p.Lost = append(p.Lost, item)
	}
	r := &Report{Run: "run", Loss: p}
	raw, err := r.Compress()
	if err != nil || len(raw) > pack.Most {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	kept, err := FromConfigMap(&corev1.ConfigMap{BinaryData: map[string][]byte{ConfigMapKey: raw}})
	if err != nil || kept.Loss.Total != 2000 || len(kept.Loss.Lost)+kept.Loss.LeftOut != 2000 || kept.Truncated == "" {
		t.Errorf("kept %d of %d, %d left out, %q, %v", len(kept.Loss.Lost), kept.Loss.Total, kept.Loss.LeftOut, kept.Truncated, err)
	}
	if len(p.Lost) != 2000 || len(p.Lost[0].Fields) != 50 {
		t.Error("the original was cut, too")
	}
}

// TestOneOfEach: one object is no "1 objects".
func TestOneOfEach(t *testing.T) {
	r := Build(finishedRun(), &Report{Waves: WavesOf([]Object{{ID: "a", Wave: 1, Status: "Healthy"}})})
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "waves: 1 object in 1 wave;") {
		t.Errorf("%v\n%s", err, text.String())
	}
}
