// Package expand turns state paths into everything that they say should be on a
// cluster: what they hold, and what the definitions in it declare, until nothing new
// appears. It is the only place that knows tools; what comes out is objects, units
// and rules, which are the same words for every tool.
//
// The expansion is bounded in depth, units and objects, and a function of the commit,
// the seeds and what the interfaces of Options return.
package expand

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/sops"
	"github.com/refloat-dev/refloat/manifests/source"
)

// Options of an expansion.
type Options struct {
	// Options of the rendering of the state paths, and of each unit.
	render.Options
	// Repository says under which URLs the snapshot is known to those that refer to it.
	Repository flux.Repository
	// Seeds are on the cluster before anything else.
	Seeds []Seed
	// Helm says how charts are fetched and rendered.
	Helm ChartOptions
	// Remotes says how other repositories and artifacts are fetched; nil fetches none, and
	// what needs one is then skipped, or an error.
	Remotes *RemoteOptions
	// These take the place of what the options above say, and of the decryption by SOPS.
	Charts     flux.Charts
	Git        flux.Git
	OCI        flux.OCI
	Decryption flux.Decryption
	// ArgoCD says of it what the state does not.
	ArgoCD ArgoOptions
	// KnownKind answers for kinds that the target has without the state defining them.
	// Optional.
	KnownKind func(schema.GroupKind) bool
	// Partial leaves out what cannot be expanded here instead of refusing the whole: for
	// those who look at a state and apply nothing.
	Partial bool
	// Everything keeps definitions that nothing installs and what is encrypted: for those
	// who look at what is written, not at what is applied.
	Everything bool
	Bounds     Bounds
}

// ArgoOptions are about the Argo CD that Applications are written for.
type ArgoOptions struct {
	// Clusters are how it calls the cluster that is rebuilt; none means the one that it
	// runs on.
	Clusters []argocd.ClusterName
	// Namespace that it runs in; "" means that of its settings, projects and definitions in
	// the state.
	Namespace string
}

// Seed is a Secret or ConfigMap that will be on the cluster beforehand.
type Seed struct {
	// Kind is Secret or ConfigMap.
	Kind, Namespace, Name string
	// Labels and Annotations by which tools know what it is for.
	Labels, Annotations map[string]string
	Data                map[string][]byte
}

// Bounds of an expansion. Zero values mean the defaults.
type Bounds struct {
	// Depth of definitions that other definitions render: 10.
	Depth int
	// Units in all: 2,000.
	Units int
	// Objects in all: 100,000.
	Objects int
	// Repositories besides the one that is rendered, each revision for itself: 32.
	Repositories int
	// Artifacts with manifests: 64.
	Artifacts int
}

func (b Bounds) withDefaults() Bounds {
	for _, d := range []struct {
		value    *int
		fallback int
	}{{&b.Depth, 10}, {&b.Units, 2_000}, {&b.Objects, 100_000}, {&b.Repositories, 32}, {&b.Artifacts, 64}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return b
}

// Result is everything that should be on a cluster.
type Result struct {
	// Objects sorted by ID and API version, each ID once.
	Objects []manifests.Object
	// Units: the state paths, then what definitions declare, each after those that it
	// waits for.
	Units []manifests.Unit
	// Digest is that of the objects alone where there is nothing but objects; else it
	// covers units and rules too.
	Digest string
	// Warnings for people.
	Warnings []string
	// Skipped definitions, sorted.
	Skipped []Skipped
	// Frozen releases come out differently another time; with them in ChartOptions the
	// same commit expands to the same again. They hold secrets.
	Frozen []FrozenRelease
	// Charts that were fetched, sorted: what they were asked for and what came. Sources are
	// other repositories and artifacts, likewise.
	Charts  []ChartPin
	Sources []SourcePin
}

// Skipped is a definition that was not expanded.
type Skipped struct {
	Definition manifests.ID
	Origin     manifests.Origin
	// Reason in a sentence that names file, line and field.
	Reason string
	// Meant is set when the definition itself says that nothing is to be done here.
	Meant bool
}

// Expand renders paths of a snapshot and all that is declared there. Paths are those
// of render.Render.
func Expand(ctx context.Context, snap *source.Snapshot, paths []string, o Options) (*Result, error) {
	o.Bounds = o.Bounds.withDefaults()
	first := o.Options
	if first.Decrypt == nil {
		first.Decrypt = withKeysOf(o.Seeds)
	}
	if o.Decryption == nil {
		o.Decryption = withSOPS{}
	}
	charts := NewCharts(o.Helm)
	if o.Charts == nil {
		o.Charts = charts
	}
	var elsewhere *remotes
	if o.Remotes != nil && !o.Helm.Offline {
		elsewhere = newRemotes(*o.Remotes, o)
		if o.Git == nil {
			o.Git = elsewhere
		}
		if o.OCI == nil {
			o.OCI = elsewhere
		}
	}
	first.GeneratedNames = true // hooks get a name afterwards, other objects are refused
	rendered, err := renderPaths(ctx, snap, paths, first, charts)
	if err != nil {
		return nil, err
	}
	d := newDriver(snap, o, charts)
	if err := d.start(rendered, paths); err != nil {
		return nil, err
	}
	if err := d.expandAll(ctx); err != nil {
		return nil, err
	}
	if elsewhere != nil {
		d.warn(elsewhere.Warnings()...)
	}
	result, err := d.result(rendered, charts.Taken())
	if err != nil {
		return nil, err
	}
	result.Frozen = charts.Frozen()
	if elsewhere != nil {
		result.Sources = elsewhere.Taken()
	}
	return result, nil
}

// withSOPS is the decryption of Flux.
type withSOPS struct{}

// Decrypter implements flux.Decryption.
func (withSOPS) Decrypter(_ string, keys map[string][]byte) (render.Decrypter, error) {
	return sops.ReadKeys(keys)
}

// opened is an error when an object is still encrypted.
func opened(objects []manifests.Object) error {
	var faults []error
	for _, o := range objects {
		if sops, ok := o.Object["sops"].(map[string]any); ok && sops["mac"] != nil && (o.Rules == nil || o.Rules.Write != manifests.WriteNever) {
			faults = append(faults, &render.InputError{File: o.Origin.File, Line: o.Origin.Line, Message: render.ErrEncrypted.Error(), Err: render.ErrEncrypted})
		}
	}
	return joined(faults)
}

// pathUnits are the units of the state paths, named as render names them.
func pathUnits(paths []string) []manifests.Unit {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var units []manifests.Unit
	seen := map[string]bool{}
	for _, p := range paths {
		name := cleaned(p)
		if !seen[name] {
			seen[name] = true
			units = append(units, manifests.Unit{Name: name})
		}
	}
	return units
}

// seedObject makes an object of a seed, so that it is found like any other.
func seedObject(s Seed) (manifests.Object, error) {
	if s.Kind != "Secret" && s.Kind != "ConfigMap" {
		return manifests.Object{}, fmt.Errorf("seed %s %s/%s is neither a Secret nor a ConfigMap", s.Kind, s.Namespace, s.Name)
	}
	return manifests.Object{Unstructured: dataObject(s), Origin: manifests.Origin{File: "seeds"}}, nil
}
