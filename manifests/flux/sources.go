package flux

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/tree"
)

// bootstrap is the name that Flux gives to the repository that it was installed from.
const bootstrap = "flux-system"

// sourceTree is what a source object stands for.
type sourceTree struct {
	files fs.FS
	// where names it in messages.
	where string
	// prefix of file names that are not of this repository.
	prefix string
}

// OCIReference is the neutral part of an OCIRepository.
type OCIReference struct {
	// URL begins with oci://.
	URL string
	// Digest, Tag and SemVer with its filter say which; Digest wins over SemVer over Tag.
	Digest, Tag, SemVer, SemverFilter string
	// MediaType of the layer; "" for the first one.
	MediaType string
	// Copy takes the layer as it is instead of unpacking it.
	Copy bool
	// Insecure allows plain HTTP.
	Insecure bool
	// Provider of tokens for it: "" and generic for none.
	Provider string
	// Credentials are the data of the Secret that it names; nil for none. Certificates
	// likewise, those of certSecretRef.
	Credentials, Certificates map[string][]byte
}

// source finds the files behind a reference.
func (e *Expander) source(ctx context.Context, r *reader, field string, ref reference) (*sourceTree, error) {
	return e.sourceWithin(ctx, r, field, ref, nil)
}

// sourceWithin refuses a source that is made from itself: above are those that need it.
func (e *Expander) sourceWithin(ctx context.Context, r *reader, field string, ref reference, above []string) (*sourceTree, error) {
	gk := sourceKind(ref.Kind)
	id := r.id(gk, ref.Namespace, ref.Name)
	for _, a := range above {
		if a == id.String() {
			return nil, r.faultf(field, "leads to a source made from itself: %s", strings.Join(append(above, a), " -> "))
		}
	}
	above = append(above[:len(above):len(above)], id.String())
	switch ref.Kind {
	case "GitRepository":
		return e.gitRepository(ctx, r, field, id, above)
	case "OCIRepository":
		return e.ociRepository(ctx, r, field, id)
	case "ExternalArtifact":
		return e.externalArtifact(ctx, r, field, id, above)
	case "":
		return nil, r.faultf(field, "has no kind")
	case "Bucket":
		return nil, r.unsupportedf(field, "names %s: buckets are read only by Flux itself", id)
	}
	return nil, r.unsupportedf(field, "names %s: sources of this kind are not known here", id)
}

// missing is the error for a source that no unit rendered so far.
func missing(r *reader, field string, id manifests.ID) error {
	return &NotYetError{Theirs: true, Err: r.faultf(field, "names %s, which nothing in the state defines", id)}
}

func (e *Expander) gitRepository(ctx context.Context, r *reader, field string, id manifests.ID, above []string) (*sourceTree, error) {
	o, ok := r.state.Get(id)
	if !ok {
		if id.Name != bootstrap {
			return nil, missing(r, field, id)
		}
		if r.patient {
			return nil, &NotYetError{Optional: true, Err: missing(r, field, id)}
		}
		return e.own(r, gitSpec{}, id)
	}
	var spec gitSpec
	if _, err := decode(o, &spec); err != nil {
		return nil, fmt.Errorf("%s: %s: spec cannot be read: %w", o.Origin, id, err)
	}
	var t *sourceTree
	var err error
	if e.isOwn(r, o, spec) {
		if spec.Verify != nil && len(e.Snapshot.SignedBy) == 0 {
			r.warnf("%s asks for signatures of this repository (spec.verify), and none were checked here: say in spec.source.verify of the plan who has to sign it", id)
		}
		t, err = e.own(r, spec, id)
	} else {
		t, err = e.other(ctx, r, field, id, spec)
	}
	if err != nil || len(spec.Include) == 0 {
		return t, err
	}
	return e.included(ctx, r, t, id, spec, above)
}

// isOwn decides whether a GitRepository is the one that is being rendered.
func (e *Expander) isOwn(r *reader, o manifests.Object, spec gitSpec) bool {
	if e.known(spec.URL) {
		return o.GetName() == bootstrap || e.sameRef(spec.Ref)
	}
	if o.GetName() != bootstrap {
		return false
	}
	// Flux writes this object into the repository that it stands for.
	dir := path.Base(path.Dir(o.Origin.File))
	if dir != bootstrap && len(r.state.List(schema.GroupKind{Group: sourceGroup, Kind: "GitRepository"})) > 1 {
		return false
	}
	if len(e.Repository.URLs) > 0 {
		r.warnf("GitRepository %s/%s (%s) is taken for this repository, although its URL is another", o.GetNamespace(), o.GetName(), Redacted(spec.URL))
	}
	return true
}

func (e *Expander) known(url string) bool {
	for _, mine := range append([]string{e.Snapshot.URL}, e.Repository.URLs...) {
		if mine != "" && CanonicalURL(mine) == CanonicalURL(url) {
			return true
		}
	}
	return false
}

// sameRef is false when a source surely means another commit than the one being rendered.
func (e *Expander) sameRef(ref gitRef) bool {
	here := e.Snapshot.Ref
	branch, isBranch := strings.CutPrefix(here, "refs/heads/")
	tag, isTag := strings.CutPrefix(here, "refs/tags/")
	switch {
	case ref.Commit != "":
		return e.Snapshot.Commit == "" || e.Snapshot.Commit == ref.Commit
	case ref.Name != "":
		return !isBranch && !isTag || ref.Name == here
	case ref.SemVer != "":
		return !isBranch
	case ref.Tag != "":
		return !isBranch && (!isTag || tag == ref.Tag)
	case ref.Branch != "":
		return !isBranch || branch == ref.Branch
	}
	return true
}

// own is the tree of the snapshot as source-controller would archive it.
func (e *Expander) own(r *reader, spec gitSpec, id manifests.ID) (*sourceTree, error) {
	ignore := ""
	if spec.Ignore != nil {
		ignore = *spec.Ignore
	}
	key := "own\x00" + ignore + "\x00" + strings.Join(spec.SparseCheckout, "\x00")
	if t := e.trees[key]; t != nil {
		return t, nil
	}
	files, err := filtered(e.Snapshot.FS, spec.Ignore, spec.SparseCheckout)
	if err != nil {
		return nil, r.faultf("spec.sourceRef", "names %s, whose files cannot be listed: %w", id, err)
	}
	return e.keep(key, &sourceTree{files: files, where: "this repository"}), nil
}

func (e *Expander) keep(key string, t *sourceTree) *sourceTree {
	if e.trees == nil {
		e.trees = map[string]*sourceTree{}
	}
	e.trees[key] = t
	return t
}

// credentials are the data of a Secret beside a source.
func (r *reader) credentials(source manifests.ID, ref *local) (map[string][]byte, error) {
	if ref == nil {
		return nil, nil
	}
	id := manifests.ID{Kind: "Secret", Namespace: source.Namespace, Name: ref.Name}
	o, ok := r.state.Get(id)
	if !ok {
		return nil, r.notYetf("", "%s is read with the credentials of %s, which nothing in the state makes: add it to the seeds", source, id)
	}
	if sealed(o.Object) { // another unit may still decrypt it
		return nil, r.notYetf("", "%s is read with the credentials of %s, which is encrypted at %s and which nothing decrypts before it is needed: add it to the seeds", source, id, o.Origin)
	}
	data, err := dataOf(o)
	if err != nil {
		return nil, r.faultf("", "%s cannot be read: %w", id, err)
	}
	return data, nil
}

// included puts files of other repositories into a tree.
func (e *Expander) included(ctx context.Context, r *reader, t *sourceTree, id manifests.ID, spec gitSpec, above []string) (*sourceTree, error) {
	files := tree.New()
	if err := graft(files, t.files, ".", ".", nil); err != nil {
		return nil, err
	}
	for _, inc := range spec.Include {
		from, err := e.sourceWithin(ctx, r, "spec.sourceRef",
			reference{Kind: "GitRepository", Namespace: id.Namespace, Name: inc.Repository.Name}, above)
		if err != nil {
			return nil, err
		}
		to := inc.ToPath
		if to == "" {
			to = inc.Repository.Name
		}
		if err := graft(files, from.files, clean(inc.FromPath), clean(to), nil); err != nil {
			return nil, r.faultf("spec.sourceRef", "names %s, which includes %s: %w", id, inc.Repository.Name, err)
		}
	}
	return &sourceTree{files: files, where: t.where, prefix: t.prefix}, nil
}
