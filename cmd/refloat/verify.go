package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/refloat-dev/refloat/recovery/controller"
	"github.com/refloat-dev/refloat/recovery/report"
)

// Exit codes of verify: 0 match, 1 differs, 2 could not tell.
const (
	exitDiffers      = 1
	exitCouldNotTell = 2
)

func newVerifyCommand(t terminal, a *access) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "verify PLAN",
		Short: "Compare the live cluster of a plan with the commit it was rebuilt from",
		Long: `Compare the live cluster of a plan with the commit that its last successful rebuild
was made from, object by object, from fresh reads.

Exit codes: 0 the cluster matches; 1 it differs; 2 it could not be told.`,
		Args: oneArg("the name of a plan ('refloat get plans' lists them)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, namespace, err := a.connect()
			if err != nil {
				return err
			}
			cache, err := userCache()
			if err != nil {
				return err
			}
			v, err := controller.VerifyPlan(cmd.Context(), c, controller.VerifyOptions{
				Engine: controller.NewEngine(controller.EngineOptions{CacheDir: cache}), Namespace: namespace, Plan: args[0],
			})
			if err != nil {
				return &exitError{code: exitCouldNotTell, err: fmt.Errorf("could not tell: %w", err)}
			}
			if output.structured() {
				err = output.write(t.Out, v)
			} else {
				err = printVerification(t.Out, v)
			}
			if err == nil && (!v.Matches() || v.Extra > 0) {
				return &exitError{code: exitDiffers}
			}
			return err
		},
	}
	output.addFlag(cmd.Flags())
	return cmd
}

// userCache is where fetched commits are kept between commands.
func userCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(dir, "refloat", "git"), nil
}

func printVerification(w io.Writer, v *report.Verification) error {
	if _, err := fmt.Fprintf(w, "%d of %d objects match; %d missing, %d changed, %d extra, %d unhealthy, %d not provable\n",
		v.Matched, v.Rendered, v.Missing, v.Changed, v.Extra, v.Unhealthy, v.NotProvable); err != nil {
		return err
	}
	for _, group := range []struct {
		word     string
		findings []report.Finding
	}{
		{"missing", v.Details.Missing}, {"changed", v.Details.Changed}, {"extra", v.Details.Extra},
		{"unhealthy", v.Details.Unhealthy}, {"not provable", v.Details.NotProvable},
	} {
		for _, f := range group.findings {
			line := fmt.Sprintf("%-12s  %s", group.word, f.ID)
			if f.Origin != "" {
				line += "  (" + f.Origin + ")"
			}
			if f.Detail != "" {
				line += ": " + f.Detail
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}
