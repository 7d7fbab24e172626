// Package flux reads what Flux objects declare, and renders it as Flux would: the
// objects of a Kustomization and of a HelmRelease, what they wait for, and where each
// departs from the ordinary course.
//
// It decides nothing about other units and reaches nothing by itself: charts, other
// repositories and keys come through the interfaces of Expander. Input is untrusted;
// fields that are not known are named in warnings, never an error.
package flux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

// Groups of the kinds that Flux installs.
const (
	kustomizeGroup = "kustomize.toolkit.fluxcd.io"
	helmGroup      = "helm.toolkit.fluxcd.io"
	sourceGroup    = "source.toolkit.fluxcd.io"
	extensionGroup = "source.extensions.fluxcd.io"
)

var (
	kustomizationKind = schema.GroupKind{Group: kustomizeGroup, Kind: "Kustomization"}
	helmReleaseKind   = schema.GroupKind{Group: helmGroup, Kind: "HelmRelease"}
	configMapKind     = schema.GroupKind{Kind: "ConfigMap"}
	secretKind        = schema.GroupKind{Kind: "Secret"}
)

func sourceKind(kind string) schema.GroupKind {
	return schema.GroupKind{Group: sourceGroup, Kind: kind}
}

// Tool is what people call it.
const Tool = "Flux"

// Owns says whether a kind is one of Flux's own, which only a cluster with Flux has.
func Owns(gk schema.GroupKind) bool {
	switch gk.Group {
	case kustomizeGroup, helmGroup, sourceGroup, extensionGroup, "notification.toolkit.fluxcd.io", "image.toolkit.fluxcd.io":
		return true
	}
	return false
}

// Defines says whether a kind declares a unit.
func Defines(gk schema.GroupKind) bool { return gk == kustomizationKind || gk == helmReleaseKind }

// UnitName is what the unit of a definition is called.
func UnitName(id manifests.ID) string { return id.Kind + " " + id.Namespace + "/" + id.Name }

// State is what is known of the cluster to be while a definition is read: what other
// units rendered so far, and seeds.
type State interface {
	// Get finds an object, whatever its version.
	Get(id manifests.ID) (manifests.Object, bool)
	// List returns the objects of a kind, sorted.
	List(gk schema.GroupKind) []manifests.Object
}

// Repository says how the rendered snapshot is known.
type Repository struct {
	// URLs under which a GitRepository may name it, mirrors included.
	URLs []string
}

// Git fetches other repositories that a state refers to.
type Git interface {
	Fetch(ctx context.Context, r GitRequest) (*source.Snapshot, error)
}

// GitRequest is the neutral part of a GitRepository.
type GitRequest struct {
	URL string
	// Of several, Commit counts before Name, that before SemVer, Tag and Branch. With none
	// of them the default branch is meant.
	Branch, Tag, SemVer, Name, Commit string
	// Revision is one word for any of them, as Argo CD takes it: a branch, else a tag, else
	// a range of versions. The others are empty then.
	Revision string
	// Credentials are the data of the Secret that it names; nil for none. Proxy likewise.
	Credentials, Proxy map[string][]byte
	// Verify asks for signatures; nil asks for none.
	Verify *GitVerification
	// Submodules are part of the tree.
	Submodules bool
	// Provider of tokens for it: "" and generic for none.
	Provider string
}

// GitVerification says what of a repository must be signed, and by whom.
type GitVerification struct {
	// Commit and Tag say what.
	Commit, Tag bool
	// Keys are the data of a Secret with public keys.
	Keys map[string][]byte
}

// OCI fetches artifacts that hold manifests.
type OCI interface {
	Pull(ctx context.Context, r OCIReference) (*OCIArtifact, error)
}

// OCIArtifact is an unpacked artifact.
type OCIArtifact struct {
	Files fs.FS
	// Digest of its manifest, sha256:….
	Digest string
	// Warnings about what it holds.
	Warnings []string
}

// Decryption makes a decrypter out of keys.
type Decryption interface {
	// Decrypter for a provider, by the data of the Secret that holds its keys; nil
	// when no Secret is named.
	Decrypter(provider string, keys map[string][]byte) (render.Decrypter, error)
}

// Expander renders definitions.
type Expander struct {
	Snapshot   *source.Snapshot
	Repository Repository
	Render     render.Options
	// Charts, Git, OCI and Decryption are optional: what needs a missing one is a
	// SkippedError.
	Charts     Charts
	Git        Git
	OCI        OCI
	Decryption Decryption

	trees map[string]*sourceTree
}

// Expansion is what a definition declares.
type Expansion struct {
	Unit    manifests.Unit
	Objects []manifests.Object
	// Implied objects are made only when nobody else renders them.
	Implied []manifests.Object
	// Namespace of objects that have none and are of a namespaced kind; "" for the ordinary one.
	Namespace string
	// Ownership are the keys of labels that say which unit an object belongs to. Two
	// renderings that differ only in them are the same.
	Ownership []string
	Warnings  []string
	// AsksForKinds is set when the objects may depend on the kinds that the state installs.
	AsksForKinds bool
}

// Expand renders one definition. While patient, it would rather wait for an optional
// input that another unit may render than do without.
//
// It returns *NotYetError when an input is missing, *SkippedError when the definition
// is not for us, and *DefinitionError for what is wrong with it.
func (e *Expander) Expand(ctx context.Context, def manifests.Object, s State, patient bool) (*Expansion, error) {
	r := &reader{def: def, unit: UnitName(def.ID()), state: s, patient: patient}
	var x *Expansion
	var err error
	switch def.ID().GroupKind() {
	case kustomizationKind:
		x, err = e.kustomization(ctx, r)
	case helmReleaseKind:
		x, err = e.helmRelease(ctx, r)
	default:
		return nil, fmt.Errorf("%s declares no unit", def.ID())
	}
	if err != nil {
		return nil, r.explained(err)
	}
	x.Unit.Name, x.Unit.Definition, x.Unit.Origin = r.unit, def.ID(), def.Origin
	for i := range x.Objects {
		x.Objects[i].Origin.Unit = r.unit
	}
	x.Warnings = append(r.warnings, x.Warnings...)
	return x, nil
}

// NotYetError says that an input is missing which another unit may still render.
type NotYetError struct {
	Err error
	// Optional inputs may stay missing.
	Optional bool
	// Theirs is set when the input is no seed, so that the tool itself may know it: its
	// unit can be left to the tool where the state installs that.
	Theirs bool
}

func (e *NotYetError) Error() string { return e.Err.Error() }
func (e *NotYetError) Unwrap() error { return e.Err }

// SkippedError says that a definition is not expanded.
type SkippedError struct {
	Err error
	// Meant is set when the definition itself says that nothing is to be done here;
	// else its objects are missing unless Flux makes them.
	Meant bool
}

func (e *SkippedError) Error() string { return e.Err.Error() }
func (e *SkippedError) Unwrap() error { return e.Err }

// DefinitionError says what is wrong with a definition.
type DefinitionError struct {
	Origin manifests.Origin
	Unit   string
	// Field of the definition; "" when it is not about one.
	Field string
	Err   error
}

func (e *DefinitionError) Error() string {
	field := e.Field
	if field != "" {
		field += " "
	}
	return fmt.Sprintf("%s: %s: %s%v", e.Origin, e.Unit, field, e.Err)
}

func (e *DefinitionError) Unwrap() error { return e.Err }

// reader reads one definition.
type reader struct {
	def      manifests.Object
	unit     string
	state    State
	patient  bool
	warnings []string
	// redact lists what Secrets gave to the values of a chart.
	redact []string
}

func (r *reader) faultf(field, format string, args ...any) error {
	return &DefinitionError{Origin: r.def.Origin, Unit: r.unit, Field: field, Err: fmt.Errorf(format, args...)}
}

func (r *reader) notYetf(field, format string, args ...any) error {
	return &NotYetError{Err: r.faultf(field, format, args...)}
}

func (r *reader) unsupportedf(field, format string, args ...any) error {
	return &SkippedError{Err: r.faultf(field, format, args...)}
}

func (r *reader) warnf(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf("%s: %s: %s", r.def.Origin, r.unit, fmt.Sprintf(format, args...)))
}

// explained names the definition in an error that does not yet.
func (r *reader) explained(err error) error {
	var known *DefinitionError
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &DefinitionError{Origin: r.def.Origin, Unit: r.unit, Err: err}
}

// id of an object in the namespace of the definition, unless another is given.
func (r *reader) id(gk schema.GroupKind, namespace, name string) manifests.ID {
	if namespace == "" {
		namespace = r.def.GetNamespace()
	}
	return manifests.ID{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: name}
}
