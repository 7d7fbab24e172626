package controller_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/storm"
	"github.com/refloat-dev/refloat/schedules/controller"
)

// world is a namespace of a real API server with one controller, whose clock stands still
// between two calls.
type world struct {
	t     *testing.T
	ns    string
	c     client.WithWatch
	clock *clocktesting.FakeClock
	base  time.Time // midnight, the day after tomorrow
	r     *controller.Reconciler
	down  map[string]bool // plans without a cluster
	// elsewhere is who serves in the place of a plan.
	elsewhere map[string]string
	use       func(ctx context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error)
	// fail an update of a status, or let it pass.
	fail func() error

	called chan client.ObjectKey
	again  map[client.ObjectKey]time.Time

	mu     sync.Mutex
	events []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	api, err := storm.New(t.Context(), plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, c: api.Client, down: map[string]bool{}, called: make(chan client.ObjectKey, 100), again: map[client.ObjectKey]time.Time{},
		base: time.Now().UTC().Truncate(24 * time.Hour).Add(48 * time.Hour),
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "schedules-"}}
	w.must(w.c.Create(t.Context(), ns))
	w.ns = ns.Name
	w.clock = clocktesting.NewFakeClock(w.base)
	w.restart()
	return w
}

// restart the controller: it knows nothing any more.
func (w *world) restart() {
	c := interceptor.NewClient(w.c, interceptor.Funcs{
		List: listed,
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			if w.fail != nil {
				if err := w.fail(); err != nil {
					return err
				}
			}
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	})
	o := controller.Options{
		Clock: w.clock,
		Elsewhere: func(_ context.Context, plan *v1alpha1.RecoveryPlan) (string, error) {
			return w.elsewhere[plan.Name], nil
		},
		Exists: func(_ context.Context, plan *v1alpha1.RecoveryPlan) (bool, error) { return !w.down[plan.Name], nil },
		InUse: func(ctx context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error) {
			return w.use(ctx, plan, policy)
		},
	}
	w.r = controller.NewReconciler(c, w, o, func(key client.ObjectKey, at time.Time) { w.again[key] = at }, func(key client.ObjectKey) { w.called <- key })
}

// listed as from a cache with indexes, which an API server does not have.
func listed(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	if o.FieldSelector == nil {
		return c.List(ctx, list, o)
	}
	plan, _ := o.FieldSelector.RequiresExactMatch(controller.IndexPlan)
	o.FieldSelector, o.UnsafeDisableDeepCopy = nil, nil
	if err := c.List(ctx, list, o); err != nil {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	var kept []runtime.Object
	for _, item := range items {
		name := controller.AnyPlan
		switch of := item.(type) {
		case *v1alpha1.RecoveryRun:
			name = of.Spec.PlanRef.Name
		case *v1alpha1.Hold:
			name = of.Spec.PlanRef.Name
		case *v1alpha1.RecoverySchedule:
			if of.Spec.PlanRef != nil {
				name = of.Spec.PlanRef.Name
			}
		}
		if name == plan {
			kept = append(kept, item)
		}
	}
	return meta.SetList(list, kept)
}

// Eventf implements events.EventRecorder.
func (w *world) Eventf(about, _ runtime.Object, kind, reason, _, note string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := ""
	if o, ok := about.(client.Object); ok {
		name = o.GetName()
	}
	w.events = append(w.events, fmt.Sprintf("%s %s %s: %s", name, kind, reason, fmt.Sprintf(note, args...)))
}

// told returns the events since the last call.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.Join(w.events, "\n")
	w.events = nil
	return text
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// plan with labels.
func (w *world) plan(name string, labels map[string]string) *v1alpha1.RecoveryPlan {
	w.t.Helper()
	plan := storm.Plan(name)
	plan.Namespace, plan.Labels = w.ns, labels
	w.must(w.c.Create(w.t.Context(), plan))
	return plan
}

// schedule that takes a plan's cluster down at 20:00 and back at 8:00, UTC.
func (w *world) schedule(name string, change func(*v1alpha1.RecoveryScheduleSpec)) *v1alpha1.RecoverySchedule {
	w.t.Helper()
	s := storm.Schedule(name, "0 20 * * *")
	s.Namespace = w.ns
	s.Spec.Rebuild = &v1alpha1.RebuildTimes{Cron: "0 8 * * *"}
	if change != nil {
		change(&s.Spec)
	}
	w.must(w.c.Create(w.t.Context(), s))
	return s
}

// office is a plan with a schedule that has come to rest at noon.
func (w *world) office(change func(*v1alpha1.RecoveryScheduleSpec)) *v1alpha1.RecoverySchedule {
	w.t.Helper()
	w.plan("dev", nil)
	s := w.schedule("dev", change)
	w.at("12:00", s)
	w.runs(0)
	w.told()
	return s
}

// time on the first day, or on another one: "3 20:00".
func (w *world) time(text string) time.Time {
	w.t.Helper()
	var day, hour, minute int
	if _, err := fmt.Sscanf(text, "%d %d:%d", &day, &hour, &minute); err != nil {
		day = 0
		_, err = fmt.Sscanf(text, "%d:%d", &hour, &minute)
		w.must(err)
	}
	return w.base.Add(time.Duration(day)*24*time.Hour + time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
}

// at a time, reconcile schedules, and read them again.
func (w *world) at(text string, all ...*v1alpha1.RecoverySchedule) {
	w.t.Helper()
	w.clock.SetTime(w.time(text))
	for _, s := range all {
		w.must(w.reconcile(s))
	}
}

func (w *world) reconcile(s *v1alpha1.RecoverySchedule) error {
	w.t.Helper()
	key := client.ObjectKeyFromObject(s)
	if _, err := w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		return err
	}
	if err := w.c.Get(w.t.Context(), key, s); err != nil {
		return err
	}
	for _, c := range s.Status.Conditions {
		if c.Reason == "" || c.Message == "" || c.ObservedGeneration != s.Generation {
			w.t.Errorf("condition %+v of generation %d", c, s.Generation)
		}
	}
	return nil
}

// edit a schedule or a plan.
func (w *world) edit(o client.Object, change func()) {
	w.t.Helper()
	w.must(w.c.Get(w.t.Context(), client.ObjectKeyFromObject(o), o))
	change()
	w.must(w.c.Update(w.t.Context(), o))
}

// runs that there are.
func (w *world) runs(want int) []v1alpha1.RecoveryRun {
	w.t.Helper()
	list := &v1alpha1.RecoveryRunList{}
	w.must(w.c.List(w.t.Context(), list, client.InNamespace(w.ns)))
	if len(list.Items) != want {
		var names []string
		for _, run := range list.Items {
			names = append(names, run.Name)
		}
		w.t.Fatalf("%d runs, want %d: %v", len(names), want, names)
	}
	return list.Items
}

// finish every run that is not finished. What it was to do is done.
func (w *world) finish() {
	w.t.Helper()
	list := &v1alpha1.RecoveryRunList{}
	w.must(w.c.List(w.t.Context(), list, client.InNamespace(w.ns)))
	now := metav1.NewMicroTime(w.clock.Now())
	for i := range list.Items {
		run := &list.Items[i]
		if run.Status.FinishedAt != nil {
			continue
		}
		if run.Spec.Cancel == nil {
			run.Status.StartedAt = &now
			w.down[run.Spec.PlanRef.Name] = run.Spec.Operation == v1alpha1.OperationTeardown
		}
		run.Status.FinishedAt = &now
		w.must(w.c.Status().Update(w.t.Context(), run))
	}
}

func (w *world) condition(s *v1alpha1.RecoverySchedule, kind string, status metav1.ConditionStatus, reason, says string) {
	w.t.Helper()
	c := meta.FindStatusCondition(s.Status.Conditions, kind)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, says) {
		w.t.Errorf("condition %s is %+v, want %s, %s, %q", kind, c, status, reason, says)
	}
}

func (w *world) outcome(s *v1alpha1.RecoverySchedule, direction v1alpha1.Direction, nominal string, want v1alpha1.HandledOutcome) {
	w.t.Helper()
	handled := s.Status.Plans[0].Teardown
	if direction == v1alpha1.DirectionRebuild {
		handled = s.Status.Plans[0].Rebuild
	}
	if handled == nil || handled.Outcome != want || handled.Nominal != w.time(nominal).Format("2006-01-02T15:04") {
		w.t.Errorf("%s is %+v, want %s of %s", direction, handled, want, w.time(nominal))
	}
}

func (w *world) tells(want string) {
	w.t.Helper()
	if told := w.told(); want == "" && told != "" || !strings.Contains(told, want) {
		w.t.Errorf("events %q, want %q", told, want)
	}
}
