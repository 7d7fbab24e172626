package chart

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	helmutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// Request of a rendering.
type Request struct {
	Chart *Chart
	// Unit is the name of the unit that the objects belong to.
	Unit string
	// ReleaseName and Namespace as the templates see them.
	ReleaseName, Namespace string
	// Into is the namespace of objects that name none, when it is another than the one
	// that templates see.
	Into string
	// Unplaced leaves objects that name no namespace without one.
	Unplaced bool
	// Values override the chart's own; Values.Merge makes them.
	Values map[string]any
	// Redact lists texts, values from Secrets, that must not appear in a message.
	Redact []string

	// IncludeCRDs renders the chart's crds directories.
	IncludeCRDs bool
	// Hooks says whose rules for hooks hold.
	Hooks HookRules
	// SkipSchemaValidation accepts values that the chart's schema does not.
	SkipSchemaValidation bool
	// ReleaseMetadata adds the label and annotations by which Helm recognises the objects
	// of a release as its own.
	ReleaseMetadata bool

	// KubeVersion of the cluster, for example v1.36.3.
	KubeVersion string
	// APIVersions that the cluster has besides the built-in ones, as group/version and
	// group/version/Kind: APIVersionsOf lists those that the repository itself installs.
	APIVersions []string
	// Namespaced knows kinds that are neither built in nor defined by the chart.
	Namespaced func(schema.GroupKind) (namespaced, known bool)

	// PostRender changes what the templates rendered, before namespaces and release
	// metadata are added.
	PostRender func(context.Context, []manifests.Object) ([]manifests.Object, error)
	// Twice renders a second time, later by the clock that templates see, and finds what
	// comes out differently. The objects are those of the first time.
	Twice bool
	// Now is the time that templates see; nil is the clock.
	Now func() time.Time
	// Limits; those that the chart was read with when all are 0.
	Limits Limits
}

// Result of a rendering.
type Result struct {
	// Objects in the order of templates; those of crds directories first.
	Objects []manifests.Object
	// Definitions is how many of the objects are from crds directories.
	Definitions int
	// LeftOut lists what the chart has and a rebuild does not need.
	LeftOut []LeftOut
	// NonDeterministic lists what differed in a second rendering.
	NonDeterministic []Finding
	// Warnings for people, in a fixed order.
	Warnings []string
}

// LeftOut is an object that was rendered and is not wanted.
type LeftOut struct {
	ID     manifests.ID     `json:"id"`
	Origin manifests.Origin `json:"origin"`
	Reason string           `json:"reason"`
}

// Render makes the objects of a release. Errors about content are *TemplateError,
// *ValuesError, *InvalidError, *render.InputError, or wrap ErrLimit.
func Render(ctx context.Context, req Request) (*Result, error) {
	var hidden secrets
	hidden.hide(req.Redact...)
	j := &job{Request: req, limits: req.Limits.withDefaults(), hidden: hidden}
	if req.Limits == (Limits{}) {
		j.limits = req.Chart.limits.withDefaults()
	}
	if j.Now == nil {
		j.Now = time.Now
	}
	if err := j.check(); err != nil {
		return nil, err
	}
	result, err := j.once(ctx)
	if err != nil {
		return nil, j.shown(err)
	}
	if req.Twice {
		again := *j
		again.Now = func() time.Time { return j.Now().Add(later) }
		second, err := again.once(ctx)
		if err != nil {
			return nil, j.shown(fmt.Errorf("%s renders once and not a second time: %w", req.Chart, err))
		}
		result.NonDeterministic = Differences(result.Objects, second.Objects)
	}
	return result, nil
}

// later is how far the clock is put forward for a second rendering: every part of a
// date changes.
const later = (365+31)*24*time.Hour + time.Hour + time.Minute + time.Second

// job is one request on its way.
type job struct {
	Request
	limits Limits
	hidden secrets
}

// longestName is Helm's limit for the name of a release.
const longestName = 53

func (j *job) check() error {
	if problems := content.IsDNS1123Subdomain(j.ReleaseName); len(problems) > 0 || len(j.ReleaseName) > longestName {
		return &InvalidError{Message: fmt.Sprintf("%s: %q cannot be the name of a release: at most %d lower-case letters, digits, - and .", j.Chart, printable(j.ReleaseName), longestName)}
	}
	if problems := content.IsDNS1123Label(j.Namespace); j.Namespace != "" && len(problems) > 0 {
		return &InvalidError{Message: fmt.Sprintf("%s: %q cannot be the name of a namespace", j.Chart, printable(j.Namespace))}
	}
	return nil
}

// shown is an error without secrets.
func (j *job) shown(err error) error {
	if len(j.hidden) == 0 {
		return err
	}
	text := j.hidden.clean(err.Error())
	var template *TemplateError
	var values *ValuesError
	switch {
	case text == err.Error():
		return err
	case errors.As(err, &template):
		return &TemplateError{Chart: template.Chart, File: template.File, Line: template.Line, Message: j.hidden.clean(template.Message), cause: template.cause}
	case errors.As(err, &values):
		faults := make([]string, len(values.Faults))
		for i, f := range values.Faults {
			faults[i] = j.hidden.clean(f)
		}
		return &ValuesError{Chart: values.Chart, Faults: faults}
	}
	return &InvalidError{Message: text}
}

// once renders one time.
func (j *job) once(ctx context.Context) (*Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, j.limits.RenderTime, errRenderTime)
	defer cancel()
	g := newGuard(ctx, j.limits)
	out := &output{}
	err := g.run(func() (err error) {
		*out, err = j.templates(g)
		return err
	})
	if cause := g.stopped(); cause != nil {
		return nil, j.stopped(cause, err)
	}
	if err != nil {
		return nil, err
	}
	return j.assemble(ctx, out)
}

// stopped says that the rendering was ended, why, and where it was when the engine says so.
func (j *job) stopped(cause, err error) error {
	message := "cannot be rendered: " + printable(cause.Error())
	if errors.Is(cause, errRenderTime) {
		cause = ErrLimit
		message = fmt.Sprintf("was not rendered within %v: a template may loop without end: %v", j.limits.RenderTime, ErrLimit)
	}
	var at *TemplateError
	if !errors.As(err, &at) {
		at = &TemplateError{}
	}
	return &TemplateError{Chart: j.Chart.String(), File: at.File, Line: at.Line, Message: message, cause: cause}
}

// output of the engine.
type output struct {
	// templates by their full path: chart/templates/x.yaml, chart/charts/sub/….
	templates map[string]string
	crds      []helmchart.CRD
	warnings  []string
}

// templates runs the engine. It is called in a goroutine of its own, which may outlive
// the call that started it: what it works on belongs to it.
func (j *job) templates(g *guard) (output, error) {
	none := output{}
	c, err := j.Chart.load()
	if err != nil {
		return none, err
	}
	if err := complete(j.Chart, c); err != nil {
		return none, err
	}
	switch c.Metadata.Type {
	case "", "application":
	case "library":
		return none, &InvalidError{Message: fmt.Sprintf("%s is a library: it holds parts for other charts and nothing to install", j.Chart)}
	default:
		return none, &InvalidError{Message: fmt.Sprintf("%s has the type %q, which is neither application nor library", j.Chart, printable(c.Metadata.Type))}
	}
	values := copied(j.Values)
	if err := helmutil.ProcessDependencies(c, values); err != nil {
		return none, &InvalidError{Message: fmt.Sprintf("%s: the charts in it cannot be put together: %s", j.Chart, printable(err.Error()))}
	}
	var said observations
	out := output{crds: c.CRDObjects()}
	merged, err := j.merged(c, values, &out)
	if err != nil {
		return none, err
	}
	if err := j.instrument(c); err != nil {
		return none, err
	}
	e := engine.Engine{CustomTemplateFuncs: g.functions(&said, j.Now)}
	out.templates, err = e.Render(c, merged)
	if err != nil {
		return none, j.failed(c, err)
	}
	size := int64(0)
	for _, text := range out.templates {
		size += int64(len(text))
	}
	if size > j.limits.OutputBytes {
		return none, fmt.Errorf("%s renders %d bytes, more than %d: %w", j.Chart, size, j.limits.OutputBytes, ErrLimit)
	}
	out.warnings = append(out.warnings, said.warnings(j.Chart.String())...)
	return out, nil
}

// merged is what templates see: values with the chart's own below them, the release and
// the capabilities.
func (j *job) merged(c *helmchart.Chart, values map[string]any, out *output) (common.Values, error) {
	caps, err := j.capabilities(out.crds)
	if err != nil {
		return nil, err
	}
	if c.Metadata.KubeVersion != "" && !helmutil.IsCompatibleRange(c.Metadata.KubeVersion, caps.KubeVersion.String()) {
		return nil, &InvalidError{Message: fmt.Sprintf("%s wants Kubernetes %s, the cluster has %s: use another version of the chart",
			j.Chart, printable(c.Metadata.KubeVersion), caps.KubeVersion.Version)}
	}
	release := common.ReleaseOptions{Name: j.ReleaseName, Namespace: j.Namespace, Revision: 1, IsInstall: true}
	all, err := commonutil.ToRenderValuesWithSchemaValidation(c, values, release, caps, true)
	if err != nil {
		// The message of a mismatch would quote the value.
		return nil, &ValuesError{Chart: j.Chart.String(), Faults: []string{"the value under the name of a chart in it must be a mapping"}}
	}
	if j.SkipSchemaValidation {
		return all, nil
	}
	merged, _ := all["Values"].(common.Values)
	warn := func(text string) { out.warnings = append(out.warnings, text) }
	if faults := checkValues(c, merged, warn); len(faults) > 0 {
		return nil, &ValuesError{Chart: j.Chart.String(), Faults: faults}
	}
	return all, nil
}

// where a template is, for people and editors: its path in the repository, or in the chart.
func (j *job) where(full string) string {
	_, inside, _ := strings.Cut(full, "/")
	if j.Chart.Dir != "" {
		return path.Join(j.Chart.Dir, inside)
	}
	return fmt.Sprintf("chart %s-%s: %s", j.Chart.Name, j.Chart.Version, inside)
}

// sortedKeys gives the templates a fixed order.
func sortedKeys(templates map[string]string) []string {
	keys := make([]string, 0, len(templates))
	for k := range templates {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
