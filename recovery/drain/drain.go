package drain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// AnnotationReplicas on a workload that was stopped says how many replicas it had.
const AnnotationReplicas = "refloat.dev/replicas-before-teardown"

// manager of the fields that a drain writes.
const manager = "refloat-drain"

// Survey is what a drain would be about.
type Survey struct {
	// Needed is false when there is nothing to do.
	Needed bool
	// Newest creation of what has to go.
	Newest time.Time
	Ledger []Entry
}

// Survey looks and changes nothing.
func (c Client) Survey(ctx context.Context) (Survey, error) {
	contents, err := c.Look(ctx)
	if err != nil {
		return Survey{}, err
	}
	newest := Newest(contents)
	return Survey{Needed: needed(contents, newest), Newest: newest, Ledger: Ledger(contents)}, nil
}

// needed tells whether there is anything to give back. To stop Flux or Argo CD alone gives
// nothing back.
func needed(c Contents, newest time.Time) bool {
	return !release(c, newest).Done() || !empty(c, newest).Done()
}

// Options of a drain.
type Options struct {
	// Newest is that of the survey.
	Newest time.Time
	// Guard proves, before each step, that this is the cluster and that the caller is still
	// in charge.
	Guard func(context.Context) error
	// Tell says what is waited for.
	Tell func(waiting string)
}

// Outcome of a drain.
type Outcome struct {
	// Complete is false when the time was up before.
	Complete bool
	// Waiting for what, when it is not complete.
	Waiting string
	// Unseen is true when the cluster could not be looked at in time, so that nothing is
	// known but what was known before.
	Unseen bool
	// Left is what is still there outside, as far as the cluster knows.
	Left []Entry
	// Refused names the objects that the cluster would not let go, with its reason.
	Refused []string
}

// lookAgain although nothing was reported: a connection may have been lost.
const lookAgain = 10 * time.Second

// Drain gives back until nothing is left to do or the context's time is up, which is an
// outcome. An error of the guard, or of the end of the context for another reason, is one.
func (c Client) Drain(ctx context.Context, o Options) (Outcome, error) {
	out := Outcome{Unseen: true, Waiting: "the cluster to answer"}
	for {
		contents, err := c.Look(ctx)
		if err != nil {
			return out, unlessLate(ctx, err)
		}
		out.Unseen, out.Left = false, Ledger(contents)
		step := Next(contents, o.Newest)
		if step.Done() {
			out.Complete, out.Waiting = true, ""
			return out, nil
		}
		out.Waiting = step.waiting()
		o.Tell(out.Waiting)
		if len(step.Stop)+len(step.Delete) > 0 {
			if err := o.Guard(ctx); err != nil {
				return out, unlessLate(ctx, err)
			}
			if refused := c.carryOut(ctx, step); ctx.Err() == nil {
				out.Refused = refused
			}
		}
		if err := c.wait(ctx, contents, step); err != nil {
			return out, unlessLate(ctx, err)
		}
	}
}

// unlessLate is the error, unless it only says that the time is up.
func unlessLate(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return err
}

// carryOut a step. What changed since it was seen is for the next look; what the cluster
// refuses is told and does not stop the rest.
func (c Client) carryOut(ctx context.Context, step Step) []string {
	var refused []string
	try := func(ref Ref, err error) {
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) || ctx.Err() != nil {
			return
		}
		refused = append(refused, fmt.Sprintf("%s: %s", ref, reasonOf(err)))
	}
	for _, ref := range step.Stop {
		replicas := strconv.Itoa(int(ref.Replicas))
		try(ref, c.scale(ctx, ref, 0, &replicas))
	}
	for _, ref := range step.Delete {
		try(ref, c.delete(ctx, ref))
	}
	return refused
}

// reasonOf an error without what the server quotes of the request.
func reasonOf(err error) string {
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		return string(reason)
	}
	return "no answer"
}

func (c Client) delete(ctx context.Context, ref Ref) error {
	o := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &ref.UID, ResourceVersion: &ref.Version}}
	core := c.Kubernetes.CoreV1()
	switch ref.Kind {
	case kindService:
		return core.Services(ref.Namespace).Delete(ctx, ref.Name, o)
	case kindIngress:
		return c.Kubernetes.NetworkingV1().Ingresses(ref.Namespace).Delete(ctx, ref.Name, o)
	case kindGateway:
		return c.Dynamic.Resource(gateways).Namespace(ref.Namespace).Delete(ctx, ref.Name, o)
	case kindClaim:
		return core.PersistentVolumeClaims(ref.Namespace).Delete(ctx, ref.Name, o)
	case kindPod:
		return core.Pods(ref.Namespace).Delete(ctx, ref.Name, o)
	}
	return fmt.Errorf("a drain deletes no %s", ref.Kind)
}

// scale a workload as it was seen. What it had before is kept with it, or removed when nil.
func (c Client) scale(ctx context.Context, ref Ref, replicas int32, before *string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": ref.UID, "resourceVersion": ref.Version, "annotations": map[string]any{AnnotationReplicas: before}},
		"spec":     map[string]any{"replicas": replicas},
	})
	if err != nil {
		return fmt.Errorf("write the patch of %s: %w", ref, err)
	}
	o := metav1.PatchOptions{FieldManager: manager}
	if ref.Kind == kindStatefulSet {
		_, err = c.Kubernetes.AppsV1().StatefulSets(ref.Namespace).Patch(ctx, ref.Name, types.MergePatchType, patch, o)
	} else {
		_, err = c.Kubernetes.AppsV1().Deployments(ref.Namespace).Patch(ctx, ref.Name, types.MergePatchType, patch, o)
	}
	return err
}

// Resume starts what a drain stopped, of a cluster that is not deleted after all.
func (c Client) Resume(ctx context.Context) error {
	var contents Contents
	var err error
	if contents, err = c.Look(ctx); err != nil {
		return err
	}
	var failed []error
	for _, w := range workloads(contents) {
		if w.before == "" {
			continue
		}
		replicas := w.Replicas
		if n, err := strconv.ParseInt(w.before, 10, 32); err == nil && n > 0 && w.Replicas == 0 {
			replicas = int32(n)
		}
		if err := c.scale(ctx, w.Ref, replicas, nil); err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("start %s again: %w", w.Ref, err))
		}
	}
	return errors.Join(failed...)
}
