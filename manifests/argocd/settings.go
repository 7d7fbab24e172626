package argocd

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// How Argo CD marks what belongs to an Application.
const (
	trackAnnotation = "annotation"
	trackLabel      = "label"
	trackBoth       = "annotation+label"
)

// SettingsName of the ConfigMap that holds most settings.
const SettingsName = "argocd-cm"

// parametersName of the ConfigMap that holds the options of Argo CD's processes.
const parametersName = "argocd-cmd-params-cm"

// Settings of one Argo CD, as far as they change what it makes of a repository. The
// zero value is what it does without any.
type Settings struct {
	// Namespace of Argo CD; "" means argocd.
	Namespace string
	// TrackingMethod is how it marks objects; "" means by annotation.
	TrackingMethod string
	// InstanceLabelKey that it sets where it tracks by label.
	InstanceLabelKey string
	// InstallationID that it writes beside the tracking annotation.
	InstallationID string
	Kustomize      KustomizeSettings
	// Clusters that it knows from Secrets.
	Clusters []Cluster
	// ApplicationHealth is true when a health rule for Applications is given: only then
	// do the sync waves of Applications wait for what the Applications declare.
	ApplicationHealth bool
	// pathGlobs: patterns of git files match segment by segment.
	pathGlobs  bool
	health     []healthRule
	ignore     []ignoreRule
	exclusions []resourceFilter
	inclusions []resourceFilter
	projects   []*project
}

// KustomizeSettings are the build options that matter.
type KustomizeSettings struct {
	EnableHelm   bool
	LoadAnywhere bool
}

// Cluster that Argo CD knows. Of its Secret only what generators may use is kept.
type Cluster struct {
	Name, Server, Project string
	Labels, Annotations   map[string]string
}

func (s *Settings) controllerNamespace() string { return cmp.Or(s.Namespace, "argocd") }

func (s *Settings) instanceLabel() string {
	return cmp.Or(s.InstanceLabelKey, "app.kubernetes.io/instance")
}

func (s *Settings) project(name string) *project {
	for _, p := range s.projects {
		if p.Metadata.Name == name {
			return p
		}
	}
	return nil
}

// Health is the repository's own rule for a kind; nil when it has none. A rule for the
// kind itself wins over one for many kinds.
func (s *Settings) Health(gk schema.GroupKind) *manifests.HealthCheck {
	for _, r := range s.health {
		if r.matches(gk) {
			return &manifests.HealthCheck{From: r.from, Lua: r.lua}
		}
	}
	return nil
}

// Ignored are the fields of an object that Argo CD never compares.
func (s *Settings) Ignored(id manifests.ID) []manifests.IgnoredFields { return ignored(s.ignore, id) }

// ReadSettings finds the settings of Argo CD among objects: those of the rendering and
// the seeds. What cannot be read is a warning, as Argo CD too goes on without it.
func ReadSettings(objects []manifests.Object) (*Settings, []string) {
	r := &settingsReader{settings: &Settings{}}
	for _, o := range objects {
		if o.Unstructured != nil {
			r.object(o)
		}
	}
	slices.SortFunc(r.settings.Clusters, func(a, b Cluster) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Server, b.Server))
	})
	r.settings.Clusters = slices.CompactFunc(r.settings.Clusters, func(a, b Cluster) bool { return a.Name == b.Name && a.Server == b.Server })
	return r.settings, r.warnings
}

var (
	secretKind    = schema.GroupKind{Kind: "Secret"}
	configMapKind = schema.GroupKind{Kind: "ConfigMap"}
)

// settingsReader is the state of one call of ReadSettings.
type settingsReader struct {
	settings *Settings
	found    *manifests.Object
	warnings []string
}

// object reads one object that may hold settings.
func (r *settingsReader) object(o manifests.Object) {
	id := o.ID()
	switch gk := id.GroupKind(); {
	case gk.Group == Group && gk.Kind == KindAppProject:
		p := &project{}
		if err := decode(o, p); err != nil {
			r.warnings = append(r.warnings, err.Error())
			return
		}
		r.settings.projects = append(r.settings.projects, p)
	case gk == secretKind:
		if o.GetLabels()["argocd.argoproj.io/secret-type"] == "cluster" {
			r.cluster(o)
		}
	case gk != configMapKind:
	case id.Name == SettingsName:
		r.configMap(o)
	case id.Name == parametersName:
		r.settings.pathGlobs = data(o)["applicationsetcontroller.enable.new.git.file.globbing"] == "true"
	}
}

func (r *settingsReader) warn(o manifests.Object, format string, args ...any) {
	r.warnings = append(r.warnings, where(o)+": "+fmt.Sprintf(format, args...))
}

// data of a ConfigMap.
func data(o manifests.Object) map[string]string {
	out := map[string]string{}
	m, _ := o.Object["data"].(map[string]any)
	for key, value := range m {
		if text, ok := value.(string); ok {
			out[key] = text
		}
	}
	return out
}

func (r *settingsReader) configMap(o manifests.Object) {
	if r.found != nil {
		if r.found.ID() != o.ID() {
			r.warn(o, "a second %s: the settings of the one at %s are used", SettingsName, r.found.Origin)
		}
		return
	}
	r.found = &o
	s, values := r.settings, data(o)
	s.Namespace = o.GetNamespace()
	s.InstanceLabelKey = values["application.instanceLabelKey"]
	s.InstallationID = values["installationID"]
	switch method := values["application.resourceTrackingMethod"]; method {
	case "", trackAnnotation, trackLabel, trackBoth:
		s.TrackingMethod = method
	default:
		r.warn(o, "application.resourceTrackingMethod %q is not known: objects are tracked by annotation", cut(method))
	}
	r.buildOptions(o, values)
	s.exclusions = r.filters(o, "resource.exclusions", values)
	s.inclusions = r.filters(o, "resource.inclusions", values)
	r.customizations(o, values)
}

// buildOptions of kustomize. Options of a version are read too: Argo CD uses them for
// Applications that ask for that version.
func (r *settingsReader) buildOptions(o manifests.Object, values map[string]string) {
	words := strings.Fields(strings.ReplaceAll(values["kustomize.buildOptions"], "=", " "))
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "--enable-helm":
			r.settings.Kustomize.EnableHelm = true
		case "--load-restrictor", "--load_restrictor":
			if i++; i < len(words) {
				r.settings.Kustomize.LoadAnywhere = strings.HasSuffix(words[i], "None")
			}
		default:
			r.warn(o, "kustomize.buildOptions: %q is not supported and has no effect", cut(words[i]))
		}
	}
}

// resourceFilter keeps Argo CD from kinds.
type resourceFilter struct {
	APIGroups []string `json:"apiGroups"`
	Kinds     []string `json:"kinds"`
	Clusters  []string `json:"clusters"`
}

func (r *settingsReader) filters(o manifests.Object, key string, values map[string]string) []resourceFilter {
	var all []resourceFilter
	if err := yaml.Unmarshal([]byte(values[key]), &all); err != nil {
		r.warn(o, "%s is no list of apiGroups, kinds and clusters: it has no effect", key)
		return nil
	}
	return all
}

func (f resourceFilter) matches(id manifests.ID, d destination) bool {
	in := func(patterns []string, texts ...string) bool {
		if len(patterns) == 0 {
			return true
		}
		for _, p := range patterns {
			match, err := compileGlob(p, globOptions{braces: true})
			if err == nil && slices.ContainsFunc(texts, match) {
				return true
			}
		}
		return false
	}
	servers := []string{d.Server}
	if d.Name == inClusterName || d.Server == "" {
		servers = append(servers, InCluster)
	}
	return in(f.APIGroups, id.Group) && in(f.Kinds, id.Kind) && in(f.Clusters, servers...)
}

// excludes is true for kinds that Argo CD does not manage.
func (s *Settings) excludes(id manifests.ID, d destination) bool {
	matches := func(f resourceFilter) bool { return f.matches(id, d) }
	if len(s.inclusions) > 0 && !slices.ContainsFunc(s.inclusions, matches) {
		return true
	}
	return slices.ContainsFunc(s.exclusions, matches)
}

// cluster reads a cluster Secret: its name and address, never its credentials.
func (r *settingsReader) cluster(o manifests.Object) {
	c := Cluster{
		Name: secretText(o, "name"), Server: secretText(o, "server"), Project: secretText(o, "project"),
		Labels: o.GetLabels(), Annotations: o.GetAnnotations(),
	}
	if c.Name == "" && c.Server == "" {
		r.warn(o, "the cluster Secret gives neither a name nor a server that can be read: generators do not see it")
		return
	}
	r.settings.Clusters = append(r.settings.Clusters, c)
}

// secretText is one value of a Secret, written as text or in base64.
func secretText(o manifests.Object, key string) string {
	plain, _ := o.Object["stringData"].(map[string]any)
	if text, ok := plain[key].(string); ok {
		return text
	}
	encoded, _ := o.Object["data"].(map[string]any)
	text, _ := encoded[key].(string)
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return ""
	}
	return string(decoded)
}
