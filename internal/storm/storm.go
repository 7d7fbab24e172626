// Package storm lets many schedules be due at the same instant, on a real API server and
// with the real controller, which is killed in the middle.
package storm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/api/v1alpha1/crds"
	"github.com/refloat-dev/refloat/schedules/controller"
)

// World is an API server with schedules on it.
type World struct {
	Config *rest.Config
	Client client.WithWatch
	Clock  *Clock
	scheme *runtime.Scheme
}

// Namespace of everything.
const Namespace = "fleet"

// at once, things are created and managers answer.
const parallel = 16

// New installs the API on a server.
func New(ctx context.Context, config *rest.Config) (*World, error) {
	w := &World{Config: rest.CopyConfig(config), Clock: &Clock{}, scheme: runtime.NewScheme()}
	w.Config.QPS = -1
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(w.scheme); err != nil {
			return nil, err
		}
	}
	var err error
	if w.Client, err = client.NewWithWatch(w.Config, client.Options{Scheme: w.scheme}); err != nil {
		return nil, err
	}
	definitions, err := crds.All()
	if err != nil {
		return nil, err
	}
	for _, d := range definitions {
		if err := w.Client.Create(ctx, d); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("install %s: %w", d.Name, err)
		}
		if err := w.established(ctx, d.Name); err != nil {
			return nil, err
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}
	if err := w.Client.Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create the namespace: %w", err)
	}
	return w, nil
}

// established waits until a definition is served.
func (w *World) established(ctx context.Context, name string) error {
	list := &apiextensionsv1.CustomResourceDefinitionList{}
	return w.until(ctx, list, client.MatchingFields{"metadata.name": name}, func(e watch.Event) bool {
		d, ok := e.Object.(*apiextensionsv1.CustomResourceDefinition)
		return ok && slices.ContainsFunc(d.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		})
	})
}

// until an event of a watch is what is waited for. What exists is told too, again when the
// server ends the watch, as it does when a definition changes.
func (w *World) until(ctx context.Context, list client.ObjectList, selected client.ListOption, enough func(watch.Event) bool) error {
	for ctx.Err() == nil {
		events, err := w.Client.Watch(ctx, list, selected)
		if err != nil {
			return err
		}
		for e := range events.ResultChan() {
			if enough(e) {
				events.Stop()
				return nil
			}
		}
	}
	return fmt.Errorf("waited in vain on %T: %w", list, ctx.Err())
}

// Plan that is as small as can be.
func Plan(name string) *v1alpha1.RecoveryPlan {
	return &v1alpha1.RecoveryPlan{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: v1alpha1.RecoveryPlanSpec{
			Source:  v1alpha1.GitSource{URL: "https://git.example.com/fleet.git"},
			Cluster: v1alpha1.ClusterTemplate{Name: name, Path: "capi"}, State: []v1alpha1.StatePath{{Path: "state"}},
		},
	}
}

// Schedule that tears a plan's cluster down at a cron time, in UTC.
func Schedule(name string, cron v1alpha1.CronExpression) *v1alpha1.RecoverySchedule {
	return &v1alpha1.RecoverySchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Spec: v1alpha1.RecoveryScheduleSpec{
			PlanRef: &v1alpha1.PlanReference{Name: name}, TimeZone: "UTC",
			Teardown: &v1alpha1.TeardownTimes{Cron: cron, Notice: v1alpha1.TeardownNotice{Before: &metav1.Duration{}}},
		},
	}
}

// Create n plans, each with a schedule.
func (w *World) Create(ctx context.Context, n int, cron v1alpha1.CronExpression) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		name := fmt.Sprintf("dev-%04d", i)
		group.Go(func() error {
			return errors.Join(w.Client.Create(ctx, Plan(name)), w.Client.Create(ctx, Schedule(name, cron)))
		})
	}
	return group.Wait()
}

// Running is a controller under way.
type Running struct {
	cancel context.CancelFunc
	done   chan error
}

// Start a controller of schedules. Every plan has a cluster.
func (w *World) Start(ctx context.Context) (*Running, error) {
	again := true
	mgr, err := ctrl.NewManager(w.Config, ctrl.Options{
		Scheme: w.scheme, Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: config.Controller{SkipNameValidation: &again},
	})
	if err != nil {
		return nil, err
	}
	err = controller.SetupWithManager(mgr, controller.Options{
		Clock: w.Clock, Exists: func(context.Context, *v1alpha1.RecoveryPlan) (bool, error) { return true, nil },
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Running{cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- mgr.Start(ctx) }()
	return r, nil
}

// Kill the controller: whatever it is doing ends here.
func (r *Running) Kill() error {
	r.cancel()
	return <-r.done
}

// Settled waits until n schedules are ready and know when they are due.
func (w *World) Settled(ctx context.Context, n int) error {
	return w.each(ctx, n, func(s *v1alpha1.RecoverySchedule) bool { return s.Status.NextTeardown != nil })
}

// Ordered waits until n schedules recorded the run that they ordered.
func (w *World) Ordered(ctx context.Context, n int) error {
	return w.each(ctx, n, func(s *v1alpha1.RecoverySchedule) bool {
		return len(s.Status.Plans) == 1 && s.Status.Plans[0].Teardown != nil && s.Status.Plans[0].Teardown.Outcome == v1alpha1.OutcomeOrdered
	})
}

func (w *World) each(ctx context.Context, n int, is func(*v1alpha1.RecoverySchedule) bool) error {
	seen := map[string]bool{}
	return w.until(ctx, &v1alpha1.RecoveryScheduleList{}, client.InNamespace(Namespace), func(e watch.Event) bool {
		if s, ok := e.Object.(*v1alpha1.RecoverySchedule); ok && is(s) {
			seen[s.Name] = true
		}
		return len(seen) >= n
	})
}

// Result of a storm.
type Result struct {
	// Took from the instant at which all were due to the last run.
	Took time.Duration
	// Lateness of each run, sorted.
	Lateness []time.Duration
	// Runs by plan.
	Runs map[string]int
}

// P99 of the lateness.
func (r *Result) P99() time.Duration {
	if len(r.Lateness) == 0 {
		return 0
	}
	return r.Lateness[(len(r.Lateness)*99+99)/100-1]
}

// Run a storm of n schedules that are all due at an instant which is near. With kill the
// controller dies when half of the runs are there, and another one takes over.
func (w *World) Run(ctx context.Context, n int, kill bool) (*Result, error) {
	due := w.nextEvening()
	if err := w.Create(ctx, n, "0 20 * * *"); err != nil {
		return nil, fmt.Errorf("create the schedules: %w", err)
	}
	running, err := w.Start(ctx)
	if err != nil {
		return nil, err
	}
	var stopped error
	defer func() { _ = running.Kill() }()
	if err := w.Settled(ctx, n); err != nil {
		return nil, err
	}
	w.Clock.Set(due.Add(-lead))
	result := &Result{Runs: map[string]int{}}
	seen := map[string]bool{}
	err = w.until(ctx, &v1alpha1.RecoveryRunList{}, client.InNamespace(Namespace), func(e watch.Event) bool {
		run, ok := e.Object.(*v1alpha1.RecoveryRun)
		if !ok || e.Type != watch.Added || run.Spec.Schedule == nil || !run.Spec.Schedule.Due.Equal(&metav1.MicroTime{Time: due}) {
			return false
		}
		if seen[run.Name] {
			return false
		}
		seen[run.Name] = true
		late := w.Clock.Now().Sub(due)
		result.Lateness = append(result.Lateness, late)
		result.Runs[run.Spec.PlanRef.Name]++
		result.Took = late
		if kill && len(result.Lateness) == n/2 {
			stopped = running.Kill()
			if running, err = w.Start(ctx); err != nil {
				return true
			}
		}
		return len(result.Lateness) >= n
	})
	if err == nil {
		err = w.Ordered(ctx, n)
	}
	slices.Sort(result.Lateness)
	return result, errors.Join(err, stopped)
}

// nextEvening is the next 20:00, in UTC, that is far enough to make things ready.
func (w *World) nextEvening() time.Time {
	now := w.Clock.Now().UTC()
	due := now.Truncate(24 * time.Hour).Add(20 * time.Hour)
	if due.Before(now.Add(time.Hour)) {
		due = due.Add(24 * time.Hour)
	}
	return due
}

// lead is how far ahead of the storm the clock is set.
const lead = 6 * time.Second

// Spread the starts of n schedules over a time, and tell how late each run was, sorted.
func (w *World) Spread(ctx context.Context, n int, over time.Duration) ([]time.Duration, error) {
	due := w.nextEvening()
	group, create := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		name := fmt.Sprintf("spread-%04d", i)
		group.Go(func() error {
			s := Schedule(name, "0 20 * * *")
			s.Spec.Jitter = &metav1.Duration{Duration: over}
			return errors.Join(w.Client.Create(create, Plan(name)), w.Client.Create(create, s))
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("create the schedules: %w", err)
	}
	running, err := w.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = running.Kill() }()
	if err := w.Settled(ctx, n); err != nil {
		return nil, err
	}
	w.Clock.Set(due.Add(-lead))
	late := map[string]time.Duration{}
	err = w.each(ctx, n, func(s *v1alpha1.RecoverySchedule) bool {
		if len(s.Status.Plans) != 1 || s.Status.Plans[0].Teardown == nil || s.Status.Plans[0].Teardown.Late == nil {
			return false
		}
		late[s.Name] = s.Status.Plans[0].Teardown.Late.Duration
		return true
	})
	sorted := slices.Sorted(maps.Values(late))
	return sorted, err
}
