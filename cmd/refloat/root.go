package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, t terminal) int {
	root := newRootCommand(t)
	root.SetArgs(args)
	// What is wrong once a command has begun is in its input, which no help explains.
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	exit, isExit := errors.AsType[*exitError](err)
	if err != nil && (!isExit || exit.err != nil) {
		fmt.Fprintf(t.Err, "refloat: %v\n", err)
		if code == exitUsage && !began {
			fmt.Fprintf(t.Err, "Run '%s --help' to see what there is.\n", cmd.CommandPath())
		}
	}
	return code
}

func newRootCommand(t terminal) *cobra.Command {
	access := &access{}
	root := &cobra.Command{
		Use:   "refloat",
		Short: "Rebuild Kubernetes clusters from Git, and prove it",
		Long: `Refloat rebuilds Kubernetes clusters from Git.

A plan says how to make a cluster and which directories of a repository it must
hold. A run does it once: it provisions the cluster through Cluster API, applies the
repository in waves, compares the live cluster with the repository, and reports how
long recovery took.

Exit codes: 0 done; 1 failed; 2 bad usage or bad input; 3 done, but later than the
recovery-time objective; 4 waiting ended, the run goes on.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgsOr("a command"),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(t.In)
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &exitError{code: exitUsage, err: err}
	})
	access.addFlags(root.PersistentFlags())
	root.AddCommand(
		newPlanCommand(t, access),
		newLintCommand(t),
		newRunCommand(t, access, rebuildCommand),
		newRunCommand(t, access, teardownCommand),
		newRunCommand(t, access, drillCommand),
		newRunCommand(t, access, wakeCommand),
		newFailoverCommand(t, access),
		newFailbackCommand(t, access),
		newDecideCommand(t, access, v1alpha1.DecideCommit),
		newDecideCommand(t, access, v1alpha1.DecideRollBack),
		newSnoozeCommand(t, access),
		newObserveCommand(t, access),
		newGetCommand(t, access),
		newWatchCommand(t, access),
		newSimulateCommand(t, access),
		newWhyCommand(t, access),
		newCheckCommand(t, access),
		newApproveCommand(t, access),
		newSuspendCommand(t, access),
		newResumeCommand(t, access),
		newRetryCommand(t, access),
		newCancelCommand(t, access),
		newHoldCommand(t, access),
		newReportCommand(t, access),
		newVerifyCommand(t, access),
		newLossCommand(t, access),
		newAdoptCommand(t, access),
		newCertificateCommand(t),
		newSandboxCommand(t),
		newControllerCommand(t, access),
		newVersionCommand(t),
	)
	return root
}

// noArgsOr refuses a first argument that is no command with the usage exit code.
func noArgsOr(want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		near := ""
		cmd.SuggestionsMinimumDistance = 2 // letters that are wrong
		if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
			near = "; did you mean " + strings.Join(names, " or ") + "?"
		}
		return usageError("%q is not %s of %s%s", args[0], want, cmd.CommandPath(), near)
	}
}

// oneArg asks for exactly one argument and names it.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError("%s needs exactly one argument: %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// say writes a line for people. What cannot be written to a closed terminal is lost
// on purpose: the run and its report do not depend on it.
func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
