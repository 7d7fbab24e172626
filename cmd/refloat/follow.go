package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

type followOptions struct {
	timeout   time.Duration
	reportDir string
	output    outputFormat
}

// heartbeat is how often a long wait says that it still waits, and for what.
const heartbeat = 10 * time.Second

func newWatchCommand(t terminal, a *access) *cobra.Command {
	var o followOptions
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Follow a run until it ends",
		Long:  "Follow a run until it ends. Ctrl-C detaches; the run goes on.",
		Args:  oneArg("the name of a run ('refloat get runs' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			return follow(cmd.Context(), t, c, client.ObjectKey{Namespace: namespace, Name: args[0]}, o)
		},
	}
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "stop following after this long; the run goes on (exit code 4)")
	cmd.Flags().StringVar(&o.reportDir, "report-dir", "", "write the report in every form to this directory when the run ends")
	o.output.addFlag(cmd.Flags())
	return cmd
}

// errDeleted ends following when the run is deleted under us.
var errDeleted = errors.New("the run was deleted")

// follow prints the progress of a run until it ends, then its outcome.
func follow(ctx context.Context, t terminal, c client.WithWatch, key client.ObjectKey, o followOptions) error {
	waitCtx := ctx
	if o.timeout > 0 {
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	view := newRunView(t.Err, smart(t.Err, t.Getenv))
	run, err := watchRun(waitCtx, c, key, view)
	view.close()
	switch {
	case err == nil:
		return finish(ctx, t, c, run, o)
	case ctx.Err() != nil:
		say(t.Err, "detached; %s", whatGoesOn(t, key))
		return &exitError{code: exitStillRunning}
	case errors.Is(waitCtx.Err(), context.DeadlineExceeded):
		say(t.Err, "still running after %s; %s. Attach again with: refloat watch %s -n %s", o.timeout, view.waitingFor(), key.Name, key.Namespace)
		return &exitError{code: exitStillRunning}
	default:
		return err
	}
}

// envDetached is what becomes of a run that nobody follows any more, where it does not go on:
// for a script that deletes the sandbox as soon as it is interrupted.
const envDetached = "REFLOAT_DETACHED"

// whatGoesOn once nobody follows the run.
func whatGoesOn(t terminal, key client.ObjectKey) string {
	if t.Getenv != nil {
		if text := t.Getenv(envDetached); text != "" {
			return text
		}
	}
	return fmt.Sprintf("the run goes on. Attach again with: refloat watch %s -n %s", key.Name, key.Namespace)
}

// watchRun shows each state of the run and returns it once it has finished. The
// watch is opened again whenever the server ends it.
func watchRun(ctx context.Context, c client.WithWatch, key client.ObjectKey, view *runView) (*v1alpha1.RecoveryRun, error) {
	for {
		run, err := watchOnce(ctx, c, key, view)
		switch {
		case run != nil:
			return run, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			continue
		case !view.seen() || !passing(err):
			return nil, err // a run that was seen is there: who does not answer now may later
		}
		view.trouble(err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(tryAgain):
		}
	}
}

// tryAgain is how long a management cluster that does not answer is left alone. Nothing
// announces that it answers again.
const tryAgain = 2 * time.Second

// passing tells whether the same request may end well later.
func passing(err error) bool {
	var usage *exitError
	return !errors.As(err, &usage) && !errors.Is(err, errDeleted) && !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err)
}

// watchOnce shows the run until it has finished (it is returned) or the watch ends.
func watchOnce(ctx context.Context, c client.WithWatch, key client.ObjectKey, view *runView) (*v1alpha1.RecoveryRun, error) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	run := &v1alpha1.RecoveryRun{}
	if err := c.Get(ctx, key, run); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, usageError("there is no run %q in namespace %q; 'refloat get runs' lists them", key.Name, key.Namespace)
		}
		return nil, explain(err, "read the run")
	}
	view.show(run)
	if run.Status.FinishedAt != nil {
		return run, nil
	}
	w, err := c.Watch(ctx, &v1alpha1.RecoveryRunList{}, &client.ListOptions{
		Namespace:     key.Namespace,
		FieldSelector: fields.OneTermEqualSelector("metadata.name", key.Name),
		// From the state just read, or a run deleted in between would never be seen to go.
		Raw: &metav1.ListOptions{ResourceVersion: run.ResourceVersion},
	})
	if err != nil {
		return nil, explain(err, "watch the run")
	}
	defer w.Stop()
	return drainWatch(ctx, w, ticker, view)
}

// drainWatch shows events until the run finishes (it is returned), the server ends
// the watch (nil, nil) or the context ends.
func drainWatch(ctx context.Context, w watch.Interface, ticker *time.Ticker, view *runView) (*v1alpha1.RecoveryRun, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
			view.beat()
		case event, open := <-w.ResultChan():
			if !open {
				return nil, nil
			}
			run, ok := event.Object.(*v1alpha1.RecoveryRun)
			if !ok {
				return nil, nil
			}
			view.show(run)
			if run.Status.FinishedAt != nil {
				return run, nil
			}
			if event.Type == watch.Deleted {
				return nil, errDeleted
			}
		}
	}
}

// finish prints the outcome and turns it into an exit code.
func finish(ctx context.Context, t terminal, c client.Client, run *v1alpha1.RecoveryRun, o followOptions) error {
	if o.reportDir != "" {
		files, err := writeReport(ctx, c, run, o.reportDir)
		if err != nil { // the outcome of the run is not that of its report
			say(t.Err, "the report could not be written: %v", err)
		}
		for _, f := range files {
			say(t.Err, "report: %s", f)
		}
	}
	if o.output.structured() {
		if err := printReport(ctx, t, c, run, o.output); err != nil {
			return err
		}
	} else if s := run.Status.Verification; s != nil && s.NotProvable > 0 {
		if err := nameNotProvable(ctx, t, c, run); err != nil {
			say(t.Err, "the report could not be read: %v", err)
		}
	}
	return outcome(run)
}

// nameNotProvable lists what a simulated cluster cannot show, so that nobody takes it
// for healthy.
func nameNotProvable(ctx context.Context, t terminal, c client.Client, run *v1alpha1.RecoveryRun) error {
	r, err := loadReport(ctx, c, run)
	if err != nil || r.Verification == nil {
		return err
	}
	say(t.Err, "not provable where no container runs:")
	for _, f := range r.Verification.Details.NotProvable {
		say(t.Err, "  %s", f.ID)
	}
	return nil
}

// outcome of a finished run as an exit code; what there was to say was shown.
func outcome(run *v1alpha1.RecoveryRun) error {
	switch {
	case !conditionTrue(run, v1alpha1.ConditionSucceeded):
		return &exitError{code: exitFailed}
	case conditionFalse(run, v1alpha1.ConditionObjectiveMet):
		return &exitError{code: exitObjectiveMissed}
	default:
		return nil
	}
}
