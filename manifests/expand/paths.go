package expand

import (
	"context"
	"path"
	"strings"

	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

// renderPaths renders state paths. A directory with a Chart.yaml is a release that has its
// name; anything else is read by render. Charts come last, so that they find the kinds
// that the others define. With charts, the result has no digest yet.
func renderPaths(ctx context.Context, snap *source.Snapshot, paths []string, o render.Options, charts *Charts) (*render.Result, error) {
	var releases, rest []string
	for _, p := range paths {
		if dir := cleaned(p); chart.IsChart(snap.FS, dir) {
			releases = append(releases, dir)
		} else {
			rest = append(rest, p)
		}
	}
	if len(paths) == 0 && chart.IsChart(snap.FS, ".") {
		releases = []string{"."}
	}
	all := &render.Result{}
	if len(rest) > 0 || len(releases) == 0 {
		var err error
		if all, err = render.Render(ctx, snap, rest, o); err != nil {
			return nil, err
		}
	}
	for _, dir := range releases {
		if err := release(ctx, snap, dir, namespaceOf(o, paths, dir), charts, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// namespaceOf a state path that is a chart.
func namespaceOf(o render.Options, paths []string, dir string) string {
	for _, p := range paths {
		if namespace := o.PathNamespaces[p]; namespace != "" && cleaned(p) == dir {
			return namespace
		}
	}
	return o.DefaultNamespace
}

// release adds a chart of the repository as it would be installed under the name of its
// directory.
func release(ctx context.Context, snap *source.Snapshot, dir, namespace string, charts *Charts, all *render.Result) error {
	if namespace == "" {
		namespace = "default"
	}
	request := flux.ChartRequest{
		Unit: dir, Release: path.Base(dir), Namespace: namespace, Source: flux.ChartSource{From: dir, Files: snap.FS, Path: dir},
		Kinds: chart.APIVersionsOf(all.Objects),
	}
	if dir == "." {
		found, err := charts.find(ctx, request.Source)
		if err != nil {
			return err
		}
		request.Release = found.Name
	}
	made, err := charts.Render(ctx, request)
	if err != nil {
		return &render.InputError{File: dir, Message: err.Error(), Err: err}
	}
	if len(made.CRDs)+len(made.Objects) == 0 {
		return &render.InputError{File: dir, Message: "holds a chart that renders no Kubernetes object; a cluster cannot be rebuilt from nothing, check its values"}
	}
	all.Objects = append(append(all.Objects, made.CRDs...), made.Objects...)
	all.Warnings = append(all.Warnings, made.Warnings...)
	all.Digest = ""
	return nil
}

// cleaned is a path as render names it.
func cleaned(p string) string { return path.Clean("./" + strings.TrimLeft(p, "/")) }
