package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/lint/sarif"
	"github.com/refloat-dev/refloat/manifests/lint/text"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

type lintOptions struct {
	git      string
	ref      string
	paths    []string
	file     string
	remote   bool
	seeds    []string
	release  string
	severity string
	failOn   string
	rules    bool
	output   string
	state    stateFlags
}

func newLintCommand(t terminal) *cobra.Command {
	o := &lintOptions{}
	cmd := &cobra.Command{
		Use:   "lint --git URL_OR_DIR --path PATH | -f PLANFILE",
		Short: "Find what keeps a repository from coming up on a fresh cluster; no cluster needed",
		Long: `Find cold-start faults: what an old cluster has from earlier days and the repository
does not say, and orders that only work because something is there already. Each
finding has a place, the reason why it bites on a fresh cluster only, and a fix.

The annotation ` + lint.IgnoreAnnotation + `: RULE[,RULE] of an object suppresses rules for it.

Exit codes: 0 nothing found at or above --fail-on; 1 something was; 2 bad usage, or
the repository cannot be read.`,
		Example: `  refloat lint --git . --path deploy
  refloat lint --git https://git.example.com/platform/fleet.git --ref main --path clusters/dev/state -o sarif
  refloat lint -f plan.yaml --fail-on warning`,
		Args: func(_ *cobra.Command, args []string) error { return o.checkArgs(args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.rules {
				return o.list(t.Out)
			}
			return o.run(cmd.Context(), t)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.git, "git", "", "repository: a directory, or an https, ssh or file URL")
	flags.StringVar(&o.ref, "ref", "", "branch, tag or full commit (default: the default branch)")
	flags.StringArrayVar(&o.paths, "path", nil, "directory of the repository; may be given more than once")
	flags.StringVarP(&o.file, "filename", "f", "", "file with a RecoveryPlan to read source, paths and seeds from")
	flags.BoolVar(&o.remote, "allow-remote-bases", false, "let kustomizations read from other repositories")
	flags.StringArrayVar(&o.seeds, "seed", nil, "Secret that the new cluster gets before anything else, as NAMESPACE/NAME; may be given more than once")
	o.state.addFlags(flags)
	flags.Lookup("kube-version").Usage = "version of Kubernetes that is expected, and that charts see, for example v1.36.3 (default: the newest that Refloat knows)"
	flags.StringVar(&o.release, "kubernetes-version", "", "release of Kubernetes to expect, for example 1.34")
	_ = flags.MarkHidden("kubernetes-version") // the flag was added above; its name before --kube-version
	flags.StringVar(&o.severity, "severity", string(lint.Note), "least severity to print: error, warning or note")
	flags.StringVar(&o.failOn, "fail-on", string(lint.Error), "least severity that makes the exit code 1: error, warning or note")
	flags.BoolVar(&o.rules, "rules", false, "list the rules")
	flags.StringVarP(&o.output, "output", "o", "text", "output format: text, json or sarif")
	return cmd
}

func (o *lintOptions) checkArgs(args []string) error {
	switch {
	case len(args) > 0:
		return usageError("lint takes no argument: name the repository with --git and --path, or a plan's file with -f")
	case !slices.Contains([]string{"text", "json", "sarif"}, o.output):
		return usageError("%q is none of text, json, sarif", o.output)
	case o.rules:
		return nil
	case (o.git == "") == (o.file == ""):
		return usageError("say what to lint: a repository with --git and --path, or a plan's file with -f")
	case o.git != "" && len(o.paths) == 0:
		return usageError("--git needs at least one --path, '.' for the whole repository")
	case o.git == "" && (len(o.paths) > 0 || o.ref != ""):
		return usageError("--path and --ref go with --git")
	}
	return o.checkValues()
}

// checkValues of flags that may be given more than once, or are words of their own.
func (o *lintOptions) checkValues() error {
	for _, s := range []string{o.severity, o.failOn} {
		if _, err := lint.ParseSeverity(s); err != nil {
			return usageError("%w", err)
		}
	}
	for _, s := range o.seeds {
		if namespace, name, ok := strings.Cut(s, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return usageError("--seed %q: write it as NAMESPACE/NAME", s)
		}
	}
	return nil
}

// list prints the rules.
func (o *lintOptions) list(w io.Writer) error {
	switch o.output {
	case "json":
		return outputFormat("json").write(w, lint.Rules())
	case "sarif":
		return sarif.Write(w, &lint.Report{}, version)
	}
	return text.Rules(w, lint.Rules())
}

func (o *lintOptions) run(ctx context.Context, t terminal) error {
	snapshot, paths, seeds, err := o.open(ctx)
	if err != nil {
		return err
	}
	options, err := o.expandOptions(seeds)
	if err != nil {
		return err
	}
	options.PathNamespaces = o.state.namespaces(paths)
	in, warnings, err := lintInput(ctx, snapshot, paths, options)
	if err != nil {
		return badInput(err)
	}
	in.Seeds, in.Release, in.KnownKinds = idsOf(options.Seeds), cmp.Or(o.release, o.state.version), o.state.known
	report, err := lint.Run(in)
	if err != nil {
		return badInput(err)
	}
	for _, w := range append(slices.Clone(snapshot.Warnings), warnings...) {
		say(t.Err, "warning: %s", w)
	}
	if err := o.print(t.Out, snapshot, report); err != nil {
		return err
	}
	if report.Worst(lint.Severity(o.failOn)) {
		return &exitError{code: exitFailed}
	}
	return nil
}

// open fetches what is to be linted, and the seeds that are known.
func (o *lintOptions) open(ctx context.Context) (*source.Snapshot, []string, []manifests.ID, error) {
	seeds := make([]manifests.ID, 0, len(o.seeds))
	for _, s := range o.seeds {
		namespace, name, _ := strings.Cut(s, "/")
		seeds = append(seeds, manifests.ID{Kind: "Secret", Namespace: namespace, Name: name})
	}
	if o.git != "" {
		snapshot, err := openRepository(ctx, o.git, o.ref)
		return snapshot, o.paths, seeds, err
	}
	plan, err := readPlanFile(o.file)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, s := range plan.Spec.Seeds {
		seeds = append(seeds, manifests.ID{Kind: "Secret", Namespace: s.Namespace, Name: s.SecretRef.Name})
	}
	for _, k := range plan.Spec.KnownKinds {
		text := k.Group + "/" + k.Kind
		if k.ClusterScoped {
			text += ":cluster"
		}
		o.state.kinds = append(o.state.kinds, text)
	}
	o.state.planned(plan.Spec.ArgoCD)
	planned := &planOptions{file: o.file}
	snapshot, paths, err := planned.open(ctx, nil, nil)
	o.state.byPath = planned.state.byPath
	return snapshot, paths, seeds, err
}

// lintInput renders. Faults of single files are findings; any other error means that
// there is nothing to lint.
func lintInput(ctx context.Context, snapshot *source.Snapshot, paths []string, o expand.Options) (lint.Input, []string, error) {
	rendered, err := expand.Expand(ctx, snapshot, paths, o)
	if err != nil {
		faults := lint.FaultsOf(err)
		if len(faults) == 0 {
			return lint.Input{}, nil, err
		}
		return lint.Input{Faults: faults}, []string{"the other rules need files that can be rendered: they were not applied"}, nil
	}
	warnings := rendered.Warnings
	for _, s := range rendered.Skipped {
		warnings = append(warnings, "not expanded: "+s.Reason)
	}
	return lint.Input{Objects: rendered.Objects, Units: rendered.Units}, warnings, nil
}

// expandOptions look at everything and open nothing: what is encrypted stays so, and
// what cannot be expanded here is left out and named.
func (o *lintOptions) expandOptions(seeds []manifests.ID) (expand.Options, error) {
	options, err := o.state.options()
	options.AllowRemoteBases, options.Decrypt, options.Decryption = o.remote, lint.Closed{}, closed{}
	options.Partial, options.Everything = true, true
	if options.Remotes != nil {
		options.Remotes.Own.URL = o.git
	}
	for _, id := range seeds {
		if !slices.ContainsFunc(options.Seeds, func(s expand.Seed) bool { return s.Kind == id.Kind && s.Namespace == id.Namespace && s.Name == id.Name }) {
			options.Seeds = append(options.Seeds, expand.Seed{Kind: id.Kind, Namespace: id.Namespace, Name: id.Name})
		}
	}
	return options, err
}

func idsOf(seeds []expand.Seed) []manifests.ID {
	ids := make([]manifests.ID, len(seeds))
	for i, s := range seeds {
		ids[i] = manifests.ID{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}
	}
	return ids
}

// closed has no keys and asks for none.
type closed struct{}

// Decrypter implements flux.Decryption.
func (closed) Decrypter(string, map[string][]byte) (render.Decrypter, error) {
	return lint.Closed{}, nil
}

// lintView is the report for programs.
type lintView struct {
	Commit string `json:"commit,omitempty"`
	*lint.Report
}

func (o *lintOptions) print(w io.Writer, snapshot *source.Snapshot, report *lint.Report) error {
	shown := report.Only(lint.Severity(o.severity))
	switch o.output {
	case "json":
		return outputFormat("json").write(w, lintView{Commit: snapshot.Commit, Report: shown})
	case "sarif":
		return sarif.Write(w, shown, version)
	}
	if err := text.Write(w, shown); err != nil {
		return fmt.Errorf("print the findings: %w", err)
	}
	return nil
}
