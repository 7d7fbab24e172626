package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func newGetCommand(t terminal, a *access) *cobra.Command {
	var output outputFormat
	var all bool
	cmd := &cobra.Command{
		Use:       "get plans|runs|schedules|budgets|policies [NAME]",
		Short:     "List plans, runs, schedules, budgets or failover policies",
		ValidArgs: []string{"plans", "runs", "schedules", "budgets", "policies"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return usageError("say what to get: plans, runs, schedules, budgets or policies, and optionally one name")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			table, err := tableOf(args[0])
			if err != nil {
				return err
			}
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			if all {
				namespace = ""
			}
			name := ""
			if len(args) == 2 {
				name = args[1]
			}
			return table(cmd.Context(), t, c, getOptions{namespace: namespace, name: name, all: all, output: output})
		},
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "list in all namespaces")
	output.addFlag(cmd.Flags())
	return cmd
}

type getOptions struct {
	namespace, name string
	all             bool
	output          outputFormat
}

type getTable func(context.Context, terminal, client.Client, getOptions) error

func tableOf(noun string) (getTable, error) {
	switch noun {
	case "plan", "plans", "recoveryplan", "recoveryplans", "rplan":
		return getPlans, nil
	case "run", "runs", "recoveryrun", "recoveryruns", "rrun":
		return getRuns, nil
	case "schedule", "schedules", "recoveryschedule", "recoveryschedules", "rsched":
		return getSchedules, nil
	case "budget", "budgets", "teardownbudget", "teardownbudgets", "rbudget":
		return getBudgets, nil
	case "policy", "policies", "failoverpolicy", "failoverpolicies", "fpol":
		return getPolicies, nil
	}
	return nil, usageError("%q is none of plans, runs, schedules, budgets and policies", noun)
}

func getPlans(ctx context.Context, t terminal, c client.Client, o getOptions) error {
	list := &v1alpha1.RecoveryPlanList{}
	if err := c.List(ctx, list, client.InNamespace(o.namespace)); err != nil {
		return explain(err, "list plans")
	}
	items, err := pick(list.Items, o, func(p v1alpha1.RecoveryPlan) string { return p.Name })
	if err != nil {
		return err
	}
	for i := range items {
		items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RecoveryPlan"))
	}
	if o.output.structured() {
		return writeObjects(t, o, items)
	}
	return printRows(t, o, "NAME\tCLUSTER\tREADY\tRECOVERABLE\tLAST RUN\tRESULT\tRECOVERY TIME\tAGE", items, func(p v1alpha1.RecoveryPlan) (string, string) {
		last := v1alpha1.LastRun{Name: "<none>", Result: "<none>", RecoveryTime: "<none>"}
		if p.Status.LastRun != nil {
			last = *p.Status.LastRun
		}
		return p.Namespace, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", p.Name, p.Spec.Cluster.Name,
			statusOf(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady) != nil),
			recoverable(&p, time.Now()),
			last.Name, cmp.Or(string(last.Outcome), string(last.Result)), cmp.Or(last.RecoveryTime, "<none>"), age(p.CreationTimestamp.Time))
	})
}

func getRuns(ctx context.Context, t terminal, c client.Client, o getOptions) error {
	list := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, list, client.InNamespace(o.namespace)); err != nil {
		return explain(err, "list runs")
	}
	items, err := pick(list.Items, o, func(r v1alpha1.RecoveryRun) string { return r.Name })
	if err != nil {
		return err
	}
	slices.SortStableFunc(items, func(a, b v1alpha1.RecoveryRun) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	for i := range items {
		items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RecoveryRun"))
	}
	if o.output.structured() {
		return writeObjects(t, o, items)
	}
	return printRows(t, o, "NAME\tPLAN\tOPERATION\tPHASE\tSUCCEEDED\tRECOVERY TIME\tAGE", items, func(r v1alpha1.RecoveryRun) (string, string) {
		recovery := "<none>"
		if r.Status.RecoveredAt != nil && r.Status.StartedAt != nil {
			recovery = seconds(r.Status.RecoveredAt.Sub(r.Status.StartedAt.Time))
		}
		succeeded := "Unknown"
		if c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionSucceeded); c != nil {
			succeeded = string(c.Status)
		}
		return r.Namespace, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", r.Name, r.Spec.PlanRef.Name, r.Spec.Operation,
			cmp.Or(string(r.Status.Phase), "Queued"), succeeded, recovery, age(r.CreationTimestamp.Time))
	})
}

func getBudgets(ctx context.Context, t terminal, c client.Client, o getOptions) error {
	list := &v1alpha1.TeardownBudgetList{}
	if err := c.List(ctx, list, client.InNamespace(o.namespace)); err != nil {
		return explain(err, "list budgets")
	}
	items, err := pick(list.Items, o, func(b v1alpha1.TeardownBudget) string { return b.Name })
	if err != nil {
		return err
	}
	for i := range items {
		items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TeardownBudget"))
	}
	if o.output.structured() {
		return writeObjects(t, o, items)
	}
	return printRows(t, o, "NAME\tPLANS\tDOWN\tMAX DOWN\tLAST HOUR\tMAX PER HOUR\tREADY\tAGE", items, func(b v1alpha1.TeardownBudget) (string, string) {
		most, hourly := "<none>", "<none>"
		if b.Spec.MaxDown != nil {
			most = b.Spec.MaxDown.String()
		}
		if b.Spec.MaxPerHour != nil {
			hourly = strconv.Itoa(int(*b.Spec.MaxPerHour))
		}
		return b.Namespace, fmt.Sprintf("%s\t%d\t%d\t%s\t%d\t%s\t%s\t%s", b.Name, b.Status.Plans, b.Status.Down, most, b.Status.LastHour, hourly,
			statusOf(meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady) != nil),
			age(b.CreationTimestamp.Time))
	})
}

// writeObjects prints the named object, or a List as kubectl does.
func writeObjects[T any](t terminal, o getOptions, items []T) error {
	if o.name != "" {
		return o.output.write(t.Out, items[0])
	}
	return o.output.write(t.Out, struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Items      []T    `json:"items"`
	}{"v1", "List", items})
}

// pick keeps the named item, or all.
func pick[T any](items []T, o getOptions, name func(T) string) ([]T, error) {
	if o.name == "" {
		return items, nil
	}
	items = slices.DeleteFunc(items, func(i T) bool { return name(i) != o.name })
	if len(items) == 0 {
		where := fmt.Sprintf("namespace %q", o.namespace)
		if o.all {
			where = "any namespace"
		}
		return nil, usageError("%q was not found in %s", o.name, where) // as by every other command that is given a name
	}
	return items, nil
}

func printRows[T any](t terminal, o getOptions, header string, items []T, row func(T) (namespace, columns string)) error {
	if len(items) == 0 {
		where := fmt.Sprintf("namespace %q", o.namespace)
		if o.all {
			where = "any namespace"
		}
		say(t.Err, "nothing found in %s", where)
		return nil
	}
	w := tabwriter.NewWriter(t.Out, 0, 0, 3, ' ', 0)
	write := func(namespace, columns string) {
		if o.all {
			columns = namespace + "\t" + columns
		}
		_, _ = io.WriteString(w, columns+"\n") // the error is kept by w and returned by Flush
	}
	write("NAMESPACE", header)
	for _, item := range items {
		write(row(item))
	}
	return w.Flush()
}

func statusOf(isTrue, known bool) string {
	switch {
	case isTrue:
		return "True"
	case known:
		return "False"
	default:
		return "Unknown"
	}
}

func age(t time.Time) string { return duration.HumanDuration(time.Since(t)) }
