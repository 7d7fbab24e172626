package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

const whichRun = "the name of a run ('refloat get runs' lists them)"

// runCommand is a command about one run.
func runCommand(a *access, use, short, long string, do func(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " RUN", Short: short, Long: long, Args: oneArg(whichRun),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			run, err := readRun(cmd.Context(), c, client.ObjectKey{Namespace: namespace, Name: args[0]})
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, run)
		},
	}
}

func readRun(ctx context.Context, c client.Reader, key client.ObjectKey) (*v1alpha1.RecoveryRun, error) {
	run := &v1alpha1.RecoveryRun{}
	err := c.Get(ctx, key, run)
	if apierrors.IsNotFound(err) {
		return nil, usageError("there is no run %q in namespace %q; 'refloat get runs' lists them", key.Name, key.Namespace)
	}
	if err != nil {
		return nil, explain(err, "read the run")
	}
	return run, nil
}

func newApproveCommand(t terminal, a *access) *cobra.Command {
	var reason string
	var valid time.Duration
	var unfenced bool
	cmd := runCommand(a, "approve", "Approve what a run is about to do",
		`Approve what a run is about to delete, when its plan asks for a second person.

The approval counts for this run, this commit and this cluster only. Who ordered the
run cannot approve it.

With --unfenced, let a failover go on that could not fence the old side. Make sure first
that it is stopped: two clusters that serve at once destroy data.`,
		func(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error {
			asked, err := askedOf(run, unfenced)
			if err != nil {
				return err
			}
			if unfenced && reason == "" {
				return usageError("say why it is safe to go on, with --reason: it is in the report")
			}
			user, err := whoAmI(ctx, c)
			if err != nil {
				return explain(err, "ask who you are")
			}
			if user == run.Spec.RequestedBy && !unfenced {
				return usageError("%s ordered run %s; somebody else has to approve it", user, run.Name)
			}
			approval := &v1alpha1.RunApproval{
				ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, GenerateName: run.Name + "-"},
				Spec: v1alpha1.RunApprovalSpec{
					RunRef: v1alpha1.RunReference{Name: run.Name}, Digest: asked.Digest, TargetUID: string(asked.TargetUID), ApprovedBy: user, Reason: reason,
					Unfenced: unfenced,
				},
			}
			if valid > 0 {
				at := metav1.NewTime(time.Now().Add(valid))
				approval.Spec.ExpiresAt = &at
			}
			if err := c.Create(ctx, approval); err != nil {
				return explain(err, "approve the run")
			}
			cluster := recovery.DoomedSide(run).Cluster
			say(t.Err, "%s approved the %s of Cluster %s at commit %.12s", user, run.Spec.Operation, cluster, run.Status.Pinned.Commit)
			_, err = fmt.Fprintf(t.Out, "runapproval/%s created\n", approval.Name)
			return err
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the report later")
	cmd.Flags().BoolVar(&unfenced, "unfenced", false, "let a failover go on although the old side could not be fenced")
	cmd.Flags().DurationVar(&valid, "expires-in", time.Hour, "how long the approval counts, unless the run takes it before; 0 for always")
	return cmd
}

// askedOf is what the run asks a person for.
func askedOf(run *v1alpha1.RecoveryRun, unfenced bool) (*v1alpha1.ApprovalRecord, error) {
	switch {
	case run.Status.FinishedAt != nil:
	case unfenced && recovery.AskedUnfenced(run):
		return run.Status.Failover.Fence.Asked, nil
	case unfenced:
		return nil, usageError("run %s does not wait for a person to let it go on unfenced", run.Name)
	case run.Status.Approval != nil && run.Status.Approval.ApprovedAt == nil:
		return run.Status.Approval, nil
	}
	return nil, usageError("run %s waits for no approval", run.Name)
}

// whoAmI asks the API server for the name of the user.
func whoAmI(ctx context.Context, c client.Client) (string, error) {
	review := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}}
	if err := c.Create(ctx, review); err != nil {
		return "", err
	}
	name, _, _ := unstructured.NestedString(review.Object, "status", "userInfo", "username")
	return name, nil
}

func newCancelCommand(t terminal, a *access) *cobra.Command {
	var reason string
	cmd := runCommand(a, "cancel", "End a run",
		`End a run. Nothing more is begun: a deletion that was sent goes on, what was applied stays,
and a drill deletes what it made.`,
		func(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error {
			if reason == "" {
				return usageError("say why, with --reason: it is in the report")
			}
			return change(ctx, t, c, run, "cancelled", func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: reason} })
		})
	cmd.Use += " --reason WHY"
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the report later")
	return cmd
}

func newSuspendCommand(t terminal, a *access) *cobra.Command {
	return runCommand(a, "suspend", "Stop a run for a while", "Stop a run before its next action. Its limits do not count meanwhile.",
		func(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error {
			return change(ctx, t, c, run, "suspended", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = true })
		})
}

func newResumeCommand(t terminal, a *access) *cobra.Command {
	return runCommand(a, "resume", "Let a suspended run go on", "Let a suspended run go on from where it stopped.",
		func(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error {
			return change(ctx, t, c, run, "resumed", func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = false })
		})
}

// change writes an order to a run that goes on.
func change(ctx context.Context, t terminal, c client.Client, run *v1alpha1.RecoveryRun, done string, do func(*v1alpha1.RecoveryRunSpec)) error {
	if run.Status.FinishedAt != nil {
		return usageError("run %s has finished; nothing can be changed about it", run.Name)
	}
	before := run.DeepCopy()
	do(&run.Spec)
	if err := c.Patch(ctx, run, client.MergeFrom(before)); err != nil {
		return explain(err, "write to the run")
	}
	_, err := fmt.Fprintf(t.Out, "recoveryrun/%s %s\n", run.Name, done)
	return err
}
