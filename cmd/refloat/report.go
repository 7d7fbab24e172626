package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
)

func newReportCommand(t terminal, a *access) *cobra.Command {
	var output outputFormat
	var dir string
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Print the report of a run",
		Long: `Print the report of a run: what was asked, what came out of it, how long each part
took, and how the live cluster compared with the repository.`,
		Args: oneArg("the name of a run ('refloat get runs' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			run := &v1alpha1.RecoveryRun{}
			if err := c.Get(cmd.Context(), client.ObjectKey{Namespace: namespace, Name: args[0]}, run); err != nil {
				if apierrors.IsNotFound(err) {
					return usageError("there is no run %q in namespace %q; 'refloat get runs' lists them", args[0], namespace)
				}
				return explain(err, "read the run")
			}
			if dir != "" {
				files, err := writeReport(cmd.Context(), c, run, dir)
				if err != nil {
					return fmt.Errorf("write the report: %w", err)
				}
				for _, f := range files {
					say(t.Err, "written: %s", f)
				}
			}
			return printReport(cmd.Context(), t, c, run, output)
		},
	}
	cmd.Flags().StringVar(&dir, "report-dir", "", "write the report (JSON and text) and its certificate to this directory, too")
	output.addFlag(cmd.Flags())
	return cmd
}

// loadReport reads the stored report, or builds what the run's status tells when
// there is none yet.
func loadReport(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun) (*report.Report, error) {
	if run.Status.ReportRef == nil {
		return report.Build(run, nil), nil
	}
	stored := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: run.Namespace, Name: run.Status.ReportRef.Name}
	if err := c.Get(ctx, key, stored); err != nil {
		return nil, explain(err, fmt.Sprintf("read the report in ConfigMap %s", key))
	}
	return report.FromConfigMap(stored)
}

func printReport(ctx context.Context, t terminal, c client.Client, run *v1alpha1.RecoveryRun, output outputFormat) error {
	r, err := loadReport(ctx, c, run)
	if err != nil {
		return err
	}
	if output.structured() {
		return output.write(t.Out, r)
	}
	return r.WriteText(t.Out)
}

// writeReport stores the report as JSON and as text, each whole or not at all.
func writeReport(ctx context.Context, c client.Client, run *v1alpha1.RecoveryRun, dir string) ([]string, error) {
	r, err := loadReport(ctx, c, run)
	if err != nil {
		return nil, err
	}
	data, err := r.JSON()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var files []string
	for _, f := range []struct {
		extension string
		content   []byte
	}{{".json", data}, {".txt", text.Bytes()}, {".certificate.json", r.Certificate}} {
		if len(f.content) == 0 {
			continue
		}
		file := filepath.Join(dir, run.Name+f.extension)
		if err := writeWhole(file, f.content); err != nil {
			return files, err
		}
		files = append(files, file)
	}
	return files, nil
}
