package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
	"github.com/refloat-dev/refloat/recovery/report/html"
	"github.com/refloat-dev/refloat/recovery/report/junit"
	"github.com/refloat-dev/refloat/recovery/report/markdown"
)

type reportOptions struct {
	format       reportFormat
	files        []string
	to, dir      string
	trend, chain bool
}

func newReportCommand(t terminal, a *access) *cobra.Command {
	o := reportOptions{}
	cmd := &cobra.Command{
		Use:   "report RUN | --trend PLAN | --chain PLAN",
		Short: "Print the report of a run, the trend of a plan, or check a plan's reports",
		Long: `Print the report of a run: what was asked and by whom, what came out of it, what the
time was spent on, and how the live cluster compared with the repository. As HTML it
is one file for a browser that loads nothing and runs no script.

--trend PLAN shows the recovery times of the plan's runs, what changed last, and the
phase that it came from.

--chain PLAN checks that no report of the plan was edited or removed: each final report
names the one before it by its digest, and the plan's status holds that of the last.
Exit codes: 0 intact; 1 a report was edited, removed or slipped in; 2 it could not be told.

With --file, reports that were written as JSON are taken instead of those of the
management cluster, and none is asked; with --chain PLAN besides them, to prove copies
of reports that are gone.`,
		Args: func(cmd *cobra.Command, args []string) error { return o.check(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			switch {
			case o.chain:
				return reportChain(cmd.Context(), t, a, &o, name)
			case o.trend:
				return reportTrend(cmd.Context(), t, a, &o, name)
			}
			return reportRun(cmd.Context(), t, a, &o, name)
		},
	}
	flags := cmd.Flags()
	flags.VarP(&o.format, "output", "o", "output format: text, json, yaml, html, markdown or junit; of a trend text, json, yaml or html")
	flags.StringArrayVarP(&o.files, "file", "f", nil, "take the report from this file (JSON) instead of the management cluster; more than once with --trend and --chain")
	flags.StringVar(&o.to, "to", "", "write to this file instead of the terminal")
	flags.StringVar(&o.dir, "report-dir", "", "write the report in every form, and its certificate, to this directory, too")
	flags.BoolVar(&o.trend, "trend", false, "show the recovery times of a plan's runs")
	flags.BoolVar(&o.chain, "chain", false, "check that no report of a plan was edited or removed")
	return cmd
}

// check the arguments against each other.
func (o *reportOptions) check(cmd *cobra.Command, args []string) error {
	of := o.trend || o.chain
	switch {
	case o.trend && o.chain:
		return usageError("--trend and --chain are two different questions; ask one of them")
	case of && o.dir != "":
		return usageError("--report-dir is for the report of one run")
	case of && (o.format == "markdown" || o.format == "junit"), o.chain && o.format == "html":
		return usageError("-o %s is for the report of one run", o.format)
	}
	return o.source(cmd, args, of)
}

// source of the reports: the management cluster or files.
func (o *reportOptions) source(cmd *cobra.Command, args []string, of bool) error {
	switch {
	case len(o.files) > 0 && len(args) > 0 && !o.chain:
		return usageError("name either a run or plan, or files with --file")
	case len(o.files) > 1 && !of:
		return usageError("%s shows one report; more than one --file go with --trend and --chain", cmd.CommandPath())
	case len(o.files) == 0 && len(args) != 1 && of:
		return usageError("name the plan ('refloat get plans' lists them), or files with --file")
	case len(o.files) == 0 && len(args) != 1:
		return usageError("%s needs exactly one argument: the name of a run ('refloat get runs' lists them)", cmd.CommandPath())
	}
	return nil
}

// reportFormat is the value of -o of a report: empty for text.
type reportFormat string

var _ pflag.Value = (*reportFormat)(nil)

// String implements pflag.Value.
func (f *reportFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *reportFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *reportFormat) Set(s string) error {
	switch s {
	case "text", "table":
		*f = ""
	case "json", "yaml", "html", "markdown", "junit":
		*f = reportFormat(s)
	case "md":
		*f = "markdown"
	default:
		return usageError("%q is none of text, json, yaml, html, markdown, junit", s)
	}
	return nil
}

// loaded is a report with its JSON form as it was stored, and the digest of that; both are
// empty of a run that has stored none.
type loaded struct {
	*report.Report
	raw    []byte
	digest string
}

// loadedFrom the JSON form.
func loadedFrom(raw []byte) (*loaded, error) {
	r, err := report.FromJSON(raw)
	if err != nil {
		return nil, err
	}
	digest, err := report.Digest(raw)
	return &loaded{Report: r, raw: raw, digest: digest}, err
}

// loadReport reads the stored report, or builds what the run's status tells when
// there is none yet.
func loadReport(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) (*loaded, error) {
	if run.Status.ReportRef == nil {
		return &loaded{Report: report.Build(run, nil)}, nil
	}
	raw, err := storedReport(ctx, c, run.Namespace, run.Status.ReportRef.Name)
	if err != nil {
		return nil, err
	}
	return loadedFrom(raw)
}

func storedReport(ctx context.Context, c client.Client, namespace, name string) ([]byte, error) {
	stored := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: namespace, Name: name}
	if err := c.Get(ctx, key, stored); err != nil {
		return nil, explain(err, fmt.Sprintf("read the report in ConfigMap %s", key))
	}
	return report.RawFromConfigMap(stored)
}

func reportRun(ctx context.Context, t terminal, a *access, o *reportOptions, name string) error {
	l, err := o.load(ctx, a, name)
	if err != nil {
		return err
	}
	if o.dir != "" {
		files, err := writeForms(l, o.dir)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		for _, f := range files {
			say(t.Err, "written: %s", f)
		}
	}
	return o.deliver(t, func(w io.Writer) error { return l.write(w, o.format) })
}

func (o *reportOptions) load(ctx context.Context, a *access, name string) (*loaded, error) {
	if len(o.files) > 0 {
		raw, err := readReport(o.files[0])
		if err != nil {
			return nil, usageError("--file: %w", err)
		}
		l, err := loadedFrom(raw)
		if err != nil {
			return nil, usageError("--file %s: %w", o.files[0], err)
		}
		return l, nil
	}
	c, namespace, err := a.connect()
	if err != nil {
		return nil, err
	}
	run := &v1alpha1.RecoveryRun{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, run); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, usageError("there is no run %q in namespace %q; 'refloat get runs' lists them", name, namespace)
		}
		return nil, explain(err, "read the run")
	}
	return loadReport(ctx, c, run)
}

// deliver to the file that was asked for, whole or not at all, or to the terminal.
func (o *reportOptions) deliver(t terminal, write func(io.Writer) error) error {
	if o.to == "" {
		return write(t.Out)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	if err := writeWhole(o.to, b.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", o.to, err)
	}
	say(t.Err, "written: %s", o.to)
	return nil
}

// write the report in a form.
func (l *loaded) write(w io.Writer, format reportFormat) error {
	switch format {
	case "html":
		return html.Write(w, l.Report, l.digest)
	case "markdown":
		return markdown.Write(w, l.Report, l.digest)
	case "junit":
		return junit.Write(w, l.Report)
	case "yaml":
		return outputFormat("yaml").write(w, l.Report)
	case "json":
		raw, err := l.json()
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	}
	return l.WriteText(w)
}

// json is the form as it was stored, so that its digest stays what it is.
func (l *loaded) json() ([]byte, error) {
	if l.raw == nil {
		return l.JSON()
	}
	return report.Indented(l.raw)
}

func printReport(ctx context.Context, t terminal, c client.Client, run *v1alpha1.RecoveryRun, output outputFormat) error {
	l, err := loadReport(ctx, c, run)
	if err != nil {
		return err
	}
	return l.write(t.Out, reportFormat(output))
}

// writeReport stores the report of a run in every form.
func writeReport(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun, dir string) ([]string, error) {
	l, err := loadReport(ctx, c, run)
	if err != nil {
		return nil, err
	}
	return writeForms(l, dir)
}

// writeForms stores each form whole or not at all.
func writeForms(l *loaded, dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var files []string
	for _, f := range []struct {
		extension string
		write     func(io.Writer) error
	}{
		{".json", func(w io.Writer) error { return l.write(w, "json") }},
		{".txt", func(w io.Writer) error { return l.write(w, "") }},
		{".html", func(w io.Writer) error { return l.write(w, "html") }},
		{".md", func(w io.Writer) error { return l.write(w, "markdown") }},
		{".junit.xml", func(w io.Writer) error { return l.write(w, "junit") }},
		{".certificate.json", func(w io.Writer) error { _, err := w.Write(l.Certificate); return err }},
	} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return files, err
		}
		if b.Len() == 0 {
			continue
		}
		file := filepath.Join(dir, filepath.Base(l.Run)+f.extension)
		if err := writeWhole(file, b.Bytes()); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}

// readReport reads a file with a JSON form.
func readReport(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, report.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > report.MaxBytes {
		return nil, fmt.Errorf("%s has more than %d bytes", file, report.MaxBytes)
	}
	return raw, nil
}
