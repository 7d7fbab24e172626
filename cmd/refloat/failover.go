package main

import (
	"context"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/controller"
)

// failoverOptions of a failover or failback.
type failoverOptions struct {
	runOptions
	to                   string
	graceful, ungraceful bool
}

func newFailoverCommand(t terminal, a *access) *cobra.Command {
	o := &failoverOptions{}
	cmd := &cobra.Command{
		Use: "failover PLAN --to PLAN", Short: "Let the cluster of another plan take over",
		Long: `Let the cluster of another plan take over from the one that serves.

First everything is checked without touching anything: the other plan's commit is fetched
and rendered, or its cluster, if it exists, is compared with the repository. Then the side
that serves is fenced as the plan says (spec.failover.fence): deleted, or stopped by a hook.
When that cannot be done the run waits for a person. Then the other cluster is made, unless
it stands by, and verified; the switch hooks are called; and the other plan is recorded as
the one that serves.

The side that serves is taken for dead: it is not drained, and what is lost with it holds
nothing up. With --graceful it is drained and all rules of a teardown hold.

The command follows the run until it ends. Ctrl-C detaches; the run goes on, and
'refloat watch RUN' attaches again.`,
		Args: oneArg("the name of the primary plan ('refloat get plans' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.to == "" {
				return usageError("say which plan's cluster takes over, with --to")
			}
			if o.to == args[0] {
				return usageError("plan %s cannot take over from itself; 'refloat failback %s' brings it back", o.to, o.to)
			}
			op := operationCommand{operation: v1alpha1.OperationFailover, use: "failover"}
			return startFailover(cmd.Context(), t, a, op, o, args[0], mode(o.graceful))
		},
	}
	o.addFailoverFlags(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "plan whose cluster takes over")
	cmd.Flags().BoolVar(&o.graceful, "graceful", false, "the side that serves is alive: drain it, and keep all rules of a teardown")
	return cmd
}

func newFailbackCommand(t terminal, a *access) *cobra.Command {
	o := &failoverOptions{}
	cmd := &cobra.Command{
		Use: "failback PLAN", Short: "Let the cluster of a plan take over again after a failover",
		Long: `Let the cluster of a plan take over again after a failover. It is a failover in the other
direction, with the same steps. The side that serves is taken for alive: it is drained, and
all rules of a teardown hold, unless --ungraceful says otherwise.

It also undoes a failover that fenced the plan's cluster and did not come to its end.`,
		Args: oneArg("the name of the primary plan ('refloat get plans' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.to = args[0]
			op := operationCommand{operation: v1alpha1.OperationFailback, use: "failback"}
			return startFailover(cmd.Context(), t, a, op, o, args[0], mode(!o.ungraceful))
		},
	}
	o.addFailoverFlags(cmd)
	cmd.Flags().BoolVar(&o.ungraceful, "ungraceful", false, "the side that serves is dead")
	return cmd
}

func mode(graceful bool) v1alpha1.FailoverMode {
	if graceful {
		return v1alpha1.FailoverGraceful
	}
	return v1alpha1.FailoverUngraceful
}

func (o *failoverOptions) addFailoverFlags(cmd *cobra.Command) {
	o.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&o.override, "override-holds", false, "go ahead although somebody holds the cluster; needs a --reason")
	cmd.Flags().StringVar(&o.confirmed, "confirm", "", "name of the cluster that is fenced, to go ahead without being asked")
}

func startFailover(ctx context.Context, t terminal, a *access, op operationCommand, o *failoverOptions, name string, mode v1alpha1.FailoverMode) error {
	if err := o.checkOverride(); err != nil {
		return err
	}
	c, namespace, err := a.connect()
	if err != nil {
		return err
	}
	plan, err := findPlan(ctx, c, namespace, name, "")
	if err != nil {
		return err
	}
	if _, err := findPlan(ctx, c, namespace, o.to, ""); err != nil {
		return err
	}
	serving, err := whoServes(ctx, c, plan, o.to)
	if err != nil {
		return err
	}
	from, err := findPlan(ctx, c, namespace, serving, "")
	if err != nil {
		return err
	}
	if f := plan.Spec.Failover; f != nil && f.Fence.Method == v1alpha1.FenceHook {
		op.does = "fences"
	}
	if err := confirm(t, op, from, o.confirmed); err != nil {
		return err
	}
	op.order = func(s *v1alpha1.RecoveryRunSpec) {
		s.Cluster = from.Spec.Cluster.Name
		s.Failover = &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: o.to}, Mode: mode}
	}
	return orderRun(ctx, t, c, plan, op, &o.runOptions, "")
}

// whoServes is the plan whose cluster has to be fenced. Who may not read the record goes by
// the plan's status; the run looks at the record itself.
func whoServes(ctx context.Context, c client.Reader, plan *v1alpha1.RecoveryPlan, to string) (string, error) {
	record, err := controller.ServingOf(ctx, c, plan.Namespace, plan.Name)
	switch {
	case apierrors.IsForbidden(err):
		if s := plan.Status.Serving; s != nil {
			record = &recovery.Serving{Plan: s.Plan, Epoch: s.Epoch, Run: s.Run}
		}
	case err != nil:
		return "", explain(err, "read which plan serves")
	}
	from, fault := recovery.Outgoing(plan.Name, record, to)
	if fault != nil {
		return "", usageError("%s", fault.Message)
	}
	return from, nil
}

// newDecideCommand writes a decision about a switch into a run.
func newDecideCommand(t terminal, a *access, decision v1alpha1.CommitDecision) *cobra.Command {
	use, short, done := "commit", "Make the switch of a failover count for good", "committed"
	long := "Make the switch of a failover count for good: the new side is recorded as the one that serves."
	if decision == v1alpha1.DecideRollBack {
		use, short, done = "rollback", "Give the service back to the old side of a failover", "is rolled back"
		long = `Give the service back to the old side of a failover that is not committed: the rollback
hooks are called in reverse, and the old side is recorded as the one that serves. The new
side runs on, as a standby. What was deleted by the fence cannot be given back.`
	}
	return runCommand(a, use, short, long, func(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) error {
		if !recovery.FailsOver(run) {
			return usageError("run %s is no failover", run.Name)
		}
		if f := run.Status.Failover; decision == v1alpha1.DecideRollBack && run.Status.FinishedAt == nil && f != nil && recovery.DeletesPrevious(run) {
			return usageError("run %s cannot be rolled back: its fence deletes Cluster %s; commit it, and fail over to plan %s later", run.Name, f.From.Cluster, f.From.Plan)
		}
		return change(ctx, t, c, run, done, func(s *v1alpha1.RecoveryRunSpec) { s.Commit = decision })
	})
}
