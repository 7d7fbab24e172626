package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/why"
)

func newWhyCommand(t terminal, a *access) *cobra.Command {
	var output outputFormat
	cmd := runCommand(a, "why", "Tell what a run waits for, or why it failed",
		`Tell what a run waits for, or why it failed: since when, what happens next, and what you can do.`,
		func(_ context.Context, _ client.Client, run *v1alpha1.RecoveryRun) error {
			home, err := a.home()
			if err != nil {
				return err
			}
			answer := why.Explain(run, time.Now(), home)
			if output.structured() {
				return output.write(t.Out, answer)
			}
			return writeAnswer(t.Out, answer)
		})
	output.addFlag(cmd.Flags())
	return cmd
}

func writeAnswer(w io.Writer, a why.Answer) error {
	place := ""
	if a.Phase != "" {
		place = " in " + string(a.Phase)
	}
	text := fmt.Sprintf("%s of plan %s: %s%s\n\n", a.Operation, a.Plan, a.State, place)
	text += "Why    " + a.Cause + "\n"
	if a.Reason != "" {
		text += "Reason " + a.Reason + "\n"
	}
	if a.Since != nil {
		text += fmt.Sprintf("Since  %s (%s)\n", a.Since.UTC().Format(time.RFC3339), age(*a.Since))
	}
	text += "Next   " + a.Next + "\n"
	for i, do := range a.Do {
		label := "       "
		if i == 0 {
			label = "Do     "
		}
		text += label + do + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
