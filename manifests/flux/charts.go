package flux

import (
	"context"
	"io/fs"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// Charts renders Helm charts.
type Charts interface {
	Render(ctx context.Context, r ChartRequest) (*Chart, error)
}

// ChartRequest says which chart to render and how, without any word of Flux.
type ChartRequest struct {
	// Unit that objects get in their Origin.
	Unit   string
	Source ChartSource
	// Release and Namespace that it is installed as and into. Objects without a
	// namespace may be left without: they get it later.
	Release, Namespace string
	// Values over those of the chart and of ValuesFiles, which lie in the chart or,
	// for a chart in a repository, are named from the root of that repository.
	Values                   map[string]any
	ValuesFiles              []string
	IgnoreMissingValuesFiles bool
	// SkipCRDs leaves out the chart's crds directory.
	SkipCRDs bool
	// NoHooks leaves out objects that are hooks.
	NoHooks bool
	// NoSchema does not check values against the chart's schema.
	NoSchema bool
	// Kinds that the state installs, as group/version/kind and group/version: what
	// templates find in .Capabilities.APIVersions besides Kubernetes' own.
	Kinds []string
	// Namespaced knows the scope of those kinds.
	Namespaced func(schema.GroupKind) (namespaced, known bool)
	// Redact lists texts from Secrets among the values: no message may hold one.
	Redact []string
	// PostRender changes the objects of templates, before they are put into a namespace;
	// nil for nothing.
	PostRender func(context.Context, []manifests.Object) ([]manifests.Object, error)
}

// ChartSource is where a chart is. Exactly one of Repository, OCI and Files is set.
type ChartSource struct {
	// From names the source in messages, for example "HelmRepository podinfo/podinfo".
	From string
	// Repository is a chart repository by HTTP or OCI.
	Repository *ChartRepository
	// OCI is a chart as an artifact of its own.
	OCI *OCIReference
	// Files is a tree with a chart at Path, and FilePrefix what stands before its file
	// names in messages and origins.
	Files            fs.FS
	Path, FilePrefix string
	// Declared finds the repository that the state declares for an address that a chart in
	// Files depends on; nil without error when it declares none.
	Declared func(address string) (*ChartRepository, error)
}

// ChartRepository is a repository of charts.
type ChartRepository struct {
	// URL begins with https://, http:// or oci://.
	URL string
	// Chart and Version; the version may be a range, "" is the latest.
	Chart, Version string
	// PassCredentials to other hosts that the index names.
	PassCredentials bool
	// Insecure allows plain HTTP for OCI.
	Insecure bool
	// Credentials are the data of the Secret that it names; nil for none. Certificates
	// likewise, those of certSecretRef.
	Credentials, Certificates map[string][]byte
}

// Chart is a rendered chart.
type Chart struct {
	// CRDs of the chart's crds directory. Helm puts no labels on them.
	CRDs []manifests.Object
	// Objects of the templates, hooks among them with Rules.Hook and Rules.Phase.
	Objects  []manifests.Object
	Warnings []string
	// AsksForKinds is set when the outcome may depend on the kinds that the state installs.
	AsksForKinds bool
}

type helmRepositorySpec struct {
	URL             string `json:"url"`
	Type            string `json:"type"`
	SecretRef       *local `json:"secretRef"`
	CertSecretRef   *local `json:"certSecretRef"`
	PassCredentials bool   `json:"passCredentials"`
	Insecure        bool   `json:"insecure"`
}

type chartSpec struct {
	Chart                    string    `json:"chart"`
	Version                  string    `json:"version"`
	SourceRef                reference `json:"sourceRef"`
	ValuesFiles              []string  `json:"valuesFiles"`
	IgnoreMissingValuesFiles bool      `json:"ignoreMissingValuesFiles"`
	Interval                 any       `json:"interval"`
	ReconcileStrategy        any       `json:"reconcileStrategy"`
	Verify                   *any      `json:"verify"`
}

// chart finds the chart of a HelmRelease.
func (e *Expander) chart(ctx context.Context, r *reader, spec helmReleaseSpec, request *ChartRequest) error {
	switch {
	case spec.ChartRef != nil:
		return e.chartRef(ctx, r, *spec.ChartRef, request)
	case spec.Chart != nil:
		return e.chartOf(ctx, r, "spec.chart.spec", r.def.GetNamespace(), spec.Chart.Spec, request)
	}
	return r.faultf("spec", "has neither chart nor chartRef")
}

func (e *Expander) chartRef(ctx context.Context, r *reader, ref reference, request *ChartRequest) error {
	const field = "spec.chartRef"
	id := r.id(sourceKind(ref.Kind), ref.Namespace, ref.Name)
	request.Source.From = UnitName(id)
	switch ref.Kind {
	case "OCIRepository":
		oci, err := e.ociReference(r, field, id)
		request.Source.OCI = &oci
		return err
	case "HelmChart":
		o, ok := r.state.Get(id)
		if !ok {
			return missing(r, field, id)
		}
		var spec chartSpec
		if _, err := decode(o, &spec); err != nil {
			return r.faultf(field, "names %s at %s, whose spec cannot be read: %w", id, o.Origin, err)
		}
		return e.chartOf(ctx, r, field, id.Namespace, spec, request)
	}
	t, err := e.source(ctx, r, field, ref)
	if err != nil {
		return err
	}
	request.Source.Files, request.Source.Path, request.Source.FilePrefix = t.files, ".", t.prefix
	return nil
}

func (e *Expander) chartOf(ctx context.Context, r *reader, field, namespace string, spec chartSpec, request *ChartRequest) error {
	if spec.Chart == "" {
		return r.faultf(field, "has no chart")
	}
	request.ValuesFiles, request.IgnoreMissingValuesFiles = spec.ValuesFiles, spec.IgnoreMissingValuesFiles
	ref := spec.SourceRef
	if ref.Namespace == "" {
		ref.Namespace = namespace
	}
	id := r.id(sourceKind(ref.Kind), ref.Namespace, ref.Name)
	request.Source.From = UnitName(id)
	if ref.Kind != "HelmRepository" {
		t, err := e.source(ctx, r, field+".sourceRef", ref)
		if err != nil {
			return err
		}
		request.Source.Files, request.Source.Path, request.Source.FilePrefix = t.files, clean(spec.Chart), t.prefix
		request.Source.Declared = func(address string) (*ChartRepository, error) { return r.declared(ref.Namespace, address) }
		return nil
	}
	if spec.Verify != nil { // of charts from elsewhere Flux checks none
		return r.unsupportedf(field+".verify", "asks for a signature of chart %s that only Flux itself checks", spec.Chart)
	}
	o, ok := r.state.Get(id)
	if !ok {
		return missing(r, field+".sourceRef", id)
	}
	repository, err := r.chartRepository(o)
	if err != nil {
		return err
	}
	repository.Chart, repository.Version = spec.Chart, spec.Version
	request.Source.Repository = repository
	return nil
}

// chartRepository reads a HelmRepository, with its Secrets.
func (r *reader) chartRepository(o manifests.Object) (*ChartRepository, error) {
	var spec helmRepositorySpec
	id := o.ID()
	if _, err := decode(o, &spec); err != nil {
		return nil, r.faultf("", "%s at %s has a spec that cannot be read: %w", id, o.Origin, err)
	}
	credentials, err := r.credentials(id, spec.SecretRef)
	if err != nil {
		return nil, err
	}
	certificates, err := r.credentials(id, spec.CertSecretRef)
	if err != nil {
		return nil, err
	}
	return &ChartRepository{
		URL: strings.TrimSpace(spec.URL), PassCredentials: spec.PassCredentials, Insecure: spec.Insecure,
		Credentials: credentials, Certificates: certificates,
	}, nil
}

// declared finds the HelmRepository of a namespace for an address, as Flux does for what a
// chart depends on.
func (r *reader) declared(namespace, address string) (*ChartRepository, error) {
	same := func(text string) string { return strings.TrimRight(strings.TrimSpace(text), "/") }
	for _, o := range r.state.List(sourceKind("HelmRepository")) {
		url, _, _ := unstructured.NestedString(o.Object, "spec", "url")
		if o.GetNamespace() == namespace && same(url) == same(address) {
			return r.chartRepository(o)
		}
	}
	return nil, nil
}
