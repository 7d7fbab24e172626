package argocd

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/refloat-dev/refloat/manifests"
)

// application holds the fields of an Application that say something about a build.
type application struct {
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec applicationSpec `json:"spec"`
}

type applicationSpec struct {
	Project           string         `json:"project"`
	Source            *source        `json:"source"`
	Sources           []source       `json:"sources"`
	SourceHydrator    *hydrator      `json:"sourceHydrator"`
	Destination       destination    `json:"destination"`
	SyncPolicy        syncPolicy     `json:"syncPolicy"`
	IgnoreDifferences []differenceOf `json:"ignoreDifferences"`
}

type destination struct {
	Server    string `json:"server"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// hydrator renders one branch into another; the rendered one is what is applied.
type hydrator struct {
	DrySource struct {
		RepoURL string `json:"repoURL"`
	} `json:"drySource"`
	SyncSource struct {
		RepoURL      string `json:"repoURL"`
		TargetBranch string `json:"targetBranch"`
		Path         string `json:"path"`
	} `json:"syncSource"`
}

type syncPolicy struct {
	Automated *struct {
		Enabled *bool `json:"enabled"`
	} `json:"automated"`
	SyncOptions              []string `json:"syncOptions"`
	ManagedNamespaceMetadata *struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"managedNamespaceMetadata"`
}

// automatic is true when Argo CD syncs the Application by itself.
func (p syncPolicy) automatic() bool {
	return p.Automated != nil && (p.Automated.Enabled == nil || *p.Automated.Enabled)
}

// source is one place that an Application is rendered from.
type source struct {
	RepoURL        string            `json:"repoURL"`
	Path           string            `json:"path,omitempty"`
	TargetRevision string            `json:"targetRevision,omitempty"`
	Chart          string            `json:"chart,omitempty"`
	Ref            string            `json:"ref,omitempty"`
	Helm           *helmOptions      `json:"helm,omitempty"`
	Kustomize      *kustomizeOptions `json:"kustomize,omitempty"`
	Directory      *directoryOptions `json:"directory,omitempty"`
	Plugin         *pluginOptions    `json:"plugin,omitempty"`
	// hydrated is set for the branch that a hydrator writes.
	hydrated bool
}

type pluginOptions struct {
	Name string `json:"name,omitempty"`
}

type directoryOptions struct {
	Recurse                bool            `json:"recurse,omitempty"`
	Include                string          `json:"include,omitempty"`
	Exclude                string          `json:"exclude,omitempty"`
	DisableExtensionFilter bool            `json:"disableExtensionFilter,omitempty"`
	Jsonnet                json.RawMessage `json:"jsonnet,omitempty"`
}

type helmOptions struct {
	ReleaseName             string          `json:"releaseName,omitempty"`
	Namespace               string          `json:"namespace,omitempty"`
	ValueFiles              []string        `json:"valueFiles,omitempty"`
	IgnoreMissingValueFiles bool            `json:"ignoreMissingValueFiles,omitempty"`
	Values                  string          `json:"values,omitempty"`
	ValuesObject            json.RawMessage `json:"valuesObject,omitempty"`
	Parameters              []helmParameter `json:"parameters,omitempty"`
	FileParameters          []struct {
		Name string `json:"name"`
		Path string `json:"path"`
	} `json:"fileParameters,omitempty"`
	PassCredentials      bool     `json:"passCredentials,omitempty"`
	SkipCrds             bool     `json:"skipCrds,omitempty"`
	SkipTests            bool     `json:"skipTests,omitempty"`
	SkipSchemaValidation bool     `json:"skipSchemaValidation,omitempty"`
	KubeVersion          string   `json:"kubeVersion,omitempty"`
	APIVersions          []string `json:"apiVersions,omitempty"`
}

type helmParameter struct {
	Name        string `json:"name"`
	Value       string `json:"value"`
	ForceString bool   `json:"forceString,omitempty"`
}

type kustomizeOptions struct {
	NamePrefix string   `json:"namePrefix,omitempty"`
	NameSuffix string   `json:"nameSuffix,omitempty"`
	Namespace  string   `json:"namespace,omitempty"`
	Images     []string `json:"images,omitempty"`
	Replicas   []struct {
		Name  string `json:"name"`
		Count any    `json:"count"`
	} `json:"replicas,omitempty"`
	CommonLabels              map[string]string `json:"commonLabels,omitempty"`
	ForceCommonLabels         bool              `json:"forceCommonLabels,omitempty"`
	LabelWithoutSelector      bool              `json:"labelWithoutSelector,omitempty"`
	LabelIncludeTemplates     bool              `json:"labelIncludeTemplates,omitempty"`
	CommonAnnotations         map[string]string `json:"commonAnnotations,omitempty"`
	ForceCommonAnnotations    bool              `json:"forceCommonAnnotations,omitempty"`
	CommonAnnotationsEnvsubst bool              `json:"commonAnnotationsEnvsubst,omitempty"`
	Patches                   []any             `json:"patches,omitempty"`
	Components                []string          `json:"components,omitempty"`
	IgnoreMissingComponents   bool              `json:"ignoreMissingComponents,omitempty"`
	Version                   string            `json:"version,omitempty"`
	KubeVersion               string            `json:"kubeVersion,omitempty"`
	APIVersions               []string          `json:"apiVersions,omitempty"`
}

// differenceOf is one entry of ignoreDifferences. Group and kind may be globs.
type differenceOf struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	differences
}

type differences struct {
	JSONPointers          []string `json:"jsonPointers"`
	JQPathExpressions     []string `json:"jqPathExpressions"`
	ManagedFieldsManagers []string `json:"managedFieldsManagers"`
}

// decode fills a struct from an object. Values are left out of the error: they may be
// of any kind, and the field is what has to be changed.
func decode(o manifests.Object, into any) error {
	text, err := json.Marshal(o.Object)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s", where(o), fieldOf(err))
}

// fieldOf says which field of a document has the wrong type.
func fieldOf(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) && t.Field != "" {
		return fmt.Sprintf("field %s must be of type %s", t.Field, t.Type)
	}
	return "cannot be read: a field has the wrong type"
}
