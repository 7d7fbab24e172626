package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/drain"
)

// Drainer gives back what a cluster holds outside of itself. Package drain has the
// contract of each.
type Drainer interface {
	Survey(ctx context.Context, target Target) (drain.Survey, error)
	Drain(ctx context.Context, target Target, o drain.Options) (drain.Outcome, error)
	Resume(ctx context.Context, target Target) error
}

// drainer is package drain on a cluster's own API server.
type drainer struct{}

func drainClient(target Target) (drain.Client, error) {
	config := rest.CopyConfig(target.Config)
	config.Timeout = 0 // watches last; each use has its own limit
	access, err := kubernetes.NewForConfig(config)
	if err != nil {
		return drain.Client{}, fmt.Errorf("make a client for the drain: %w", err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return drain.Client{}, fmt.Errorf("make a client for the drain: %w", err)
	}
	return drain.Client{Kubernetes: access, Dynamic: objects}, nil
}

func (drainer) Survey(ctx context.Context, target Target) (drain.Survey, error) {
	c, err := drainClient(target)
	if err != nil {
		return drain.Survey{}, err
	}
	return c.Survey(ctx)
}

func (drainer) Drain(ctx context.Context, target Target, o drain.Options) (drain.Outcome, error) {
	c, err := drainClient(target)
	if err != nil {
		return drain.Outcome{}, err
	}
	return c.Drain(ctx, o)
}

func (drainer) Resume(ctx context.Context, target Target) error {
	c, err := drainClient(target)
	if err != nil {
		return err
	}
	return c.Resume(ctx)
}

// drainKey of the drain's work in the phase under way, if it is one that deletes.
func drainKey(run *v1alpha1.RecoveryRun) (workKey, bool) {
	phase := recovery.Current(run).Name
	if !deletes(phase) && phase != v1alpha1.PhaseCleanup {
		return workKey{}, false
	}
	if inc := recovery.Doomed(run); inc != nil && inc.Drain != nil {
		return workKey{run.UID, string(phase) + "/drain"}, true
	}
	return workKey{run.UID, string(phase) + "/survey"}, true
}

// drain takes one step of what comes before a deletion.
func (r *Reconciler) drain(ctx context.Context, o recovery.Observation, step recovery.Action) error {
	if step == recovery.ResumeDrained {
		return r.resumeDrained(ctx, o)
	}
	key, ok := drainKey(o.Run)
	if !ok {
		return fmt.Errorf("nothing is drained in the phase %s", recovery.Current(o.Run).Name)
	}
	switch step {
	case recovery.SurveyDrain:
		r.work.begin(key, client.ObjectKeyFromObject(o.Run), func(ctx context.Context, _ func(advance)) (any, error) { return r.survey(ctx, o) })
		return nil
	case recovery.DrainCluster:
		r.work.begin(key, client.ObjectKeyFromObject(o.Run), func(ctx context.Context, tell func(advance)) (any, error) { return r.giveBack(ctx, o, tell) })
		return nil
	case recovery.RecordSurveyed:
		found, err := outcome[recovery.Surveyed](r.work, key)
		if err != nil {
			return err
		}
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordSurvey(run, found, now) })
	default:
		out, err := outcome[drain.Outcome](r.work, key)
		if err != nil {
			return err
		}
		if err := r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordDrain(run, out, now) }); err != nil {
			return err
		}
		if !out.Complete {
			r.event(o.Run, "Warning", "the drain of Cluster %s was out of time while it waited for %s", recovery.Doomed(o.Run).Name, out.Waiting)
		}
		return nil
	}
}

// survey asks the cluster what it holds. One that is dead by now is deleted undrained, and
// so is what a drill made, whatever is wrong with it: nobody else would delete it.
func (r *Reconciler) survey(ctx context.Context, o recovery.Observation) (recovery.Surveyed, error) {
	target, err := r.doomed(ctx, o)
	var found drain.Survey
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, recovery.SilentPatience)
		defer cancel()
		found, err = r.Drainer.Survey(bounded, target)
	}
	silent := r.silence(o.Run.UID, err != nil)
	if err == nil {
		return recovery.Surveyed{Survey: found}, nil
	}
	fault := recovery.AsFault(err)
	switch {
	case fault != nil && recovery.Current(o.Run).Name == v1alpha1.PhaseCleanup:
		return recovery.Surveyed{Outcome: v1alpha1.DrainSkipped, Message: "it was not drained: " + fault.Message}, nil
	case fault != nil || ctx.Err() != nil || silent < recovery.SilentPatience:
		return recovery.Surveyed{}, err
	}
	return recovery.Surveyed{Outcome: v1alpha1.DrainUnreachable, Message: "it was not drained: " + err.Error()}, nil
}

// giveBack drains until the plan's limit, which counts from the first attempt.
func (r *Reconciler) giveBack(ctx context.Context, o recovery.Observation, tell func(advance)) (drain.Outcome, error) {
	record := recovery.Doomed(o.Run).Drain
	until := record.StartedAt.Add(recovery.DrainTimeout(recovery.DoomedPlan(o.Run)))
	left := until.Sub(r.Clock.Now())
	if left <= 0 {
		return drain.Outcome{Unseen: true, Waiting: "a process that could do it"}, nil
	}
	target, err := r.doomed(ctx, o)
	if err != nil {
		return drain.Outcome{}, err
	}
	// Stamped before it is touched: a process that was deposed finds out at its next step.
	inc := incarnation(o.Run, recovery.Doomed(o.Run))
	if err := r.Clusters.Fence(ctx, inc, stampOf(o)); err != nil {
		return drain.Outcome{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	since := r.Clock.Now()
	return r.Drainer.Drain(bounded, target, drain.Options{
		Newest: newest(record),
		Guard: func(ctx context.Context) error {
			if err := r.inCharge(ctx, o); err != nil {
				return err
			}
			return target.Guard(ctx)
		},
		Tell: func(waiting string) { tell(advance{waiting: waiting, since: since, until: until}) },
	})
}

func newest(record *v1alpha1.DrainRecord) time.Time {
	if record.Newest == nil {
		return time.Time{}
	}
	return record.Newest.Time
}

// doomed is the access to the incarnation that the phase deletes, with the proof that it is
// the pinned one.
func (r *Reconciler) doomed(ctx context.Context, o recovery.Observation) (Target, error) {
	return r.reach(ctx, o.Run, *recovery.Doomed(o.Run), capi.RoleDestroyer)
}

const (
	// resumeTimeout bounds one attempt to start again what a drain stopped.
	resumeTimeout = 30 * time.Second
	// resumePatience is for how long a run that failed tries: a cluster that stays must not be
	// left without what was stopped because of a hiccup, and the run has to end.
	resumePatience = 5 * time.Minute
)

// resumeDrained starts again what a drain stopped. What may pass is tried again.
func (r *Reconciler) resumeDrained(ctx context.Context, o recovery.Observation) error {
	bounded, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	target, err := r.reach(bounded, o.Run, *o.Run.Status.Previous, capi.RoleDestroyer)
	if err == nil {
		err = r.Drainer.Resume(bounded, target)
	}
	var gone *capi.NotFoundError
	lasts := errors.As(err, &gone) || recovery.AsFault(err) != nil
	if err != nil && !lasts && r.Clock.Since(r.work.since(workKey{o.Run.UID, "resume"})) < resumePatience {
		return fmt.Errorf("start again what was stopped in Cluster %s: %w", o.Run.Status.Previous.Name, err)
	}
	if err != nil {
		r.event(o.Run, "Warning", "what was stopped in Cluster %s could not be started again: %v", o.Run.Status.Previous.Name, err)
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordResumed(run, err, now) })
}
