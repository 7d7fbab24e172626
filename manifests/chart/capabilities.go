package chart

import (
	"fmt"
	"regexp"
	"slices"

	"helm.sh/helm/v4/pkg/chart/common"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/render"
)

// DefaultKubeVersion is taken when a request names none.
const DefaultKubeVersion = "v" + builtin.Release + ".0"

// capabilities are what templates see of the cluster: the stable built-in versions, what
// the caller adds, and what the chart's own definitions will add. Helm's own default
// lists versions that clusters no longer serve, so it is not used.
func (j *job) capabilities(crds []helmchart.CRD) (*common.Capabilities, error) {
	text := j.KubeVersion
	if text == "" {
		text = DefaultKubeVersion
	}
	version, err := common.ParseKubeVersion(text)
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("%q is not a version of Kubernetes", printable(text))}
	}
	caps := common.DefaultCapabilities.Copy()
	caps.KubeVersion = *version
	versions := append(builtinVersions(), j.APIVersions...)
	for _, crd := range crds {
		objects, _, err := render.Documents("", crd.Filename, crd.File.Data, render.DocumentOptions{LastKeyWins: true, Limits: j.limits.Documents})
		if err == nil { // else it is reported when the file is rendered
			versions = append(versions, APIVersionsOf(objects)...)
		}
	}
	slices.Sort(versions)
	caps.APIVersions = slices.Compact(versions)
	return caps, nil
}

// stable versions are served by every cluster; others have to be enabled.
var stable = regexp.MustCompile(`^v\d+$`)

// builtinVersions lists what a cluster serves by itself.
func builtinVersions() []string {
	var all []string
	for _, gk := range builtin.Kinds() {
		for _, version := range builtin.Lookup(gk).Versions {
			if stable.MatchString(version) {
				all = appendVersions(all, gk, version)
			}
		}
	}
	return all
}

func appendVersions(all []string, gk schema.GroupKind, version string) []string {
	gv := schema.GroupVersion{Group: gk.Group, Version: version}.String()
	return append(all, gv, gv+"/"+gk.Kind)
}

// APIVersionsOf lists what the CustomResourceDefinitions among objects add to a
// cluster's capabilities, so that a chart renders on a fresh cluster what it will
// render when the whole repository is there.
func APIVersionsOf(objects []manifests.Object) []string {
	var all []string
	for _, o := range objects {
		d, ok := definitionOf(o)
		if !ok {
			continue
		}
		versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
		for _, v := range versions {
			m, _ := v.(map[string]any)
			name, _ := m["name"].(string)
			if served, isBool := m["served"].(bool); name != "" && (served || !isBool) {
				all = appendVersions(all, d.kind, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// definition of a kind by a CustomResourceDefinition.
type definition struct {
	kind       schema.GroupKind
	namespaced bool
}

func definitionOf(o manifests.Object) (definition, bool) {
	if o.GroupVersionKind().GroupKind() != (schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
		return definition{}, false
	}
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
	scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
	return definition{schema.GroupKind{Group: group, Kind: kind}, scope != "Cluster"}, kind != ""
}
