package expand

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
)

// argoRenderer renders for Applications, one at a time.
type argoRenderer struct {
	tool    *argoTool
	options Options
	inner   render.Options

	credentials []credential
	trust       trust
	charts      *Charts
	// unit that is being rendered, and what there is to say about it.
	unit     string
	warnings []string
}

func newArgoRenderer(t *argoTool, o Options, inner render.Options, charts *Charts) *argoRenderer {
	inner.GeneratedNames = true
	return &argoRenderer{tool: t, options: o, inner: inner, charts: charts}
}

func (r *argoRenderer) begin(unit string) { r.unit, r.warnings = unit, nil }

func (r *argoRenderer) warn(message string) { r.warnings = append(r.warnings, message) }

// Tree implements argocd.Renderer.
func (r *argoRenderer) Tree(ctx context.Context, q argocd.TreeRequest) (argocd.Tree, error) {
	if r.own(q.RepoURL) {
		if r.sameRevision(q.Revision) {
			return r.here(), nil
		}
		return r.otherRevision(ctx, q)
	}
	shown := flux.Redacted(q.RepoURL)
	switch {
	case strings.HasPrefix(q.RepoURL, "oci://"):
		return argocd.Tree{}, fmt.Errorf("%w: manifests in an OCI registry (%s) are read only by Argo CD itself", argocd.ErrUnavailable, shown)
	case r.options.Git == nil:
		return argocd.Tree{}, fmt.Errorf("%w: %s is another repository than the one that is rendered, and nothing is fetched here", argocd.ErrUnavailable, shown)
	}
	return r.fetch(ctx, q.RepoURL, q.Revision)
}

// here is the repository as it is rendered.
func (r *argoRenderer) here() argocd.Tree {
	s := r.tool.snapshot
	return argocd.Tree{FS: s.FS, URL: s.URL, Commit: s.Commit}
}

// fetch another repository. What the revision means is found out there.
func (r *argoRenderer) fetch(ctx context.Context, repoURL, revision string) (argocd.Tree, error) {
	snap, err := r.options.Git.Fetch(ctx, flux.GitRequest{URL: repoURL, Revision: revision, Credentials: r.trust.gitCredentials(repoURL, r.credentialFor(repoURL))})
	if skipped := (*skippedError)(nil); errors.As(err, &skipped) {
		return argocd.Tree{}, fmt.Errorf("%w: %s %w", argocd.ErrUnavailable, flux.Redacted(repoURL), skipped.Err)
	}
	if err != nil {
		return argocd.Tree{}, fmt.Errorf("%s at %q cannot be fetched: %w", flux.Redacted(repoURL), shortened(revision), err)
	}
	return argocd.Tree{FS: snap.FS, URL: flux.Redacted(repoURL), Commit: snap.Commit}, nil
}

// target is a tree for the renderer.
func (r *argoRenderer) target(t argocd.Tree, dir string) render.Target {
	where := "this repository"
	if r.prefix(t) != "" {
		where = t.URL
	}
	return render.Target{Files: t.FS, Where: where, Dir: dir, Unit: r.unit}
}

// prefix of file names that are not of this repository.
func (r *argoRenderer) prefix(t argocd.Tree) string {
	if here := r.tool.snapshot; t.URL == here.URL && t.Commit == here.Commit {
		return ""
	}
	return fmt.Sprintf("%s@%.12s:", t.URL, t.Commit)
}

func (r *argoRenderer) rendered(t argocd.Tree, result *render.Result) argocd.Rendered {
	prefix := r.prefix(t)
	for i := range result.Objects {
		result.Objects[i].Origin.File = prefix + result.Objects[i].Origin.File
	}
	return argocd.Rendered{Objects: result.Objects, Warnings: result.Warnings}
}

// Files implements argocd.Renderer.
func (r *argoRenderer) Files(ctx context.Context, q argocd.FilesRequest) (argocd.Rendered, error) {
	result, err := render.Files(ctx, r.target(q.Tree, "."), q.Files, r.inner)
	if err != nil {
		return argocd.Rendered{}, err
	}
	return r.rendered(q.Tree, result), nil
}

// Kustomize implements argocd.Renderer.
func (r *argoRenderer) Kustomize(ctx context.Context, q argocd.KustomizeRequest) (argocd.Rendered, error) {
	target, inner := r.target(q.Tree, q.Path), r.inner
	target.Files = render.Overlay(q.Tree.FS, q.Overlay)
	if q.EnableHelm {
		inner.Inflate = func(ctx context.Context, c render.HelmChart) ([]manifests.Object, []string, error) {
			return r.inflate(ctx, q, c)
		}
	}
	result, err := render.Kustomization(ctx, target, render.Changes{}, inner)
	if skipped := (*skippedError)(nil); errors.As(err, &skipped) {
		return argocd.Rendered{}, fmt.Errorf("%w: %w", argocd.ErrUnavailable, err)
	}
	switch {
	case errors.Is(err, render.ErrProgram) && !q.EnableHelm:
		return argocd.Rendered{}, fmt.Errorf("%w: %w (charts are rendered where kustomize.buildOptions of argocd-cm has --enable-helm)", argocd.ErrUnavailable, err)
	case errors.Is(err, render.ErrProgram):
		return argocd.Rendered{}, fmt.Errorf("%w: %w", argocd.ErrUnavailable, err)
	case err != nil:
		return argocd.Rendered{}, err
	}
	return r.rendered(q.Tree, result), nil
}

// kinds that other units install, as charts see them.
func (t *argoTool) kinds(unit string) []string {
	var others []manifests.Object
	for _, o := range t.state.List(crdKind) {
		if o.Origin.Unit != unit {
			others = append(others, o)
		}
	}
	return chart.APIVersionsOf(others)
}
