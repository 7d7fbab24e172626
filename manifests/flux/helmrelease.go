package flux

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/render"
)

const (
	helmManager = "helm-controller"
	// releaseNameLength is the longest name of a release.
	releaseNameLength = 53
)

type helmReleaseSpec struct {
	Chart *struct {
		Metadata any       `json:"metadata"`
		Spec     chartSpec `json:"spec"`
	} `json:"chart"`
	ChartRef         *reference        `json:"chartRef"`
	KubeConfig       *any              `json:"kubeConfig"`
	Suspend          bool              `json:"suspend"`
	ReleaseName      string            `json:"releaseName"`
	TargetNamespace  string            `json:"targetNamespace"`
	DependsOn        []dependency      `json:"dependsOn"`
	Timeout          *metav1.Duration  `json:"timeout"`
	Values           map[string]any    `json:"values"`
	ValuesFrom       []valuesReference `json:"valuesFrom"`
	Install          installSpec       `json:"install"`
	CommonMetadata   *commonMetadata   `json:"commonMetadata"`
	HealthCheckExprs []healthExpr      `json:"healthCheckExprs"`
	PostRenderers    []struct {
		Kustomize *struct {
			Patches               []patch       `json:"patches"`
			PatchesStrategicMerge []any         `json:"patchesStrategicMerge"`
			PatchesJSON6902       []jsonPatch   `json:"patchesJson6902"`
			Images                []types.Image `json:"images"`
		} `json:"kustomize"`
	} `json:"postRenderers"`
	DriftDetection struct {
		Mode   any          `json:"mode"`
		Ignore []ignoreRule `json:"ignore"`
	} `json:"driftDetection"`

	Interval           any `json:"interval"`
	StorageNamespace   any `json:"storageNamespace"`
	MaxHistory         any `json:"maxHistory"`
	ServiceAccountName any `json:"serviceAccountName"`
	PersistentClient   any `json:"persistentClient"`
	Upgrade            any `json:"upgrade"`
	Test               any `json:"test"`
	Rollback           any `json:"rollback"`
	Uninstall          any `json:"uninstall"`
	PostRenderStrategy any `json:"postRenderStrategy"`
	WaitStrategy       any `json:"waitStrategy"`
}

type installSpec struct {
	Timeout                 *metav1.Duration `json:"timeout"`
	CRDs                    string           `json:"crds"`
	SkipCRDs                bool             `json:"skipCRDs"`
	CreateNamespace         bool             `json:"createNamespace"`
	DisableWait             bool             `json:"disableWait"`
	DisableHooks            bool             `json:"disableHooks"`
	DisableSchemaValidation bool             `json:"disableSchemaValidation"`

	Strategy                 any `json:"strategy"`
	Remediation              any `json:"remediation"`
	DisableTakeOwnership     any `json:"disableTakeOwnership"`
	DisableWaitForJobs       any `json:"disableWaitForJobs"`
	DisableOpenAPIValidation any `json:"disableOpenAPIValidation"`
	Replace                  any `json:"replace"`
	ServerSideApply          any `json:"serverSideApply"`
}

func (e *Expander) helmRelease(ctx context.Context, r *reader) (*Expansion, error) {
	var spec helmReleaseSpec
	if err := r.spec(&spec); err != nil {
		return nil, err
	}
	switch {
	case spec.Suspend:
		return nil, &SkippedError{Meant: true, Err: r.faultf("spec.suspend", "is set: it stays suspended")}
	case spec.KubeConfig != nil:
		return nil, &SkippedError{Meant: true, Err: r.faultf("spec.kubeConfig", "names another cluster")}
	case e.Charts == nil:
		return nil, r.unsupportedf("", "Helm charts are not rendered here")
	}
	request := ChartRequest{
		Unit: r.unit, Release: releaseName(r.def, spec), Namespace: spec.TargetNamespace,
		SkipCRDs: spec.Install.SkipCRDs || spec.Install.CRDs == "Skip", NoHooks: spec.Install.DisableHooks,
		NoSchema: spec.Install.DisableSchemaValidation, Kinds: installed(r.state), Namespaced: scopes(r.state),
	}
	if request.Namespace == "" {
		request.Namespace = r.def.GetNamespace()
	}
	if err := e.chart(ctx, r, spec, &request); err != nil {
		return nil, err
	}
	var err error
	if request.Values, err = r.values(spec); err != nil {
		return nil, err
	}
	request.Redact = r.redact
	if len(spec.PostRenderers) > 0 {
		request.PostRender = func(ctx context.Context, objects []manifests.Object) ([]manifests.Object, error) {
			return e.postRendered(ctx, r, spec, objects)
		}
	}
	chart, err := e.Charts.Render(ctx, request)
	var skipped *SkippedError
	switch {
	case errors.As(err, &skipped):
		return nil, &SkippedError{Meant: skipped.Meant, Err: r.faultf("spec.chart", "(%s) %w", request.Source.From, skipped.Err)}
	case err != nil:
		return nil, r.faultf("spec.chart", "(%s) cannot be rendered: %w", request.Source.From, err)
	}
	return r.release(spec, request, chart, chart.Objects)
}

// releaseName as helm-controller makes it.
func releaseName(def manifests.Object, spec helmReleaseSpec) string {
	name := spec.ReleaseName
	if name == "" {
		if name = def.GetName(); spec.TargetNamespace != "" {
			name = spec.TargetNamespace + "-" + name
		}
	}
	if len(name) <= releaseNameLength {
		return name
	}
	const digits = 12
	sum := sha256.Sum256([]byte(name))
	return name[:releaseNameLength-1-digits] + "-" + hex.EncodeToString(sum[:])[:digits]
}

// installed lists the kinds that the state defines, as templates ask for them.
func installed(s State) []string {
	var all []string
	for _, crd := range s.List(schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
		group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
		for _, v := range versions {
			version, _ := v.(map[string]any)
			name, _ := version["name"].(string)
			if served, _ := version["served"].(bool); served && name != "" {
				all = append(all, group+"/"+name, group+"/"+name+"/"+kind)
			}
		}
	}
	return all
}

// scopes knows which of the kinds that the state defines have a namespace.
func scopes(s State) func(schema.GroupKind) (namespaced, known bool) {
	all := map[schema.GroupKind]bool{}
	for _, crd := range s.List(schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
		group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(crd.Object, "spec", "scope")
		all[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
	}
	return func(gk schema.GroupKind) (namespaced, known bool) {
		namespaced, known = all[gk]
		return namespaced, known
	}
}

// postRendered applies spec.postRenderers in their order.
func (e *Expander) postRendered(ctx context.Context, r *reader, spec helmReleaseSpec, objects []manifests.Object) ([]manifests.Object, error) {
	for _, p := range spec.PostRenderers {
		if p.Kustomize == nil {
			continue
		}
		changes, err := r.changes(kustomizationSpec{
			Patches: p.Kustomize.Patches, PatchesStrategicMerge: p.Kustomize.PatchesStrategicMerge,
			PatchesJSON6902: p.Kustomize.PatchesJSON6902, Images: p.Kustomize.Images,
		})
		if err != nil {
			return nil, err
		}
		if objects, err = render.Patched(ctx, r.unit, objects, changes, e.Render); err != nil {
			return nil, r.faultf("spec.postRenderers", "cannot be applied: %w", err)
		}
	}
	return objects, nil
}

// release adds to objects what Helm and Flux add, and says what the unit waits for.
func (r *reader) release(spec helmReleaseSpec, request ChartRequest, chart *Chart, objects []manifests.Object) (*Expansion, error) {
	owner := ownerLabels(helmGroup, r.def.ID())
	for i := range objects {
		o := objects[i]
		if o.Rules == nil || o.Rules.Hook == nil {
			setMetadata(o, map[string]string{"app.kubernetes.io/managed-by": "Helm"}, map[string]string{
				"meta.helm.sh/release-name": request.Release, "meta.helm.sh/release-namespace": request.Namespace,
			})
		}
		if m := spec.CommonMetadata; m != nil {
			setMetadata(o, m.Labels, m.Annotations)
		}
		setMetadata(o, owner, nil)
	}
	timeout := longer(spec.Timeout)
	if spec.Install.Timeout != nil {
		timeout = longer(spec.Install.Timeout)
	}
	for _, o := range chart.CRDs {
		setMetadata(o, owner, nil)
	}
	all := append(chart.CRDs[:len(chart.CRDs):len(chart.CRDs)], objects...)
	for i := range all {
		rules := manifests.Rules{}
		if all[i].Rules != nil {
			rules = *all[i].Rules
		}
		rules.Manager = helmManager
		if rules.Timeout == 0 {
			rules.Timeout = timeout
		}
		all[i].Rules = &rules
	}
	if err := r.healthExprs(all, spec.HealthCheckExprs); err != nil {
		return nil, err
	}
	if err := r.drifting(spec, all); err != nil {
		return nil, err
	}
	x := &Expansion{Objects: all, Namespace: request.Namespace, Ownership: ownership(helmGroup), Warnings: chart.Warnings, AsksForKinds: chart.AsksForKinds}
	x.Unit.After = r.after(helmReleaseKind.Kind, spec.DependsOn)
	x.Unit.Ready.All = !spec.Install.DisableWait
	if spec.Install.CreateNamespace {
		x.Implied = []manifests.Object{r.namespace(request.Namespace)}
	}
	return x, nil
}

// drifting exempts what Flux leaves alone when it differs on the cluster: fields that the
// release lists, whether or not Flux compares now, and objects that say so.
func (r *reader) drifting(spec helmReleaseSpec, all []manifests.Object) error {
	switch spec.DriftDetection.Mode {
	case nil, "", "enabled", "warn", "disabled":
	default:
		r.warnf("spec.driftDetection.mode is %v: only enabled, warn and disabled are known", spec.DriftDetection.Mode)
	}
	const key = helmGroup + "/driftDetection"
	for i := range all {
		if metadataSays(all[i].Object, key, "disabled") {
			all[i].Rules.Ignore = append(all[i].Rules.Ignore, manifests.IgnoredFields{From: key + ": disabled of the object", Pointers: []string{""}})
		}
	}
	return r.ignored("spec.driftDetection.ignore", all, spec.DriftDetection.Ignore)
}

// namespace as Helm creates it.
func (r *reader) namespace(name string) manifests.Object {
	return manifests.Object{
		Unstructured: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace",
			"metadata": map[string]any{"name": name, "labels": map[string]any{"name": name}},
		}},
		Origin: manifests.Origin{Unit: r.unit, File: r.def.Origin.File, Line: r.def.Origin.Line},
		Rules:  &manifests.Rules{Manager: helmManager},
	}
}
