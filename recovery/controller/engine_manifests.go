package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// EngineOptions of NewEngine.
type EngineOptions struct {
	// CacheDir keeps the packs of fetched commits, for each namespace apart; empty keeps none.
	CacheDir string
	// AllowRemoteBases lets kustomizations name files by URL.
	AllowRemoteBases bool
	// Version of Refloat, for certificates.
	Version string
	Clock   clock.WithTicker
	Log     logr.Logger
}

// NewEngine is the engine of production: the manifests packages.
func NewEngine(o EngineOptions) Engine {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return &engine{o}
}

type engine struct{ EngineOptions }

// Render implements Engine.
func (e *engine) Render(ctx context.Context, request RenderRequest) (*Rendered, error) {
	src := request.Source
	snapshot, err := source.Fetch(ctx, fetchOptions(request, e.CacheDir, e.Clock.Now))
	var unreachable *source.UnreachableError
	if errors.As(err, &unreachable) && strings.HasPrefix(src.URL, "file:") && len(src.Mirrors) == 0 {
		// A directory that is not there does not come back by itself.
		return nil, recovery.Faultf("RepositoryUnusable", "%v", err)
	}
	if err != nil {
		return nil, inputFault("RepositoryUnusable", err)
	}
	at := fmt.Sprintf("commit %.12s: ", snapshot.Commit)
	cluster, err := render.Render(ctx, snapshot, []string{request.ClusterPath}, render.Options{
		AllowRemoteBases: e.AllowRemoteBases, DefaultNamespace: request.Namespace,
		Variables: map[string]string{"CLUSTER_NAME": request.ClusterName, "NAMESPACE": request.Namespace},
	})
	if err != nil {
		return nil, inputFault("ClusterManifestsInvalid", fmt.Errorf("%s%w", at, err))
	}
	made := clusterSources(cluster.Objects)
	directories, digest, err := e.directories(ctx, snapshot, request, cluster.Digest)
	if err != nil {
		return nil, inputFault("SwitchInvalid", fmt.Errorf("%s%w", at, err))
	}
	state, err := expand.Expand(ctx, snapshot, request.StatePaths, e.expandOptions(request, capi.KubernetesVersion(made)))
	if err != nil {
		return nil, inputFault("StateInvalid", fmt.Errorf("%s%w", at, err))
	}
	drilled, err := drilled(state, request, made)
	if err != nil {
		return nil, err
	}
	state.Objects = manifests.Optional(state.Objects, request.Optional)
	graph, err := order.Build(state.Objects, orderOptions(request.SeedNamespaces, request.KnownKinds, state.Units, false))
	if err != nil {
		return nil, inputFault("StateInvalid", fmt.Errorf("%s%w", at, err))
	}
	r := &Rendered{
		Commit: snapshot.Commit, CommitTime: snapshot.CommitTime, Origin: originOf(snapshot), Digest: state.Digest, ClusterDigest: digest,
		Cluster: made, Directories: directories, State: state.Objects, Units: state.Units, Charts: state.Charts, Frozen: state.Frozen, Sources: state.Sources,
		Waves: len(graph.Waves), SeedNamespaces: request.SeedNamespaces, KnownKinds: request.KnownKinds,
		Warnings: append(append(snapshot.Warnings, state.Warnings...), graph.Warnings...), Drilled: drilled,
	}
	for _, s := range state.Skipped {
		r.Warnings = append(r.Warnings, "not expanded: "+s.Reason)
	}
	return r, nil
}

// directories that a switch applies, and the digest of the cluster's manifests with them.
func (e *engine) directories(ctx context.Context, snapshot *source.Snapshot, request RenderRequest, digest string) (map[string][]capi.Source, string, error) {
	if len(request.Directories) == 0 {
		return nil, digest, nil
	}
	out, sum := map[string][]capi.Source{}, sha256.New()
	fmt.Fprintln(sum, digest)
	for _, d := range request.Directories {
		r, err := render.Render(ctx, snapshot, []string{d.Path}, render.Options{
			AllowRemoteBases: e.AllowRemoteBases, DefaultNamespace: request.Namespace,
			Variables: map[string]string{"CLUSTER_NAME": d.Cluster, "NAMESPACE": request.Namespace},
		})
		if err != nil {
			return nil, "", fmt.Errorf("spec.failover.switch, %s: %w", d.Call, err)
		}
		out[d.Call] = clusterSources(r.Objects)
		fmt.Fprintln(sum, d.Call, r.Digest)
	}
	return out, hex.EncodeToString(sum.Sum(nil)), nil
}

func clusterSources(objects []manifests.Object) []capi.Source {
	var out []capi.Source
	for _, o := range objects {
		out = append(out, capi.Source{Object: o.Unstructured, From: o.Origin.String()})
	}
	return out
}

// expandOptions say what is known about the cluster before the state is applied.
func (e *engine) expandOptions(request RenderRequest, kubernetes string) expand.Options {
	helm := expand.ChartOptions{Mirrors: request.ChartMirrors, Pins: request.Charts, Frozen: request.Frozen, KubeVersion: kubernetes}
	if e.CacheDir != "" {
		// No namespace has a dot in its name, so this is none's cache of commits.
		helm.CacheDir = filepath.Join(e.CacheDir, "charts.cache", request.Namespace)
	}
	own := fetchOptions(request, e.CacheDir, e.Clock.Now)
	return expand.Options{
		Helm: helm,
		Remotes: &expand.RemoteOptions{
			CacheDir: own.CacheDir, Own: own, Pins: request.Sources, AllowStale: own.AllowStale, Now: own.Now,
		},
		Options:    render.Options{AllowRemoteBases: e.AllowRemoteBases, PathNamespaces: request.PathNamespaces},
		Repository: flux.Repository{URLs: knownAs(request.Source)},
		Seeds:      request.Seeds,
		ArgoCD:     request.ArgoCD,
		KnownKind: func(gk schema.GroupKind) bool {
			_, known := request.KnownKinds[gk]
			return known
		},
	}
}

// knownAs are the addresses of a repository and of its mirrors.
func knownAs(src v1alpha1.GitSource) []string {
	urls := []string{src.URL}
	for _, m := range src.Mirrors {
		urls = append(urls, m.URL)
	}
	return urls
}

func orderOptions(seedNamespaces []string, kinds KnownKinds, units []manifests.Unit, simulated bool) order.Options {
	seeded := map[string]bool{}
	for _, name := range seedNamespaces {
		seeded[name] = true
	}
	return order.Options{
		Simulated: simulated, Units: units, ExistingNamespace: func(name string) bool { return seeded[name] },
		KnownKind: func(gvk schema.GroupVersionKind) (namespaced, known bool) {
			namespaced, known = kinds[gvk.GroupKind()]
			return namespaced, known
		},
	}
}

// inputFault makes an error final, unless the same request may end well later: a
// repository that cannot be reached now, or a context that ended. What it was stays known.
func inputFault(reason string, err error) error {
	var unreachable *source.UnreachableError
	if errors.As(err, &unreachable) || chart.Temporary(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &inputError{Fault: recovery.Faultf(reason, "%v", err), cause: err}
}

// inputError is a fault whose cause can be told, for those who sort faults.
type inputError struct {
	*recovery.Fault
	cause error
}

// Unwrap gives the fault first.
func (e *inputError) Unwrap() []error { return []error{e.Fault, e.cause} }

// Apply implements Engine.
func (e *engine) Apply(ctx context.Context, rendered *Rendered, target Target, limits ApplyLimits, tell func(ApplyProgress)) ([]report.Object, error) {
	graph, err := order.Build(rendered.State, orderOptions(rendered.SeedNamespaces, rendered.KnownKinds, rendered.Units, target.Simulated))
	if err != nil {
		return nil, inputFault("StateInvalid", err)
	}
	result, err := apply.Run(ctx, graph, apply.Options{
		Config: target.Config, Concurrency: limits.Concurrency, Timeout: limits.Timeout, MaxFailures: limits.MaxFailures, RecoveryPoint: limits.RecoveryPoint,
		Inherited: limits.Inherited, Simulated: target.Simulated, Clock: e.Clock, Log: e.Log, Guard: target.Guard,
		Progress: func(p apply.Progress) { tell(progressOf(p)) },
	})
	objects := make([]report.Object, 0, len(result.Objects))
	for _, o := range result.Objects {
		objects = append(objects, objectOf(o))
	}
	var refused *apply.Error
	if errors.As(err, &refused) {
		err = recovery.Faultf("NotApplied", "%v", refused)
	}
	return objects, err
}

func progressOf(p apply.Progress) ApplyProgress {
	return ApplyProgress{
		Progress: v1alpha1.Progress{
			Total: int32(p.Total), Applied: int32(p.Applied), Healthy: int32(p.Healthy),
			NotProvable: int32(p.NotProvable), Wave: int32(p.Wave),
		},
		Waiting: p.Waiting, Since: p.Since, Until: p.Until,
	}
}

func objectOf(o apply.ObjectResult) report.Object {
	out := report.Object{
		ID: o.ID.String(), Origin: o.Origin.String(), Status: string(o.Status), Message: o.Message,
		StartedAt: known(o.StartedAt), AppliedAt: known(o.AppliedAt), ReadyAt: known(o.ReadyAt),
		Attempts: o.Attempts, Adopted: o.Adopted, Optional: o.Optional, Wave: o.Wave,
	}
	if out.StartedAt != nil && out.ReadyAt != nil {
		out.Seconds = out.ReadyAt.Sub(*out.StartedAt).Seconds()
	}
	return out
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
