package flux

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/refloat-dev/refloat/manifests"
)

// The parts of Flux's API that are read. Fields of type any are known and change
// nothing on a fresh cluster; fields that are not here are named in a warning.

type reference struct {
	APIVersion any    `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
}

type local struct {
	Name string `json:"name"`
}

type dependency struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	ReadyExpr string `json:"readyExpr"`
}

type commonMetadata struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type patch struct {
	Patch  string          `json:"patch"`
	Target *types.Selector `json:"target"`
}

type jsonPatch struct {
	Patch  []any           `json:"patch"`
	Target *types.Selector `json:"target"`
}

type ignoreRule struct {
	Paths  []string        `json:"paths"`
	Target *types.Selector `json:"target"`
}

type healthExpr struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Current    string `json:"current"`
	InProgress string `json:"inProgress"`
	Failed     string `json:"failed"`
}

type objectReference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
}

type kustomizationSpec struct {
	CommonMetadata          *commonMetadata   `json:"commonMetadata"`
	DependsOn               []dependency      `json:"dependsOn"`
	Decryption              *decryption       `json:"decryption"`
	KubeConfig              *any              `json:"kubeConfig"`
	Path                    string            `json:"path"`
	PostBuild               *postBuild        `json:"postBuild"`
	HealthChecks            []objectReference `json:"healthChecks"`
	HealthCheckExprs        []healthExpr      `json:"healthCheckExprs"`
	NamePrefix              string            `json:"namePrefix"`
	NameSuffix              string            `json:"nameSuffix"`
	Patches                 []patch           `json:"patches"`
	PatchesStrategicMerge   []any             `json:"patchesStrategicMerge"`
	PatchesJSON6902         []jsonPatch       `json:"patchesJson6902"`
	Images                  []types.Image     `json:"images"`
	SourceRef               reference         `json:"sourceRef"`
	Suspend                 bool              `json:"suspend"`
	TargetNamespace         string            `json:"targetNamespace"`
	Timeout                 *metav1.Duration  `json:"timeout"`
	Wait                    bool              `json:"wait"`
	BuildMetadata           []string          `json:"buildMetadata"`
	Components              []string          `json:"components"`
	IgnoreMissingComponents bool              `json:"ignoreMissingComponents"`
	Ignore                  []ignoreRule      `json:"ignore"`

	Interval           any `json:"interval"`
	RetryInterval      any `json:"retryInterval"`
	Prune              any `json:"prune"`
	DeletionPolicy     any `json:"deletionPolicy"`
	ServiceAccountName any `json:"serviceAccountName"`
	Force              any `json:"force"`
	Validation         any `json:"validation"`
}

type decryption struct {
	Provider           string `json:"provider"`
	SecretRef          *local `json:"secretRef"`
	ServiceAccountName any    `json:"serviceAccountName"`
}

type postBuild struct {
	SubstituteStrategy string            `json:"substituteStrategy"`
	Substitute         map[string]string `json:"substitute"`
	SubstituteFrom     []struct {
		Kind     string `json:"kind"`
		Name     string `json:"name"`
		Optional bool   `json:"optional"`
	} `json:"substituteFrom"`
}

type gitSpec struct {
	URL               string   `json:"url"`
	SecretRef         *local   `json:"secretRef"`
	Ref               gitRef   `json:"ref"`
	Ignore            *string  `json:"ignore"`
	Include           []gitInc `json:"include"`
	SparseCheckout    []string `json:"sparseCheckout"`
	RecurseSubmodules bool     `json:"recurseSubmodules"`
	ProxySecretRef    *local   `json:"proxySecretRef"`
	Provider          string   `json:"provider"`
	Verify            *struct {
		Mode      string `json:"mode"`
		SecretRef local  `json:"secretRef"`
	} `json:"verify"`
	Suspend any `json:"suspend"`
}

type gitRef struct {
	Branch string `json:"branch"`
	Tag    string `json:"tag"`
	SemVer string `json:"semver"`
	Name   string `json:"name"`
	Commit string `json:"commit"`
}

type gitInc struct {
	Repository local  `json:"repository"`
	FromPath   string `json:"fromPath"`
	ToPath     string `json:"toPath"`
}

type ociSpec struct {
	URL           string `json:"url"`
	SecretRef     *local `json:"secretRef"`
	CertSecretRef *local `json:"certSecretRef"`
	Insecure      bool   `json:"insecure"`
	Ref           struct {
		Digest       string `json:"digest"`
		SemVer       string `json:"semver"`
		SemverFilter string `json:"semverFilter"`
		Tag          string `json:"tag"`
	} `json:"ref"`
	LayerSelector struct {
		MediaType string `json:"mediaType"`
		Operation string `json:"operation"`
	} `json:"layerSelector"`
	Ignore   *string `json:"ignore"`
	Verify   *any    `json:"verify"`
	Provider string  `json:"provider"`
}

type generatorSpec struct {
	Sources []struct {
		Alias     string `json:"alias"`
		Kind      string `json:"kind"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"sources"`
	Artifacts []artifact `json:"artifacts"`
}

type artifact struct {
	Name string    `json:"name"`
	Copy []copying `json:"copy"`
}

type copying struct {
	From     string   `json:"from"`
	To       string   `json:"to"`
	Exclude  []string `json:"exclude"`
	Optional bool     `json:"optional"`
	Strategy string   `json:"strategy"`
}

// spec reads the spec of a definition and warns of fields that are not known.
func (r *reader) spec(into any) error {
	unknown, err := decode(r.def, into)
	if err != nil {
		return r.faultf("spec", "cannot be read: %v", err)
	}
	for _, field := range unknown {
		r.warnf("spec.%s is not supported and has no effect here", field)
	}
	return nil
}

// decode reads the spec of an object, and returns the fields that were not expected.
func decode(o manifests.Object, into any) ([]string, error) {
	text, err := json.Marshal(o.Object["spec"])
	if err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON: %w", err)
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, e := range strict {
		if name, ok := strings.CutPrefix(e.Error(), "unknown field "); ok {
			unknown = append(unknown, strings.Trim(name, `"`))
		}
	}
	return unknown, nil
}
