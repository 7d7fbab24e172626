package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/adopt"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/controller"
)

type adoptOptions struct {
	dir, git, branch, path string
	force, secrets         bool
	patterns               []manifests.Pattern
}

func newAdoptCommand(t terminal, a *access) *cobra.Command {
	o := &adoptOptions{}
	cmd := &cobra.Command{
		Use:   "adopt PLAN (--dir DIR | --git REPO --branch BRANCH) [KIND[.GROUP]/[NAMESPACE/]NAME…]",
		Short: "Write objects that would be lost as YAML for the repository",
		Long: `Write the objects that 'refloat loss' lists as YAML: without status, identity, what the
API server filled in and what controllers wrote, as far as field ownership tells.

With --dir they become files in a directory; with --git a commit on a branch of a local
repository, in the directory of the plan's first state path unless --path names another.
No working tree is touched and nothing is pushed. A kustomization in that directory gets
the files as resources.

Secrets are named, not written, unless --include-secrets is given: encrypt them before
they are committed. Fields that were changed by hand on objects of the repository, and
the data of volumes, cannot be written down as files; they are named with what to do.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("name a plan ('refloat get plans' lists them)")
			}
			return o.check(args[1:])
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), t, a, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "directory to write to")
	flags.StringVar(&o.git, "git", "", "local repository to commit to")
	flags.StringVar(&o.branch, "branch", "", "branch of --git; it is made when it does not exist, and must not be checked out")
	flags.StringVar(&o.path, "path", "", "directory within --git (default the plan's first state path)")
	flags.BoolVar(&o.force, "force", false, "overwrite files that exist")
	flags.BoolVar(&o.secrets, "include-secrets", false, "write Secrets, too, in plain text")
	return cmd
}

func (o *adoptOptions) check(objects []string) error {
	switch {
	case (o.dir == "") == (o.git == ""):
		return usageError("say where to write: either --dir, or --git with --branch")
	case (o.git == "") != (o.branch == ""):
		return usageError("--git and --branch go together")
	case o.path != "" && o.git == "":
		return usageError("--path needs --git")
	}
	for _, text := range objects {
		p, err := adopt.Pattern(text)
		if err != nil {
			return usageError("%w", err)
		}
		o.patterns = append(o.patterns, p)
	}
	return nil
}

func (o *adoptOptions) run(ctx context.Context, t terminal, a *access, plan string) error {
	c, namespace, err := a.connect()
	if err != nil {
		return err
	}
	p, err := previewPlan(ctx, c, namespace, plan)
	if err != nil {
		return err
	}
	items := o.chosen(t, p)
	if len(items) == 0 {
		say(t.Err, "there is no object to write")
		return nil
	}
	files, err := liveFiles(ctx, p, items)
	if err != nil {
		return err
	}
	if o.git != "" {
		return o.commit(t, p, files)
	}
	if err := adopt.Write(o.dir, files, o.force); err != nil {
		return err
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		fmt.Fprintln(t.Out, path.Join(o.dir, f.Name))
	}
	o.sayResources(t, names)
	say(t.Err, "%d objects written; commit them to the repository, then look again: refloat loss %s", len(files), plan)
	return nil
}

// sayResources where a kustomization has to name the files.
func (o *adoptOptions) sayResources(t terminal, names []string) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return
	}
	var present []string
	for _, e := range entries {
		present = append(present, e.Name())
	}
	if k := adopt.Kustomization(present); k != "" {
		say(t.Err, "%s has to name them under resources: %s", k, strings.Join(names, ", "))
	}
}

// chosen items of the preview; of the others it is said what to do.
func (o *adoptOptions) chosen(t terminal, p *controller.PlanLoss) []loss.Item {
	var out []loss.Item
	for _, i := range p.Lost {
		named := slices.ContainsFunc(o.patterns, func(pattern manifests.Pattern) bool { return pattern.Matches(i.ID) })
		switch {
		case len(o.patterns) > 0 && !named, len(o.patterns) == 0 && !i.Counts():
		case i.What == loss.Fields && i.Origin != "":
			say(t.Err, "not written: change %s yourself: %s", i.Origin, recovery.LossLine(i))
		case i.What != loss.Object:
			say(t.Err, "not written: %s: %s", recovery.LossLine(i), i.Reason)
		case i.ID.Kind == "Secret" && i.ID.Group == "" && !o.secrets:
			say(t.Err, "not written: %s holds secrets; make it a seed of the plan, encrypt it into the repository, or write it with --include-secrets", i.ID)
		default:
			out = append(out, i)
		}
	}
	return out
}

// liveFiles reads the objects from the cluster, as they are now.
func liveFiles(ctx context.Context, p *controller.PlanLoss, items []loss.Item) ([]adopt.File, error) {
	c, err := cluster.New(p.Config)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	kinds := &cluster.Kinds{}
	var partial *cluster.PartialError
	if err := c.Discover(ctx, kinds); err != nil && !errors.As(err, &partial) {
		return nil, err
	}
	served := map[string]cluster.Resource{}
	for _, r := range kinds.Preferred() {
		served[r.GroupVersionKind().GroupKind().String()] = r
	}
	var out []adopt.File
	for _, i := range items {
		r, ok := served[i.ID.GroupKind().String()]
		if !ok {
			return nil, fmt.Errorf("read %s: the API server serves its kind no more", i.ID)
		}
		live, err := c.Get(ctx, r, i.ID.Namespace, i.ID.Name)
		if apierrors.IsNotFound(err) {
			continue // nothing is lost any more
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", i.ID, err)
		}
		f, err := adopt.NewFile(live, "adopted from Cluster "+p.Plan.Spec.Cluster.Name+": "+recovery.LossLine(i))
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (o *adoptOptions) commit(t terminal, p *controller.PlanLoss, files []adopt.File) error {
	where := o.path
	if where == "" {
		where = p.Plan.Spec.State[0].Path
	}
	var list strings.Builder
	for _, f := range files {
		list.WriteString("\n" + f.Name)
	}
	hash, err := adopt.Commit{
		Repository: o.git, Branch: o.branch, Base: p.Rendered.Commit, Path: where, At: time.Now(), Force: o.force,
		Message: fmt.Sprintf("Adopt %d objects of Cluster %s\n%s\n", len(files), p.Plan.Spec.Cluster.Name, list.String()),
	}.To(files)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.Out, hash)
	say(t.Err, "%d objects committed on branch %s in %s; nothing was pushed: look at it with git -C %s show %s", len(files), o.branch, where, o.git, o.branch)
	return nil
}
