package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

// exitUnknown of check: nobody can tell.
const exitUnknown = 2

type checkOptions struct {
	now     bool
	timeout time.Duration
	output  outputFormat
}

func newCheckCommand(t terminal, a *access) *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use: "check PLAN", Short: "Tell whether a plan's cluster could be rebuilt now, and what is in the way",
		Long: `Tell whether a plan's cluster could be rebuilt now, and what is in the way: what the last
evaluation of the plan found. The controller makes one every half an hour, or as
spec.evaluate says. --now asks for another and waits for it.

Exit codes: 0 it could be rebuilt; 1 it could not; 2 that is not known, or bad usage.`,
		Args: oneArg("the name of a plan ('refloat get plans' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			err = check(cmd.Context(), t, c, client.ObjectKey{Namespace: namespace, Name: args[0]}, o)
			var exit *exitError
			if err != nil && !errors.As(err, &exit) {
				return &exitError{code: exitUnknown, err: err} // 1 would say that it cannot be rebuilt
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&o.now, "now", false, "ask for an evaluation and wait for it")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 6*time.Minute, "with --now, how long to wait")
	o.output.addFlag(cmd.Flags())
	return cmd
}

func check(ctx context.Context, t terminal, c client.WithWatch, key client.ObjectKey, o *checkOptions) error {
	plan, err := findPlan(ctx, c, key.Namespace, key.Name, "")
	if err != nil {
		return err
	}
	if o.now {
		if plan, err = evaluateNow(ctx, c, plan, o.timeout); err != nil {
			return err
		}
	}
	answer := checkAnswerOf(plan, time.Now())
	if o.output.structured() {
		err = o.output.write(t.Out, answer)
	} else {
		err = answer.print(t.Out)
	}
	if err != nil {
		return err
	}
	switch answer.Recoverable {
	case metav1.ConditionTrue:
		return nil
	case metav1.ConditionFalse:
		return &exitError{code: exitFailed}
	}
	return &exitError{code: exitUnknown}
}

// evaluateNow asks for an evaluation and waits until it was made.
func evaluateNow(ctx context.Context, c client.WithWatch, plan *v1alpha1.RecoveryPlan, timeout time.Duration) (*v1alpha1.RecoveryPlan, error) {
	request := time.Now().UTC().Format(time.RFC3339Nano)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{v1alpha1.AnnotationEvaluate: request}}})
	if err != nil {
		return nil, err
	}
	if err := c.Patch(ctx, plan, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, explain(err, "ask for an evaluation")
	}
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		found, err := awaitAnswer(waitCtx, c, client.ObjectKeyFromObject(plan), request)
		switch {
		case found != nil:
			return found, nil
		case errors.Is(waitCtx.Err(), context.DeadlineExceeded):
			return nil, fmt.Errorf("plan %s was not evaluated within %s: is the controller running, or does a run of the plan work? 'refloat get runs' lists them", plan.Name, timeout)
		case err != nil:
			return nil, explain(err, "wait for the evaluation")
		}
	}
}

// awaitAnswer watches the plan until the request is answered; nil when the watch ends.
func awaitAnswer(ctx context.Context, c client.WithWatch, key client.ObjectKey, request string) (*v1alpha1.RecoveryPlan, error) {
	plan := &v1alpha1.RecoveryPlan{}
	if err := c.Get(ctx, key, plan); err != nil || answered(plan, request) {
		return found(plan, err)
	}
	w, err := c.Watch(ctx, &v1alpha1.RecoveryPlanList{}, &client.ListOptions{
		Namespace: key.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", key.Name),
		Raw: &metav1.ListOptions{ResourceVersion: plan.ResourceVersion},
	})
	if err != nil {
		return nil, err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, open := <-w.ResultChan():
			plan, ok := e.Object.(*v1alpha1.RecoveryPlan)
			switch {
			case !open || !ok:
				return nil, nil
			case e.Type == watch.Deleted:
				return nil, fmt.Errorf("plan %s was deleted", key.Name)
			case answered(plan, request):
				return plan, nil
			}
		}
	}
}

func found(plan *v1alpha1.RecoveryPlan, err error) (*v1alpha1.RecoveryPlan, error) {
	if err != nil {
		return nil, err
	}
	return plan, nil
}

func answered(plan *v1alpha1.RecoveryPlan, request string) bool {
	r := plan.Status.Recoverability
	return r != nil && r.Asked == request
}

// checkAnswer is what check prints for programs.
type checkAnswer struct {
	Plan        string                           `json:"plan"`
	Recoverable metav1.ConditionStatus           `json:"recoverable"`
	Why         string                           `json:"why,omitempty"`
	EvaluatedAt *metav1.Time                     `json:"evaluatedAt,omitempty"`
	NextAt      *metav1.Time                     `json:"nextAt,omitempty"`
	Commit      string                           `json:"commit,omitempty"`
	Blockers    []v1alpha1.RecoverabilityBlocker `json:"blockers,omitempty"`
	More        int32                            `json:"more,omitempty"`
	LastDrill   *v1alpha1.LastRun                `json:"lastDrill,omitempty"`
}

func checkAnswerOf(plan *v1alpha1.RecoveryPlan, now time.Time) checkAnswer {
	a := checkAnswer{Plan: plan.Namespace + "/" + plan.Name, LastDrill: plan.Status.LastDrill}
	a.Recoverable, a.Why = recoverability.Standing(plan, now)
	if r := plan.Status.Recoverability; r != nil {
		a.EvaluatedAt, a.NextAt, a.Commit, a.Blockers, a.More = r.EvaluatedAt, r.NextAt, r.Commit, r.Blockers, r.More
	}
	return a
}

func (a checkAnswer) print(w io.Writer) error {
	text := fmt.Sprintf("plan %s: %s\n", a.Plan, map[metav1.ConditionStatus]string{
		metav1.ConditionTrue: "its cluster could be rebuilt", metav1.ConditionFalse: "its cluster could not be rebuilt",
	}[a.Recoverable])
	if a.Recoverable == metav1.ConditionUnknown {
		text = fmt.Sprintf("plan %s: not known: %s\n", a.Plan, a.Why)
	}
	if a.EvaluatedAt != nil {
		text += fmt.Sprintf("\nEvaluated   %s (%s ago)\n", a.EvaluatedAt.UTC().Format(time.RFC3339), age(a.EvaluatedAt.Time))
		next := "when somebody asks: --now"
		if a.NextAt != nil {
			next = a.NextAt.UTC().Format(time.RFC3339)
		}
		text += "Next        " + next + "\n"
	}
	if a.Commit != "" {
		text += "Commit      " + a.Commit + "\n"
	}
	if d := a.LastDrill; d != nil {
		text += fmt.Sprintf("%-10s  %s, %s ago, took %s\n", "Last "+strings.ToLower(cmp.Or(string(d.Operation), "drill")), d.Name, age(d.FinishedAt.Time), d.RecoveryTime)
	}
	for i, b := range a.Blockers {
		if i == 0 {
			text += "\n"
		}
		text += fmt.Sprintf("%-7s  %-17s  %s\n", b.Severity, b.Check, b.Message)
	}
	if a.More > 0 {
		text += fmt.Sprintf("and %d more\n", a.More)
	}
	_, err := io.WriteString(w, text)
	return err
}

// recoverable is the column of 'get plans'.
func recoverable(plan *v1alpha1.RecoveryPlan, now time.Time) string {
	status, _ := recoverability.Standing(plan, now)
	switch status {
	case metav1.ConditionTrue:
		return "yes"
	case metav1.ConditionFalse:
		n := recoverability.Count(plan.Status.Recoverability.Blockers, v1alpha1.SeverityBlocker)
		return "no (" + recoverability.Plural(n, "blocker") + ")"
	}
	return "not known"
}
