package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/order/text"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/manifests/source"
)

type planOptions struct {
	git       string
	ref       string
	paths     []string
	file      string
	simulated bool
	remote    bool
	all       bool
	drill     bool
	state     stateFlags
	kinds     []v1alpha1.KnownKind
	// mirrors and seeds of the plan that was read.
	mirrors []v1alpha1.ChartMirror
	seeds   []v1alpha1.Seed
	// profile of the plan's drills.
	profile v1alpha1.DrillPolicy
	// own is how the repository is read, for definitions that name another revision of it.
	own    source.Options
	output outputFormat
}

func newPlanCommand(t terminal, a *access) *cobra.Command {
	o := &planOptions{}
	cmd := &cobra.Command{
		Use:   "plan PLAN | -f FILE | --git URL_OR_DIR --path PATH",
		Short: "Show every wave and the reason for each edge; change nothing",
		Long: `Show every wave of a repository, each object with what it waits for and why.
Nothing is changed. With --git no cluster is needed at all; a plain directory is read
as it is, and a directory that is a Git work tree at its HEAD commit.`,
		Example: `  refloat plan --git https://git.example.com/platform/fleet.git --ref main --path clusters/dev/state
  refloat plan --git . --path deploy`,
		Args: func(_ *cobra.Command, args []string) error { return o.checkArgs(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			snapshot, paths, err := o.open(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			return o.show(cmd.Context(), t, snapshot, paths)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.git, "git", "", "repository: a directory, or an https, ssh or file URL")
	flags.StringVar(&o.ref, "ref", "", "branch, tag or full commit (default: the default branch)")
	flags.StringArrayVar(&o.paths, "path", nil, "directory of the repository; may be given more than once")
	flags.StringVarP(&o.file, "filename", "f", "", "file with a RecoveryPlan to read source and paths from")
	flags.BoolVar(&o.simulated, "simulated", false, "order as for a cluster of the sandbox, where no container runs")
	flags.BoolVar(&o.remote, "allow-remote-bases", false, "let kustomizations read from other repositories")
	flags.BoolVar(&o.drill, "drill", false, "show what a drill makes of the state: what its profile changes, and why")
	flags.BoolVar(&o.all, "all-edges", false, "print every edge on a line of its own")
	o.state.addFlags(flags)
	o.output.addFlag(flags)
	return cmd
}

func (o *planOptions) checkArgs(args []string) error {
	given := 0
	for _, present := range []bool{len(args) > 0, o.file != "", o.git != ""} {
		if present {
			given++
		}
	}
	switch {
	case len(args) > 1:
		return usageError("plan takes at most one argument: the name of a plan")
	case given != 1:
		return usageError("say what to plan: the name of a plan, a file with -f, or a repository with --git and --path")
	case o.git != "" && len(o.paths) == 0:
		return usageError("--git needs at least one --path, '.' for the whole repository")
	case o.git == "" && (len(o.paths) > 0 || o.ref != ""):
		return usageError("--path and --ref go with --git")
	}
	return nil
}

// open fetches what is to be planned.
func (o *planOptions) open(ctx context.Context, a *access, args []string) (*source.Snapshot, []string, error) {
	if o.git != "" {
		o.own.URL = o.git
		snapshot, err := openRepository(ctx, o.git, o.ref)
		return snapshot, o.paths, err
	}
	plan, err := o.readPlan(ctx, a, args)
	if err != nil {
		return nil, nil, err
	}
	o.mirrors, o.seeds, o.kinds = plan.Spec.ChartMirrors, plan.Spec.Seeds, plan.Spec.KnownKinds
	o.state.planned(plan.Spec.ArgoCD)
	o.profile = plan.Spec.Drill
	paths := make([]string, len(plan.Spec.State))
	o.state.byPath = map[string]string{}
	for i, s := range plan.Spec.State {
		paths[i], o.state.byPath[s.Path] = s.Path, s.Namespace
	}
	src := plan.Spec.Source
	if secret := secretOf(src); secret != "" && o.file == "" {
		return nil, nil, usageError("plan %s reads its repository with the credentials of Secret %s, which stay in the cluster: clone it and use --git DIR", plan.Name, secret)
	}
	options := source.Options{
		URL: src.URL, Branch: src.Ref.Branch, Tag: src.Ref.Tag, SemVer: src.Ref.SemVer, Commit: src.Ref.Commit, Submodules: src.Submodules,
	}
	for _, m := range src.Mirrors {
		options.Mirrors = append(options.Mirrors, source.Mirror{URL: m.URL})
	}
	o.own = options
	snapshot, err := source.Fetch(ctx, options)
	if err == nil && src.Verify != nil {
		snapshot.Warnings = append(snapshot.Warnings, fmt.Sprintf("signatures are not verified here: the keys are in Secret %s, in the cluster", src.Verify.SecretRef.Name))
	}
	return snapshot, paths, badInput(err)
}

// secretOf names the first Secret that reading a source takes; "" when it takes none.
func secretOf(src v1alpha1.GitSource) string {
	refs := []*v1alpha1.LocalSecretReference{src.SecretRef, src.ProxySecretRef}
	for _, m := range src.Mirrors {
		refs = append(refs, m.SecretRef)
	}
	for _, ref := range refs {
		if ref != nil {
			return ref.Name
		}
	}
	return ""
}

func (o *planOptions) readPlan(ctx context.Context, a *access, args []string) (*v1alpha1.RecoveryPlan, error) {
	if o.file != "" {
		return readPlanFile(o.file)
	}
	c, namespace, err := a.connect()
	if err != nil {
		return nil, err
	}
	return findPlan(ctx, c, namespace, args[0], "")
}

var fullCommit = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// openRepository reads a directory, or fetches a URL at a branch, tag or commit.
func openRepository(ctx context.Context, git, ref string) (*source.Snapshot, error) {
	info, err := os.Stat(git)
	switch {
	case err == nil && info.IsDir() && ref == "":
		snapshot, err := source.Directory(git)
		return snapshot, badInput(err)
	case err == nil && info.IsDir():
		abs, err := filepath.Abs(git)
		if err != nil {
			return nil, err
		}
		git = "file://" + abs
	case errors.Is(err, fs.ErrNotExist) && !strings.Contains(git, ":"):
		return nil, usageError("--git %s: there is no such directory, and it is no URL", git)
	}
	options := source.Options{URL: git}
	if fullCommit.MatchString(ref) {
		options.Commit = ref
		snapshot, err := source.Fetch(ctx, options)
		return snapshot, badInput(err)
	}
	options.Branch = ref
	snapshot, err := source.Fetch(ctx, options)
	if err != nil && ref != "" {
		options.Branch, options.Tag = "", ref
		if tagged, tagErr := source.Fetch(ctx, options); tagErr == nil {
			return tagged, nil
		}
		err = noSuchRef(err, ref, info)
	}
	return snapshot, badInput(err)
}

// noSuchRef says what a reference may be, once it is neither a branch nor a tag.
func noSuchRef(err error, ref string, dir fs.FileInfo) error {
	if absent, ok := errors.AsType[*source.UnreachableError](err); ok && absent.Why == source.Absent && dir != nil {
		return fmt.Errorf("--ref %s: %s is a plain directory and no Git repository: leave out --ref, and it is read as it is", ref, dir.Name())
	}
	missing, ok := errors.AsType[*source.RefNotFoundError](err)
	if !ok {
		return err
	}
	near := ""
	if len(missing.Near) > 0 {
		near = "; did you mean " + strings.Join(missing.Near, ", ") + "?"
	}
	return fmt.Errorf("--ref %s: repository %s has no branch and no tag of that name, and a commit is given in full, with all its 40 or 64 digits%s", ref, missing.URL, near)
}

// show renders, orders and prints.
func (o *planOptions) show(ctx context.Context, t terminal, snapshot *source.Snapshot, paths []string) error {
	options, err := o.expandOptions()
	if err != nil {
		return err
	}
	options.PathNamespaces = o.state.namespaces(paths)
	rendered, err := expand.Expand(ctx, snapshot, paths, options)
	if err != nil && strings.Contains(err.Error(), "allow remote bases") {
		err = fmt.Errorf("%w (here by --allow-remote-bases)", err)
	}
	if err != nil {
		return badInput(err)
	}
	if len(rendered.Objects) == 0 {
		return usageError("%s holds no Kubernetes object", strings.Join(paths, ", "))
	}
	changes, err := o.drilled(rendered, options)
	if err != nil {
		return err
	}
	graph, err := order.Build(rendered.Objects, order.Options{Simulated: o.simulated, Units: rendered.Units, ExistingNamespace: o.seeded(options), KnownKind: o.state.knownKind})
	if err != nil {
		return badInput(err)
	}
	for _, warning := range append(snapshot.Warnings, rendered.Warnings...) {
		say(t.Err, "warning: %s", warning)
	}
	for _, s := range rendered.Skipped {
		say(t.Err, "not expanded: %s", s.Reason)
	}
	view := graph.View()
	if o.output.structured() {
		return o.output.write(t.Out, planView{Commit: snapshot.Commit, Digest: rendered.Digest, Drill: changes, View: view})
	}
	from := snapshot.Ref
	if snapshot.Commit != "" {
		from = fmt.Sprintf("%s at commit %.12s", snapshot.Ref, snapshot.Commit)
	}
	if err := o.showDrill(t, changes); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(t.Out, "read from %s%s\n\n", from, addedBy(changes)); err != nil {
		return err
	}
	return text.Write(t.Out, view, text.Options{All: o.all})
}

// expandOptions of the flags and of the plan that was read.
func (o *planOptions) expandOptions() (expand.Options, error) {
	options, err := o.state.options()
	if err != nil {
		return options, err
	}
	options.AllowRemoteBases = o.remote
	for _, k := range o.kinds {
		o.state.known[schema.GroupKind{Group: k.Group, Kind: k.Kind}] = !k.ClusterScoped
	}
	if options.Remotes != nil {
		options.Remotes.Own = o.own
	}
	for _, m := range o.mirrors {
		options.Helm.Mirrors = append(options.Helm.Mirrors, expand.ChartMirror{From: m.From, To: m.To})
	}
	return options, err
}

// seeded knows the namespaces that seeds make.
func (o *planOptions) seeded(options expand.Options) func(string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(options.Seeds, func(s expand.Seed) bool { return s.Namespace == name }) ||
			slices.ContainsFunc(o.seeds, func(s v1alpha1.Seed) bool { return s.Namespace == name })
	}
}

// planView is the plan for programs.
type planView struct {
	Commit string `json:"commit,omitempty"`
	Digest string `json:"digest"`
	// Drill is what the profile of a drill changes, with --drill.
	Drill []quarantine.Change `json:"drill,omitempty"`
	order.View
}

// badInput marks an error of the repository as the user's to mend.
func badInput(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{code: exitUsage, err: err}
}
