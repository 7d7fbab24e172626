package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/sops"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
	"github.com/refloat-dev/refloat/recovery"
)

// evaluate once, and return when it is looked again.
func (w *world) evaluate() time.Duration {
	w.t.Helper()
	result, err := w.r.evaluate(w.t.Context(), requestFor("plan"))
	w.must(err)
	return result.RequeueAfter
}

func (w *world) planned() *v1alpha1.RecoveryPlan {
	w.t.Helper()
	plan := &v1alpha1.RecoveryPlan{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: "plan"}, plan))
	return plan
}

// ready is a plan that is old enough to be looked at.
func (w *world) ready(change func(*v1alpha1.RecoveryPlan)) {
	w.t.Helper()
	w.plan(change)
	w.clock.Step(time.Minute)
}

func withoutSecret(name string) func(*world) {
	return func(w *world) {
		w.must(w.store.Store.Delete(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}))
	}
}

func failing(err error) func(*world) { return func(w *world) { w.engine.renderErr = err } }

func probing(answers ...source.Probed) func(*world) {
	return func(w *world) { w.engine.probed = answers }
}

// TestEvaluation lets one thing go wrong at a time. Whatever it is, nothing but the status of
// the plan is written, once.
func TestEvaluation(t *testing.T) {
	const url = "https://git.example.com/fleet.git"
	dead := source.Probed{URL: url, Err: errors.New("no route to host")}
	for name, test := range map[string]struct {
		plan   func(*v1alpha1.RecoveryPlan)
		world  func(*world)
		status metav1.ConditionStatus
		found  []string // checks, warnings with a w in front
		says   string
	}{
		"all is well": {status: "True"},
		"the cluster is there": {world: func(w *world) {
			w.verified("dev")
			w.writes, w.creates = 0, map[string]int{}
		}, status: "True"},
		"another plan serves": {world: func(w *world) {
			w.must(w.store.Store.Create(w.t.Context(), &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: recovery.ServingName("plan")},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("other"), LeaseTransitions: new(int32(1))},
			}))
			w.writes, w.creates = 0, map[string]int{}
		}, status: "False", found: []string{"Serving"}, says: "plan other serves for plan plan"},
		"a seed is gone": {world: withoutSecret("age"), status: "False", found: []string{"Seeds"}, says: "spec.seeds[0]"},
		"two seeds are gone": {plan: func(p *v1alpha1.RecoveryPlan) {
			p.Spec.Seeds = append(p.Spec.Seeds, v1alpha1.Seed{SecretRef: v1alpha1.LocalSecretReference{Name: "other"}, Namespace: "x"})
		}, world: withoutSecret("age"), status: "False", found: []string{"Seeds", "Seeds"}, says: "Secret fleet/other"},
		"a seed is empty": {world: func(w *world) {
			withoutSecret("age")(w)
			w.must(w.store.Store.Create(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "age"}}))
		}, status: "False", found: []string{"Seeds"}, says: "is empty"},
		"credentials are gone": {plan: func(p *v1alpha1.RecoveryPlan) { p.Spec.Source.SecretRef = &v1alpha1.LocalSecretReference{Name: "git"} },
			world: probing(dead), status: "False", found: []string{"Secrets"}, says: "spec.source.secretRef"},
		"the signing key is gone": {plan: func(p *v1alpha1.RecoveryPlan) {
			p.Spec.Verify.Certificate = &v1alpha1.CertificatePolicy{SecretRef: v1alpha1.LocalSecretReference{Name: "key"}}
		}, status: "False", found: []string{"Secrets"}, says: "spec.verify.certificate.secretRef"},
		"Git is dead": {world: func(w *world) {
			probing(dead)(w)
			failing(&source.UnreachableError{URL: url, Reason: "no route to host", Why: source.NoAnswer})(w)
		}, status: "False", found: []string{"Git"}, says: "no route to host"},
		"Git is dead, a commit is kept": {world: func(w *world) {
			probing(dead)(w)
			at := metav1.NewTime(w.clock.Now().Add(-3 * time.Hour))
			w.engine.origin = &v1alpha1.CommitOrigin{Stale: true, FetchedAt: &at}
		}, status: "True", found: []string{"wGit"}, says: "fetched 3 hours ago"},
		"a mirror is dead": {world: probing(source.Probed{URL: url, Tip: "1"}, source.Probed{URL: "mirror", Err: errors.New("refused")}),
			status: "True", found: []string{"wGit"}, says: "refused"},
		"the branch is gone": {world: failing(inputFault("RepositoryUnusable", errors.New("no branch"))), status: "False", found: []string{"Git"}, says: "no branch"},
		"another repository is dead": {world: failing(fmt.Errorf("commit x: %w", &source.UnreachableError{URL: "https://elsewhere", Why: source.NoAnswer})),
			status: "False", found: []string{"Sources"}, says: "elsewhere"},
		"it does not render": {world: failing(inputFault("StateInvalid", errors.New("a.yaml is no YAML"))), status: "False", found: []string{"Rendering"}, says: "a.yaml"},
		"a key is missing":   {world: failing(inputFault("StateInvalid", fmt.Errorf("a.yaml: %w", &sops.MissingKeyError{}))), status: "False", found: []string{"Decryption"}, says: "a.yaml"},
		"a chart repository is dead": {world: failing(inputFault("StateInvalid", fmt.Errorf("a.yaml: %w", &chart.UnreachableError{Repository: "https://charts"}))),
			status: "False", found: []string{"Charts"}, says: "https://charts"},
		"a chart is gone": {world: failing(inputFault("StateInvalid", fmt.Errorf("a.yaml: %w", &chart.NotFoundError{Name: "podinfo"}))),
			status: "False", found: []string{"Charts"}, says: "podinfo"},
		"rendering takes too long": {world: failing(fmt.Errorf("render: %w", context.DeadlineExceeded)), status: "Unknown", found: []string{"wRendering"}, says: "could not be checked"},
		"it renders to something else": {world: func(w *world) {
			w.engine.onRender = func(n int) error {
				w.engine.digest = fmt.Sprint("digest ", n)
				return nil
			}
		}, status: "False", found: []string{"Rendering"}, says: "another state each time"},
		"the pinned commit does not render": {world: func(w *world) {
			w.engine.onRender = func(n int) error {
				if n == 2 {
					return inputFault("StateInvalid", errors.New("chart is gone"))
				}
				return nil
			}
		}, status: "False", found: []string{"Rendering"}, says: "render the same commit again"},
		"nothing to apply": {world: func(w *world) { w.engine.objects = 0 }, status: "False", found: []string{"Rendering"}, says: "no object"},
		"lint": {world: func(w *world) {
			w.engine.findings = []lint.Finding{
				{Rule: "missing", Severity: lint.Error, Object: manifests.ID{Kind: "Pod", Name: "p"}, Message: "it is missing", Fix: "add it"},
				{Rule: "key", Severity: lint.Error, Object: manifests.ID{Kind: "Secret", Name: "s"}, Message: "canary"},
				{Rule: "luck", Severity: lint.Warning}, {Rule: "note", Severity: lint.Note},
			}
		}, status: "False", found: []string{"Lint", "Lint", "wLint"}, says: "missing: it is missing: add it"},
		"lint has a defect": {world: func(w *world) { w.engine.panicsOnLint = true }, status: "Unknown", found: []string{"wEvaluation"}, says: "a defect of Refloat"},
		"another name": {world: func(w *world) { w.engine.sources = func(string) []capi.Source { return fake.Sources("other") } },
			status: "False", found: []string{"ClusterManifests"}, says: "other"},
		"a provider is not installed": {world: func(w *world) {
			w.engine.sources = func(name string) []capi.Source {
				o := &unstructured.Unstructured{}
				o.SetAPIVersion("infrastructure.cluster.x-k8s.io/v1beta2")
				o.SetKind("NobodysCluster")
				o.SetName(name)
				return append(fake.Sources(name), capi.Source{Object: o, From: "a.yaml:1"})
			}
		}, status: "False", found: []string{"ClusterAPI"}, says: "is not served by the management cluster"},
		"somebody else's object is in the way": {world: func(w *world) {
			o := fake.Sources("dev")[0].Object.DeepCopy()
			if o.GetKind() == "Cluster" {
				o = fake.Sources("dev")[1].Object.DeepCopy()
			}
			o.SetNamespace(namespace)
			w.must(w.store.Store.Create(w.t.Context(), o))
		}, status: "False", found: []string{"ClusterAPI"}},
		"nobody has drilled": {plan: func(p *v1alpha1.RecoveryPlan) { p.Spec.Evaluate.MaxDrillAge = &metav1.Duration{Duration: time.Hour} },
			status: "True", found: []string{"wLastDrill"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ready(test.plan)
			if test.world != nil {
				test.world(w)
			}
			w.evaluate()
			plan := w.planned()
			c := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionRecoverable)
			if c == nil || c.Status != test.status {
				t.Fatalf("condition %+v, want %s; %+v", c, test.status, plan.Status.Recoverability)
			}
			var found []string
			text := c.Message
			for _, b := range plan.Status.Recoverability.Blockers {
				mark := map[v1alpha1.BlockerSeverity]string{v1alpha1.SeverityWarning: "w"}[b.Severity]
				found, text = append(found, mark+b.Check), text+"\n"+b.Message
			}
			if !slices.Equal(found, test.found) || !strings.Contains(text, test.says) || strings.Contains(text, "canary") {
				t.Errorf("found %q, want %q that say %q:\n%s", found, test.found, test.says, text)
			}
			if w.writes != 1 || len(w.creates) > 0 || len(w.deletes) > 0 {
				t.Errorf("%d writes, creates %v, deletes %v", w.writes, w.creates, w.deletes)
			}
		})
	}
}

// TestEvaluationsByTheClock come in time, not while a run works, and go on after a restart
// where they were.
func TestEvaluationsByTheClock(t *testing.T) {
	w := newWorld(t)
	w.plan(nil)
	evaluations := func(n int, when string) {
		t.Helper()
		if w.engine.renderings != 2*n { // each renders twice
			t.Fatalf("%s: %d renderings, want %d", when, w.engine.renderings, 2*n)
		}
	}
	if wait := w.evaluate(); wait <= 0 || wait > 10*time.Second {
		t.Errorf("a new plan is looked at in %s", wait)
	}
	evaluations(0, "just made")
	w.clock.Step(10 * time.Second)
	wait := w.evaluate()
	evaluations(1, "ten seconds later")
	if wait < 27*time.Minute-time.Second || wait > 30*time.Minute {
		t.Errorf("it is looked again in %s", wait)
	}
	w.clock.Step(wait - 2*time.Second)
	w.replace()
	if w.evaluate() > 3*time.Second {
		t.Error("after a restart the time has moved")
	}
	evaluations(1, "after a restart, too early")
	w.clock.Step(2 * time.Second)
	w.evaluate()
	evaluations(2, "in time")

	w.order("run", v1alpha1.OperationRebuild)
	w.clock.Step(time.Hour)
	if wait := w.evaluate(); wait != busyEvery {
		t.Errorf("while a run waits: again in %s", wait)
	}
	evaluations(2, "while a run waits")
	w.finish("run")
	before := w.engine.renderings
	w.evaluate()
	if w.engine.renderings != before+2 {
		t.Error("it is not looked again after a run")
	}
	if last := w.planned().Status.LastDrill; last == nil || last.Name != "run" {
		t.Errorf("last drill %+v", last)
	}
	w.clock.Step(time.Second)
	w.evaluate()
	if w.engine.renderings != before+2 {
		t.Error("it is looked again and again after a run")
	}
}

// TestEvaluationWaitsForNoPerson: a run may wait for days until somebody approves it.
func TestEvaluationWaitsForNoPerson(t *testing.T) {
	w := newWorld(t)
	w.ready(func(p *v1alpha1.RecoveryPlan) { p.Spec.Teardown.Policy = v1alpha1.TeardownNeedsApproval })
	w.verified("dev")
	w.order("run", v1alpha1.OperationRebuild)
	w.until("run", "its approval", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Approval != nil })
	before := w.engine.renderings
	w.evaluate()
	if w.engine.renderings != before+2 {
		t.Error("it is not looked while a run waits for a person")
	}
}

// TestEvaluationWhileOthersWrite keeps what they wrote, and says which generation it saw.
func TestEvaluationWhileOthersWrite(t *testing.T) {
	w := newWorld(t)
	w.ready(func(p *v1alpha1.RecoveryPlan) { p.Generation = 1 })
	edited := false
	w.fail = func(_ string, o client.Object) error {
		if _, plan := o.(*v1alpha1.RecoveryPlan); !plan || edited {
			return nil
		}
		edited = true
		plan := w.planned()
		plan.Generation++
		plan.Spec.State[0].Path = "elsewhere"
		w.must(w.store.Store.Update(t.Context(), plan))
		plan.Status.LastRun = &v1alpha1.LastRun{Name: "other", FinishedAt: metav1.NewTime(w.clock.Now().Add(-time.Hour))}
		w.must(w.store.Store.Status().Update(t.Context(), plan))
		return nil
	}
	if wait := w.evaluate(); wait != time.Second {
		t.Errorf("looked again in %s", wait)
	}
	plan := w.planned()
	c := meta.FindStatusCondition(plan.Status.Conditions, v1alpha1.ConditionRecoverable)
	if c == nil || plan.Generation == c.ObservedGeneration || plan.Status.LastRun == nil {
		t.Fatalf("generation %d, %+v, last run %+v", plan.Generation, c, plan.Status.LastRun)
	}
	w.evaluate()
	if c := meta.FindStatusCondition(w.planned().Status.Conditions, v1alpha1.ConditionRecoverable); c.ObservedGeneration != plan.Generation || w.engine.asked.StatePaths[0] != "elsewhere" {
		t.Errorf("%+v, rendered %q", c, w.engine.asked.StatePaths)
	}
}

// TestEvaluationOnRequest is made once for each request, also of a plan that is not looked at
// by itself.
func TestEvaluationOnRequest(t *testing.T) {
	w := newWorld(t)
	w.ready(func(p *v1alpha1.RecoveryPlan) { p.Spec.Evaluate.Every = &metav1.Duration{} })
	for i, request := range []string{"", "a", "a", "b"} {
		plan := w.planned()
		plan.Annotations = map[string]string{v1alpha1.AnnotationEvaluate: request}
		w.must(w.store.Store.Update(t.Context(), plan))
		if wait := w.evaluate(); wait != 0 {
			t.Errorf("looked again in %s", wait)
		}
		if want := []int{0, 2, 2, 4}[i]; w.engine.renderings != want {
			t.Errorf("request %d: %d renderings, want %d", i, w.engine.renderings, want)
		}
	}
}

// TestWhatWakesAnEvaluation is a request, a run that ended and a plan that learned of it, and
// not what the evaluation itself writes.
func TestWhatWakesAnEvaluation(t *testing.T) {
	plan := func(request string, run types.UID, evaluated bool) *v1alpha1.RecoveryPlan {
		p := &v1alpha1.RecoveryPlan{}
		p.Annotations = map[string]string{v1alpha1.AnnotationEvaluate: request}
		p.Status.LastRun = &v1alpha1.LastRun{UID: run}
		if evaluated {
			p.Status.Recoverability = &v1alpha1.Recoverability{Commit: "a"}
		}
		return p
	}
	run := func(ended bool) *v1alpha1.RecoveryRun {
		r := &v1alpha1.RecoveryRun{}
		if ended {
			r.Status.FinishedAt = &metav1.MicroTime{}
		}
		return r
	}
	for name, test := range map[string]struct {
		p       predicate.Predicate
		was, is client.Object
		want    bool
	}{
		"a request":            {asks, plan("", "1", false), plan("a", "1", false), true},
		"a plan learns of it":  {asks, plan("a", "1", true), plan("a", "2", true), true},
		"an evaluation":        {asks, plan("a", "1", false), plan("a", "1", true), false},
		"a run ends":           {ends, run(false), run(true), true},
		"a run goes on":        {ends, run(false), run(false), false},
		"a run ended long ago": {ends, run(true), run(true), false},
	} {
		if got := test.p.Update(event.UpdateEvent{ObjectOld: test.was, ObjectNew: test.is}); got != test.want {
			t.Errorf("%s: wakes %t", name, got)
		}
	}
}

// TestLastDrill outlives runs that prove nothing.
func TestLastDrill(t *testing.T) {
	drill := &v1alpha1.LastRun{Name: "drill", Operation: v1alpha1.OperationDrill, Result: v1alpha1.ResultSucceeded}
	for name, test := range map[string]struct {
		last, known *v1alpha1.LastRun
		want        string
	}{
		"none":       {},
		"a drill":    {last: drill, want: "drill"},
		"a rebuild":  {last: &v1alpha1.LastRun{Name: "rebuild", Operation: v1alpha1.OperationRebuild, Result: v1alpha1.ResultSucceeded}, known: drill, want: "rebuild"},
		"a failure":  {last: &v1alpha1.LastRun{Name: "rebuild", Operation: v1alpha1.OperationRebuild, Result: v1alpha1.ResultFailed}, known: drill, want: "drill"},
		"a teardown": {last: &v1alpha1.LastRun{Name: "teardown", Operation: v1alpha1.OperationTeardown, Result: v1alpha1.ResultSucceeded}, known: drill, want: "drill"},
	} {
		got := recovery.LastDrill(&v1alpha1.RecoveryPlan{Status: v1alpha1.RecoveryPlanStatus{LastRun: test.last, LastDrill: test.known}})
		if (got == nil) != (test.want == "") || got != nil && got.Name != test.want {
			t.Errorf("%s: %+v, want %s", name, got, test.want)
		}
	}
}
