package argocd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// InCluster is the API server as Argo CD names the cluster that it runs on.
const InCluster = "https://kubernetes.default.svc"

// inClusterName is its name.
const inClusterName = "in-cluster"

// Options of an expansion.
type Options struct {
	// Clusters are names and API servers that mean the cluster that is being rebuilt.
	// None means the one that Argo CD runs on.
	Clusters []ClusterName
	// Scope says whether a kind is namespaced. A kind that is not known counts as
	// namespaced. nil means the built-in kinds.
	Scope  Scope
	Limits Limits
}

// ClusterName is what Argo CD calls a cluster: by a name, by its API server, or both.
type ClusterName struct{ Name, Server string }

// Scope of a kind.
type Scope func(schema.GroupKind) (namespaced, known bool)

// Limits bound what one ApplicationSet may cost. Zero values mean the defaults.
type Limits struct {
	// Applications that one ApplicationSet makes, and sets of parameters on the way: 10,000.
	Applications int
	// TemplateBytes is the largest text that a template or a function in it makes: 1 MiB.
	TemplateBytes int
	// OutputBytes that all templates of one ApplicationSet make together: 64 MiB.
	OutputBytes int
	// Steps of loops in the templates of one ApplicationSet: 2,000,000.
	Steps int
	// Time for one ApplicationSet: 30 s.
	Time time.Duration
	// FileBytes is the largest file read here, of values or parameters: 10 MiB.
	FileBytes int64
	// Files looked at in one repository: 100,000.
	Files int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		value    *int
		fallback int
	}{
		{&l.Applications, 10_000}, {&l.TemplateBytes, 1 << 20}, {&l.OutputBytes, 64 << 20},
		{&l.Steps, 2_000_000}, {&l.Files, 100_000},
	} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if l.Time <= 0 {
		l.Time = 30 * time.Second
	}
	if l.FileBytes <= 0 {
		l.FileBytes = 10 << 20
	}
	return l
}

// Expander turns definitions into what they declare.
type Expander struct {
	renderer Renderer
	settings *Settings
	options  Options
}

// NewExpander expands with the settings of one Argo CD; nil settings mean its defaults.
func NewExpander(renderer Renderer, settings *Settings, o Options) *Expander {
	if settings == nil {
		settings = &Settings{}
	}
	if o.Scope == nil {
		o.Scope = Scopes(nil)
	}
	o.Limits = o.Limits.withDefaults()
	return &Expander{renderer: renderer, settings: settings, options: o}
}

// Expansion is what one Application declares.
type Expansion struct {
	// Unit that it declares; nil when it was left out.
	Unit    *manifests.Unit
	Objects []manifests.Object
	// Namespace that is created for the objects; nil without CreateNamespace. It yields
	// to a Namespace that anybody renders: see Namespaces.
	Namespace *manifests.Object
	// LeftOut is the reason why the Application was not expanded; "" when it was.
	LeftOut string
	// Meant is set when the definition itself says that nothing is to be done here.
	Meant bool
	// Elsewhere is the other cluster that it is for; "" when it is not left out for that.
	Elsewhere string
	Warnings  []string
}

// UnitName of a definition.
func UnitName(o manifests.Object) string {
	return fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
}

// leftOut is a reason to leave a definition out.
type leftOut struct {
	reason    string
	meant     bool
	elsewhere string
}

func (l *leftOut) Error() string { return l.reason }

func leaveOut(format string, args ...any) error {
	return &leftOut{reason: fmt.Sprintf(format, args...)}
}

// leaveAlone is for a definition that says itself that it is not for this cluster.
func leaveAlone(format string, args ...any) error {
	return &leftOut{reason: fmt.Sprintf(format, args...), meant: true}
}

// reasonOf an error that leaves a definition out; "" for one that ends the rendering.
func reasonOf(err error) string {
	var l *leftOut
	switch {
	case errors.As(err, &l):
		return l.reason
	case errors.Is(err, ErrUnavailable):
		return err.Error()
	}
	return ""
}

// Application expands one. The unit waits for after, which is what Gates says of the
// definition in the unit that rendered it.
func (e *Expander) Application(ctx context.Context, o manifests.Object, after []manifests.Dependency) (*Expansion, error) {
	x := &expansion{Expander: e, object: o, unit: UnitName(o)}
	if err := decode(o, &x.app); err != nil {
		return nil, err
	}
	if err := x.render(ctx); err != nil {
		if reason := reasonOf(err); reason != "" {
			out := &Expansion{LeftOut: reason, Warnings: x.warnings}
			if l := (*leftOut)(nil); errors.As(err, &l) {
				out.Meant, out.Elsewhere = l.meant, l.elsewhere
			}
			return out, nil
		}
		return nil, fmt.Errorf("%s: %w", where(o), err)
	}
	return &Expansion{
		Unit: &manifests.Unit{
			Name: x.unit, Definition: o.ID(), Origin: o.Origin,
			After: slices.Clone(after), Ready: manifests.Readiness{All: true},
		},
		Objects: x.objects, Namespace: x.namespace(), Warnings: x.warnings,
	}, nil
}

// expansion is the state of one call of Application.
type expansion struct {
	*Expander
	object   manifests.Object
	unit     string
	app      application
	objects  []manifests.Object
	revision string // of the first source
	warnings []string
}

func (x *expansion) warn(format string, args ...any) {
	x.warnings = append(x.warnings, where(x.object)+": "+fmt.Sprintf(format, args...))
}

// render fills objects with the finished objects of all sources.
func (x *expansion) render(ctx context.Context) error {
	if x.app.Metadata.Name == "" {
		return errors.New("metadata.name is missing: give the Application a name")
	}
	if strings.EqualFold(x.app.Metadata.Annotations[annotationSkipReconcile], "true") {
		return leaveAlone("the annotation %s tells Argo CD to leave it alone", annotationSkipReconcile)
	}
	if err := x.checkDestination(); err != nil {
		return err
	}
	x.checkProject()
	if !x.app.Spec.SyncPolicy.automatic() {
		x.warn("is not synced automatically: it is built here, and later only when somebody syncs it")
	}
	if err := x.sources(ctx); err != nil {
		return err
	}
	return x.finish()
}

// instance is the name under which Argo CD knows the Application: with its namespace
// when it is not in Argo CD's own.
func (x *expansion) instance() string {
	ns := x.app.Metadata.Namespace
	if ns == "" || ns == x.settings.controllerNamespace() {
		return x.app.Metadata.Name
	}
	return ns + "_" + x.app.Metadata.Name
}
