package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/substitute"
)

const kustomizeManager = "kustomize-controller"

func (e *Expander) kustomization(ctx context.Context, r *reader) (*Expansion, error) {
	var spec kustomizationSpec
	if err := r.spec(&spec); err != nil {
		return nil, err
	}
	switch {
	case spec.Suspend:
		return nil, &SkippedError{Meant: true, Err: r.faultf("spec.suspend", "is set: it stays suspended")}
	case spec.KubeConfig != nil:
		return nil, &SkippedError{Meant: true, Err: r.faultf("spec.kubeConfig", "names another cluster")}
	}
	from, err := e.source(ctx, r, "spec.sourceRef", spec.SourceRef)
	if err != nil {
		return nil, err
	}
	values, err := r.variables(spec.PostBuild)
	if err != nil {
		return nil, err
	}
	options := e.Render
	if options.Decrypt, err = e.decrypter(r, spec.Decryption); err != nil {
		return nil, err
	}
	changes, err := r.changes(spec)
	if err != nil {
		return nil, err
	}
	built, err := render.Kustomization(ctx, render.Target{Files: from.files, Where: from.where, Dir: spec.Path, Unit: r.unit}, changes, options)
	if err != nil {
		return nil, r.rendered(spec.Path, err)
	}
	always := spec.PostBuild != nil && spec.PostBuild.SubstituteStrategy == "Always"
	for i, o := range built.Objects {
		if err := substitute.Object(o.Unstructured, values, always); err != nil {
			return nil, r.faultf("spec.postBuild", "cannot be applied to %s at %s: it %w", o.ID(), o.Origin, err)
		}
		if from.prefix != "" {
			built.Objects[i].Origin.File = from.prefix + o.Origin.File
		}
	}
	x := &Expansion{Objects: built.Objects, Warnings: built.Warnings, Ownership: ownership(kustomizeGroup)}
	return x, r.finish(x, spec)
}

// rendered names the field that brought a rendering about, unless the error has a place of its own.
func (r *reader) rendered(path string, err error) error {
	var missing *render.MissingPathError
	if errors.As(err, &missing) {
		return r.faultf("spec.path", "is wrong: %w", err)
	}
	return r.faultf("", "rendering %q: %w", path, err)
}

// finish adds to objects what Flux adds, and says what the unit waits for.
func (r *reader) finish(x *Expansion, spec kustomizationSpec) error {
	if m := spec.CommonMetadata; m != nil {
		for _, o := range x.Objects {
			setMetadata(o, m.Labels, m.Annotations)
		}
	}
	owner := ownerLabels(kustomizeGroup, r.def.ID())
	for i := range x.Objects {
		setMetadata(x.Objects[i], owner, nil)
		x.Objects[i].Rules = annotated(x.Objects[i], &manifests.Rules{Manager: kustomizeManager, Timeout: longer(spec.Timeout)})
	}
	if err := r.healthExprs(x.Objects, spec.HealthCheckExprs); err != nil {
		return err
	}
	if err := r.ignored("spec.ignore", x.Objects, spec.Ignore); err != nil {
		return err
	}
	x.Unit.After = r.after(kustomizationKind.Kind, spec.DependsOn)
	if x.Unit.Ready.All = spec.Wait; spec.Wait {
		return nil // Flux leaves the list out then
	}
	for _, check := range spec.HealthChecks {
		group, _, ok := strings.Cut(check.APIVersion, "/")
		if !ok {
			group = ""
		}
		x.Unit.Ready.Objects = append(x.Unit.Ready.Objects,
			manifests.ID{Group: group, Kind: check.Kind, Namespace: check.Namespace, Name: check.Name})
	}
	return nil
}

// after are the units that a definition depends on, which are of its own kind.
func (r *reader) after(kind string, depends []dependency) []manifests.Dependency {
	var all []manifests.Dependency
	for _, d := range depends {
		if d.ReadyExpr != "" {
			r.warnf("spec.dependsOn: readyExpr for %s is not evaluated; the unit's own readiness counts instead", d.Name)
		}
		namespace := d.Namespace
		if namespace == "" {
			namespace = r.def.GetNamespace()
		}
		all = append(all, manifests.Dependency{
			Unit: UnitName(manifests.ID{Kind: kind, Namespace: namespace, Name: d.Name}), Reason: "spec.dependsOn",
		})
	}
	return all
}

// shortest is what a plan gives an object by itself. Flux tries again when its own
// time-out has passed, so that a shorter one is no end.
const shortest = 10 * time.Minute

func longer(d *metav1.Duration) time.Duration {
	if d == nil || d.Duration <= shortest {
		return 0
	}
	return d.Duration
}

// changes to the kustomization at spec.path.
func (r *reader) changes(spec kustomizationSpec) (render.Changes, error) {
	c := render.Changes{
		Namespace: spec.TargetNamespace, NamePrefix: spec.NamePrefix, NameSuffix: spec.NameSuffix, Images: spec.Images,
		Components: spec.Components, IgnoreMissingComponents: spec.IgnoreMissingComponents, BuildMetadata: spec.BuildMetadata,
	}
	for _, p := range spec.Patches {
		c.Patches = append(c.Patches, types.Patch{Patch: p.Patch, Target: p.Target})
	}
	for _, p := range spec.PatchesStrategicMerge {
		text, err := yaml.Marshal(p)
		if err != nil {
			return c, r.faultf("spec.patchesStrategicMerge", "cannot be read: %v", err)
		}
		c.Patches = append(c.Patches, types.Patch{Patch: string(text)})
	}
	for _, p := range spec.PatchesJSON6902 {
		text, err := json.Marshal(p.Patch)
		if err != nil {
			return c, r.faultf("spec.patchesJson6902", "cannot be read: %v", err)
		}
		c.Patches = append(c.Patches, types.Patch{Patch: string(text), Target: p.Target})
	}
	return c, nil
}

// variables of spec.postBuild: those of ConfigMaps and Secrets in their order, then its own.
func (r *reader) variables(p *postBuild) (substitute.Values, error) {
	if p == nil {
		return nil, nil
	}
	values := substitute.Values{}
	for i, from := range p.SubstituteFrom {
		field := fmt.Sprintf("spec.postBuild.substituteFrom[%d]", i)
		data, err := r.data(field, from.Kind, from.Name, from.Optional)
		if err != nil {
			return nil, err
		}
		for name, value := range data {
			if err := values.Set(name, string(value)); err != nil {
				return nil, r.faultf(field, "names %s %s: %w", from.Kind, from.Name, err)
			}
		}
	}
	for name, value := range p.Substitute {
		if err := values.Set(name, value); err != nil {
			return nil, r.faultf("spec.postBuild.substitute", "is wrong: %w", err)
		}
	}
	return values, nil
}

// ownerLabels say which definition an object belongs to.
func ownerLabels(group string, id manifests.ID) map[string]string {
	return map[string]string{group + "/name": id.Name, group + "/namespace": id.Namespace}
}

func ownership(group string) []string { return []string{group + "/name", group + "/namespace"} }

func setMetadata(o manifests.Object, labels, annotations map[string]string) {
	if len(labels) > 0 {
		merged := o.GetLabels()
		if merged == nil {
			merged = map[string]string{}
		}
		maps.Copy(merged, labels)
		o.SetLabels(merged)
	}
	if len(annotations) > 0 {
		merged := o.GetAnnotations()
		if merged == nil {
			merged = map[string]string{}
		}
		maps.Copy(merged, annotations)
		o.SetAnnotations(merged)
	}
}
