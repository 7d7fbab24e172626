package main

import (
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func newRetryCommand(t terminal, a *access) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use: "retry RUN", Short: "Go on with the cluster of a rebuild that failed",
		Long: `Go on with the cluster of a rebuild that failed, instead of making it anew: from the commit
that the plan refers to now, all phases after the creation of the cluster are gone through
again. What is right already is found and left as it is.

Nothing is deleted, so nothing is asked. The recovery time counts from the first attempt.`,
		Args: oneArg(whichRun),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			failed, err := readRun(cmd.Context(), c, client.ObjectKey{Namespace: namespace, Name: args[0]})
			if err != nil {
				return err
			}
			if failed.Spec.Operation != v1alpha1.OperationRebuild || failed.Status.FinishedAt == nil || failed.Status.Failure == nil {
				return usageError("run %s is no rebuild that failed; 'refloat why %s' says what it is", failed.Name, failed.Name)
			}
			plan, err := findPlan(cmd.Context(), c, namespace, failed.Spec.PlanRef.Name, "")
			if err != nil {
				return err
			}
			op := rebuildCommand
			op.use = "retry"
			return orderRun(cmd.Context(), t, c, plan, op, o, failed.Name)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}
