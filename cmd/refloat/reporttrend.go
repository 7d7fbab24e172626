package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
	"github.com/refloat-dev/refloat/recovery/report/html"
)

// maxTrend is how many runs a trend shows.
const maxTrend = 100

// reportTrend shows how the recovery times of a plan's runs developed.
func reportTrend(ctx context.Context, t terminal, a *access, o *reportOptions, plan string) error {
	trend, err := o.trendOf(ctx, a, plan)
	if err != nil {
		return err
	}
	return o.deliver(t, func(w io.Writer) error {
		switch o.format {
		case "html":
			return html.WriteTrend(w, trend)
		case "json", "yaml":
			return outputFormat(o.format).write(w, trend)
		}
		var b bytes.Buffer
		if err := writeTrend(&b, trend); err != nil {
			return err
		}
		_, err := w.Write(report.Printable(b.Bytes()))
		return err
	})
}

func (o *reportOptions) trendOf(ctx context.Context, a *access, plan string) (*report.Trend, error) {
	if len(o.files) > 0 {
		return trendOfFiles(o.files)
	}
	c, namespace, err := a.connect()
	if err != nil {
		return nil, err
	}
	if _, err := planNamed(ctx, c, namespace, plan); err != nil {
		return nil, err
	}
	runs := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, runs, client.InNamespace(namespace)); err != nil {
		return nil, explain(err, "list runs")
	}
	past := report.HistoryOf(runs.Items, plan, time.Now(), maxTrend)
	return report.TrendOf(namespace, plan, past), nil
}

func planNamed(ctx context.Context, c client.Client, namespace, name string) (*v1alpha1.RecoveryPlan, error) {
	plan := &v1alpha1.RecoveryPlan{}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, plan)
	if apierrors.IsNotFound(err) {
		return nil, usageError("there is no plan %q in namespace %q; 'refloat get plans' lists them", name, namespace)
	}
	if err != nil {
		return nil, explain(err, "read the plan")
	}
	return plan, nil
}

// trendOfFiles takes reports of one plan, in whatever order.
func trendOfFiles(files []string) (*report.Trend, error) {
	var past []report.Past
	var namespace, plan string
	for i, file := range files {
		raw, err := readReport(file)
		if err != nil {
			return nil, usageError("--file: %w", err)
		}
		r, err := report.FromJSON(raw)
		if err != nil {
			return nil, usageError("--file %s: %w", file, err)
		}
		if i > 0 && (r.Namespace != namespace || r.Plan != plan) {
			return nil, usageError("--file %s: it is of plan %s/%s, and %s is of plan %s/%s; a trend is of one plan", file, r.Namespace, r.Plan, files[0], namespace, plan)
		}
		if r.FinishedAt == nil {
			return nil, usageError("--file %s: the run %s is not finished", file, r.Run)
		}
		namespace, plan = r.Namespace, r.Plan
		past = append(past, r.Past())
	}
	slices.SortStableFunc(past, func(a, b report.Past) int { return a.FinishedAt.Compare(b.FinishedAt) })
	return report.TrendOf(namespace, plan, past), nil
}

func writeTrend(w io.Writer, t *report.Trend) error {
	if len(t.Runs) == 0 {
		_, err := fmt.Fprintf(w, "no run of plan %s has finished yet\n", t.Plan)
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "RUN\tOPERATION\tFINISHED\tRESULT\tRECOVERY TIME\tOBJECTIVE")
	for _, p := range slices.Backward(t.Runs) {
		took, objective := "<none>", "<none>"
		if p.RecoveryTimeSeconds != nil {
			took = report.Seconds(*p.RecoveryTimeSeconds)
		}
		if p.ObjectiveSeconds > 0 && p.Operation != v1alpha1.OperationTeardown {
			objective = report.Seconds(p.ObjectiveSeconds) + map[bool]string{true: " met", false: " missed"}[p.ObjectiveMet]
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Run, p.Operation, p.FinishedAt.UTC().Format(time.RFC3339), p.How(), took, objective)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if t.Measured == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%d measured: p50 %s, p90 %s\n", t.Measured, report.Seconds(*t.P50Seconds), report.Seconds(*t.P90Seconds))
	if c := t.Change; c != nil {
		line := fmt.Sprintf("%s took %+.1fs (%+.0f%%) against %s", c.Run, c.Seconds, c.Percent, c.Against)
		if c.Phase != "" {
			line += fmt.Sprintf(", most of it in %s: %+.1fs", c.Phase, c.PhaseSeconds)
		}
		fmt.Fprintln(w, line)
	}
	return nil
}
