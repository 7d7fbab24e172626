package flux

import (
	"context"
	"errors"
	"fmt"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/source"
)

// unnamedBranch is what Flux reads of a GitRepository that names no reference.
const unnamedBranch = "master"

// other fetches another repository.
func (e *Expander) other(ctx context.Context, r *reader, field string, id manifests.ID, spec gitSpec) (*sourceTree, error) {
	url := Redacted(spec.URL)
	if e.Git == nil {
		return nil, r.unsupportedf(field, "names %s, which is another repository or another revision (%s), and nothing is fetched here", id, url)
	}
	request, err := r.gitRequest(field, id, spec)
	if err != nil {
		return nil, err
	}
	snap, err := e.Git.Fetch(ctx, request)
	if err != nil {
		return nil, r.notFetched(field, id, spec, err)
	}
	ignore := ""
	if spec.Ignore != nil {
		ignore = *spec.Ignore
	}
	key := fmt.Sprintf("git\x00%s\x00%s\x00%v\x00%s\x00%v", url, snap.Commit, request.Submodules, ignore, spec.SparseCheckout)
	if t := e.trees[key]; t != nil {
		return t, nil
	}
	files, err := filtered(snap.FS, spec.Ignore, spec.SparseCheckout)
	if err != nil {
		return nil, r.faultf(field, "names %s, whose files cannot be listed: %w", id, err)
	}
	return e.keep(key, &sourceTree{files: files, where: url, prefix: fmt.Sprintf("%s@%.12s:", url, snap.Commit)}), nil
}

// gitRequest reads what a GitRepository asks for. It is asked for each time, so that
// nobody gets a tree by the credentials of another.
func (r *reader) gitRequest(field string, id manifests.ID, spec gitSpec) (GitRequest, error) {
	request := GitRequest{
		URL: spec.URL, Branch: spec.Ref.Branch, Tag: spec.Ref.Tag, SemVer: spec.Ref.SemVer, Name: spec.Ref.Name, Commit: spec.Ref.Commit,
		Submodules: spec.RecurseSubmodules, Provider: spec.Provider,
	}
	if spec.Ref == (gitRef{}) {
		request.Branch = unnamedBranch
	}
	var err error
	if request.Credentials, err = r.credentials(id, spec.SecretRef); err != nil {
		return request, err
	}
	if request.Proxy, err = r.credentials(id, spec.ProxySecretRef); err != nil || spec.Verify == nil {
		return request, err
	}
	v := &GitVerification{}
	switch spec.Verify.Mode {
	case "", "HEAD", "head":
		v.Commit = true
	case "Tag":
		v.Tag = true
	case "TagAndHEAD":
		v.Commit, v.Tag = true, true
	default:
		return request, r.faultf(field, "names %s, whose spec.verify.mode is %q: only HEAD, Tag and TagAndHEAD are known", id, spec.Verify.Mode)
	}
	v.Keys, err = r.credentials(id, &spec.Verify.SecretRef)
	request.Verify = v
	return request, err
}

// notFetched says which source could not be had, and what of it to look at.
func (r *reader) notFetched(field string, id manifests.ID, spec gitSpec, err error) error {
	var (
		unreachable *source.UnreachableError
		gone        *source.RefNotFoundError
		skipped     *SkippedError
	)
	switch {
	case errors.As(err, &skipped):
		return &SkippedError{Meant: skipped.Meant, Err: r.faultf(field, "names %s, which %w", id, skipped.Err)}
	case errors.As(err, &unreachable): // it may be reached later
		return r.faultf(field, "names %s: %w", id, err)
	case errors.As(err, &gone) && spec.Ref == (gitRef{}):
		return r.faultf(field, "names %s, which cannot be fetched: %w; its spec.ref is empty, and Flux reads %s then: name the branch there", id, err, unnamedBranch)
	case errors.As(err, &gone):
		return r.faultf(field, "names %s, which cannot be fetched: %w; correct its spec.ref", id, err)
	}
	return r.faultf(field, "names %s, which cannot be fetched: %w", id, err)
}

func (e *Expander) ociRepository(ctx context.Context, r *reader, field string, id manifests.ID) (*sourceTree, error) {
	ref, spec, err := e.readOCI(r, field, id)
	if err != nil {
		return nil, err
	}
	url := Redacted(ref.URL)
	switch {
	case e.OCI == nil:
		return nil, r.unsupportedf(field, "names %s, which is an artifact in a registry (%s), and nothing is fetched here", id, url)
	}
	got, err := e.OCI.Pull(ctx, ref)
	if err != nil {
		var skipped *SkippedError
		if errors.As(err, &skipped) {
			return nil, &SkippedError{Meant: skipped.Meant, Err: r.faultf(field, "names %s, which %w", id, skipped.Err)}
		}
		return nil, r.faultf(field, "names %s, which cannot be pulled: %w", id, err)
	}
	r.warnings = append(r.warnings, got.Warnings...)
	t := &sourceTree{files: got.Files, where: url, prefix: fmt.Sprintf("%s@%.19s:", url, got.Digest)}
	if ref.Copy {
		return t, nil // Flux looks into it only when it is applied
	}
	if t.files, err = filtered(got.Files, spec.Ignore, nil); err != nil {
		return nil, r.faultf(field, "names %s, whose files cannot be listed: %w", id, err)
	}
	return t, nil
}

// unverified leaves to Flux what asks for a signature of cosign or notation. It is not
// taken without: whoever wrote the field trusts nothing else.
func (r *reader) unverified(field string, id manifests.ID, at string) error {
	return r.unsupportedf(field, "names %s, whose %s asks for a signature that only Flux itself checks", id, at)
}

// ociReference reads an OCIRepository.
func (e *Expander) ociReference(r *reader, field string, id manifests.ID) (OCIReference, error) {
	ref, _, err := e.readOCI(r, field, id)
	return ref, err
}

func (e *Expander) readOCI(r *reader, field string, id manifests.ID) (OCIReference, ociSpec, error) {
	var spec ociSpec
	o, ok := r.state.Get(id)
	if !ok {
		return OCIReference{}, spec, missing(r, field, id)
	}
	if _, err := decode(o, &spec); err != nil {
		return OCIReference{}, spec, fmt.Errorf("%s: %s: spec cannot be read: %w", o.Origin, id, err)
	}
	if spec.Verify != nil {
		return OCIReference{}, spec, r.unverified(field, id, "spec.verify")
	}
	credentials, err := r.credentials(id, spec.SecretRef)
	if err != nil {
		return OCIReference{}, spec, err
	}
	certificates, err := r.credentials(id, spec.CertSecretRef)
	if err != nil {
		return OCIReference{}, spec, err
	}
	return OCIReference{
		URL: spec.URL, Digest: spec.Ref.Digest, Tag: spec.Ref.Tag, SemVer: spec.Ref.SemVer, SemverFilter: spec.Ref.SemverFilter,
		MediaType: spec.LayerSelector.MediaType, Copy: spec.LayerSelector.Operation == "copy", Insecure: spec.Insecure, Provider: spec.Provider,
		Credentials: credentials, Certificates: certificates,
	}, spec, nil
}
