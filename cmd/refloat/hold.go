package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func newHoldCommand(t terminal, a *access) *cobra.Command {
	return newKeepCommand(a, &cobra.Command{
		Use: "hold PLAN --for 2h --reason WHY", Short: "Leave the cluster of a plan alone for a while",
		Long: `Leave the cluster of a plan alone for a while: no run deletes it. Drills go on.

A hold ends by itself. To end it before, delete it: kubectl delete hold NAME`,
	}, func(ctx context.Context, c client.Client, plan *v1alpha1.RecoveryPlan, length time.Duration, reason string) error {
		return createHold(ctx, t, c, plan, plan.Name+"-", time.Now().Add(length), reason)
	})
}

// newKeepCommand about a plan whose cluster is kept for some time and for a reason.
func newKeepCommand(a *access, cmd *cobra.Command, keep func(ctx context.Context, c client.Client, plan *v1alpha1.RecoveryPlan, length time.Duration, reason string) error) *cobra.Command {
	var reason string
	var length time.Duration
	cmd.Args = oneArg("the name of a plan ('refloat get plans' lists them)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if reason == "" || length <= 0 {
			return usageError("say how long and why: --for 2h --reason \"load test\"")
		}
		c, namespace, err := a.connect()
		if err != nil {
			return err
		}
		plan, err := findPlan(cmd.Context(), c, namespace, args[0], "")
		if err != nil {
			return err
		}
		return keep(cmd.Context(), c, plan, length, reason)
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; shown to those who wonder")
	cmd.Flags().DurationVar(&length, "for", 0, "how long")
	return cmd
}

func createHold(ctx context.Context, t terminal, c client.Client, plan *v1alpha1.RecoveryPlan, prefix string, until time.Time, reason string) error {
	hold := &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Namespace: plan.Namespace, GenerateName: prefix},
		Spec:       v1alpha1.HoldSpec{PlanRef: v1alpha1.PlanReference{Name: plan.Name}, Until: metav1.NewTime(until), Reason: reason},
	}
	if err := c.Create(ctx, hold); err != nil {
		return explain(err, "create the hold")
	}
	say(t.Err, "cluster %s is left alone until %s", plan.Spec.Cluster.Name, until.Format(time.RFC3339))
	_, err := fmt.Fprintf(t.Out, "hold/%s created\n", hold.Name)
	return err
}
