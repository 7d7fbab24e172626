package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// reportChain checks the reports of a plan against each other.
func reportChain(ctx context.Context, t terminal, a *access, o *reportOptions, name string) error {
	verdict, err := o.checkChain(ctx, a, name)
	if err != nil {
		return &exitError{code: exitCouldNotTell, err: err}
	}
	err = o.deliver(t, func(w io.Writer) error {
		if o.format != "" {
			return outputFormat(o.format).write(w, verdict)
		}
		var b bytes.Buffer
		if err := writeVerdict(&b, verdict); err != nil {
			return err
		}
		_, err := w.Write(report.Printable(b.Bytes()))
		return err
	})
	switch {
	case err != nil:
		return &exitError{code: exitCouldNotTell, err: err}
	case verdict.State == report.Broken:
		return &exitError{code: exitDiffers}
	case verdict.State == report.Unknown:
		return &exitError{code: exitCouldNotTell}
	}
	return nil
}

func (o *reportOptions) checkChain(ctx context.Context, a *access, name string) (*report.Verdict, error) {
	var copies []report.Held
	for _, file := range o.files {
		raw, err := readReport(file)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		copies = append(copies, report.Held{Name: file, Raw: raw})
	}
	if name == "" {
		return report.CheckChain(nil, copies, nil), nil
	}
	c, namespace, err := a.connect()
	if err != nil {
		return nil, err
	}
	before, err := planNamed(ctx, c, namespace, name)
	if err != nil {
		return nil, err
	}
	for range maxChainTries {
		held, runs, err := heldReports(ctx, c, namespace, name)
		if err != nil {
			return nil, err
		}
		after, err := planNamed(ctx, c, namespace, name)
		if err != nil {
			return nil, err
		}
		if apiequality.Semantic.DeepEqual(before.Status.Reports, after.Status.Reports) {
			return report.CheckChain(after, append(held, copies...), runs), nil
		}
		before = after // a run ended meanwhile
	}
	return nil, fmt.Errorf("runs of plan %s end faster than their reports can be read; try again", name)
}

// maxChainTries to read reports while none is added.
const maxChainTries = 5

// heldReports of a plan's runs, by their names: a reference could have been taken out of a
// status. runs are those that exist.
func heldReports(ctx context.Context, c client.Client, namespace, plan string) ([]report.Held, map[types.UID]bool, error) {
	list := &v1alpha1.RecoveryRunList{}
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, nil, explain(err, "list runs")
	}
	runs := map[types.UID]bool{}
	var held []report.Held
	for i := range list.Items {
		run := &list.Items[i]
		if run.Spec.PlanRef.Name != plan {
			continue
		}
		runs[run.UID] = true
		stored := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: namespace, Name: recovery.ReportName(run)}
		err := c.Get(ctx, key, stored)
		if apierrors.IsNotFound(err) {
			continue // the chain tells whether there was one
		}
		if err != nil {
			return nil, nil, explain(err, fmt.Sprintf("read the report in ConfigMap %s", key))
		}
		raw, err := report.RawFromConfigMap(stored)
		held = append(held, report.Held{Name: run.Name, Raw: raw, Err: err})
	}
	return held, runs, nil
}

func writeVerdict(w io.Writer, v *report.Verdict) error {
	text := map[report.State]string{
		report.Intact: "intact", report.Broken: "BROKEN", report.Unknown: "there is no report to check",
	}[v.State]
	if v.State == report.Unknown && v.Length > 0 {
		text = "nothing is proven, since no report that holds a digest of these is among them"
	}
	if v.Length > 0 {
		text += fmt.Sprintf(": %d reports, %d of them are there and proven", v.Length, v.Proven)
	}
	fmt.Fprintln(w, text)
	for _, p := range v.Problems {
		fmt.Fprintf(w, "  %s: %s\n", cmp.Or(p.Kind, "problem"), p.What)
	}
	for _, p := range v.Remarks {
		fmt.Fprintf(w, "  note: %s\n", p.What)
	}
	if v.Head != "" {
		_, err := fmt.Fprintf(w, "digest of the last: %s\n", v.Head)
		return err
	}
	return nil
}
