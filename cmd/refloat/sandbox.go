package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/refloat-dev/refloat/api/v1alpha1/crds"
	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/sandbox"
)

func newSandboxCommand(t terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a management cluster and real control planes on this machine",
		Long: `Run a management cluster on this machine: a Kubernetes control plane, Cluster API
and Refloat, with a provider whose clusters are real control planes too. Nodes and
pods are simulated. Everything listens on loopback only.`,
		Args: noArgsOr("a command"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSandboxUp(t), newSandboxStatus(t), newSandboxDown(t), newSandboxAssets(t), newSandboxSupervise())
	return cmd
}

// sandboxDir is the flag that says where a sandbox lives.
type sandboxDir string

func (d *sandboxDir) addFlag(flags *pflag.FlagSet) {
	flags.StringVar((*string)(d), "dir", "", "directory of the sandbox (default: ~/.local/state/refloat/sandbox)")
}

func (d sandboxDir) resolve() (string, error) {
	dir := string(d)
	if dir == "" {
		var err error
		if dir, err = sandbox.DefaultDir(); err != nil {
			return "", usageError("%w", err)
		}
	}
	return filepath.Abs(dir)
}

type sandboxUpOptions struct {
	dir    sandboxDir
	assets string
	audit  bool
}

func newSandboxUp(t terminal) *cobra.Command {
	o := &sandboxUpOptions{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the sandbox, or repair it",
		Long: `Start the sandbox, or repair it after a crash or a reboot. What runs is left alone.
The first time, Kubernetes, Cluster API and kwok are built, which takes about ten
minutes on two cores.`,
		Args: noArgsOr("an argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), t) },
	}
	o.dir.addFlag(cmd.Flags())
	cmd.Flags().StringVar(&o.assets, "assets", "", "directory with prebuilt binaries (default: $"+assets.EnvDir+", else built and cached)")
	cmd.Flags().BoolVar(&o.audit, "audit", false, "keep an audit log of every API server")
	return cmd
}

func (o *sandboxUpOptions) run(ctx context.Context, t terminal) error {
	dir, err := o.dir.resolve()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program to run as controller: %w", err)
	}
	definitions, err := crds.All()
	if err != nil {
		return err
	}
	rules, err := managementRules()
	if err != nil {
		return err
	}
	controller := []string{program, "controller", "--sandbox-dir", dir}
	if o.audit {
		controller = append(controller, "--audit")
	}
	if o.assets != "" {
		if o.assets, err = filepath.Abs(o.assets); err != nil {
			return err
		}
		controller = append(controller, "--assets", o.assets)
	}
	began := time.Now()
	err = sandbox.Up(ctx, sandbox.Options{
		Dir: dir, Assets: o.assets, Definitions: definitions, Rules: rules, Audit: o.audit,
		ControllerUser: controllerUser(),
		Controller:     controller,
		Supervisor:     []string{program, "sandbox", "supervise", "--dir", dir},
		Progress:       func(step string) func(error) { return showStep(t.Err, step) },
		Line:           func(line string) { say(t.Err, "  %s", line) },
	})
	if errors.Is(err, context.Canceled) {
		say(t.Err, "interrupted; 'refloat sandbox up' continues, 'refloat sandbox down --purge' removes what there is")
		return &exitError{code: exitFailed}
	}
	if err != nil {
		return fmt.Errorf("sandbox up: %w", err)
	}
	say(t.Err, "the sandbox is up after %s; to use it:", seconds(time.Since(began)))
	_, err = fmt.Fprintf(t.Out, "export KUBECONFIG=%s\n", sandbox.Kubeconfig(dir))
	return err
}

// showStep prints how a step ended and how long it took.
func showStep(w io.Writer, name string) func(error) {
	began := time.Now()
	return func(err error) {
		mark := "✔"
		if err != nil {
			mark = "✗"
		}
		say(w, "%s %-20s %7s", mark, name, seconds(time.Since(began)))
	}
}

func newSandboxStatus(t terminal) *cobra.Command {
	var dir sandboxDir
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show every part of the sandbox, and the clusters in it",
		Args:  noArgsOr("an argument"),
		RunE: func(*cobra.Command, []string) error {
			path, err := dir.resolve()
			if err != nil {
				return err
			}
			status, err := sandbox.Inspect(path)
			if errors.Is(err, sandbox.ErrNone) {
				return &exitError{code: exitFailed, err: err}
			}
			if err != nil {
				return err
			}
			if output.structured() {
				err = output.write(t.Out, status)
			} else {
				err = printSandbox(t.Out, status)
			}
			if err == nil && !status.Running() {
				say(t.Err, "not everything runs; 'refloat sandbox up' repairs it")
				return &exitError{code: exitFailed}
			}
			return err
		},
	}
	dir.addFlag(cmd.Flags())
	output.addFlag(cmd.Flags())
	return cmd
}

func printSandbox(out io.Writer, s sandbox.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "CLUSTER\tCOMPONENT\tPID\tSTATE\tSINCE\tADDRESS\n")
	rows := func(cluster, endpoint string, components []sandbox.Component) {
		for _, c := range components {
			pid, state, since, address := "-", "stopped", "-", ""
			if c.Running {
				pid, state, since = fmt.Sprint(c.PID), "running", age(c.Since)
			}
			if c.Name == "kube-apiserver" {
				address = endpoint
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", cluster, c.Name, pid, state, since, address)
		}
	}
	rows("(management)", s.Endpoint, s.Components)
	for _, c := range s.Clusters {
		rows(c.Name, c.Endpoint, c.Components)
	}
	return w.Flush()
}

func newSandboxDown(t terminal) *cobra.Command {
	var dir sandboxDir
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop every process of the sandbox",
		Long: `Stop every process of the sandbox and keep its state, so that 'refloat sandbox up'
continues; with --purge remove every file too.`,
		Args: noArgsOr("an argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := dir.resolve()
			if err != nil {
				return err
			}
			_, absent := os.Stat(path)
			if err := sandbox.Down(cmd.Context(), path, purge); err != nil {
				return fmt.Errorf("sandbox down: %w", err)
			}
			if errors.Is(absent, fs.ErrNotExist) && !purge {
				return &exitError{code: exitFailed, err: fmt.Errorf("%w in %s", sandbox.ErrNone, path)}
			}
			if purge {
				say(t.Err, "the sandbox in %s is gone", path)
			} else {
				say(t.Err, "the sandbox in %s is stopped; 'refloat sandbox up' continues", path)
			}
			return nil
		},
	}
	dir.addFlag(cmd.Flags())
	cmd.Flags().BoolVar(&purge, "purge", false, "remove every file of the sandbox, the clusters in it included")
	return cmd
}

func newSandboxAssets(t terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "assets",
		Short: "Build and cache the binaries that the sandbox runs",
		Args:  noArgsOr("an argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := assets.Get(cmd.Context(), assets.Options{Progress: func(line string) { say(t.Err, "%s", line) }})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(t.Out, "%s\n%s\n%s\n", b.Kubernetes, b.ClusterAPICore, b.Kwok)
			return err
		},
	}
}

func newSandboxSupervise() *cobra.Command {
	var dir sandboxDir
	cmd := &cobra.Command{
		Use:    "supervise",
		Short:  "Keep the parts of the sandbox running; started by 'sandbox up'",
		Hidden: true,
		Args:   noArgsOr("an argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := dir.resolve()
			if err != nil {
				return err
			}
			log, err := newLogger(false)
			if err != nil {
				return err
			}
			ctrl.SetLogger(log)
			return sandbox.Supervise(cmd.Context(), path, log)
		},
	}
	dir.addFlag(cmd.Flags())
	return cmd
}
