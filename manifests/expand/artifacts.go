package expand

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/refloat-dev/refloat/manifests/artifact"
	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
)

// Pull implements flux.OCI.
func (r *remotes) Pull(ctx context.Context, q flux.OCIReference) (*flux.OCIArtifact, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := sourceKey{withoutCredentials(q.URL), artifactOf(q)}
	held := fmt.Sprintf("%s\x00%s\x00%s", q.URL, key.requested, sealOf(fmt.Sprint(q.Insecure), q.Credentials, q.Certificates))
	if got, ok := r.artifacts[held]; ok {
		return got.artifact, got.err
	}
	if err := key.recordable(); err != nil {
		return nil, err
	}
	if len(r.artifacts) >= r.bounds.Artifacts {
		return nil, fmt.Errorf("more than %d artifacts are named: render fewer in one plan", r.bounds.Artifacts)
	}
	pulled, layer, err := r.pull(ctx, key, q)
	denied := (*chart.DeniedError)(nil)
	err = r.forgiven(ctx, err, errors.As(err, &denied), q.Provider)
	if ctx.Err() != nil || passing(err) {
		return nil, err // it may go better another time
	}
	r.artifacts[held] = fetchedArtifact{pulled, err}
	if err != nil {
		return nil, err
	}
	r.taken[key] = SourcePin{URL: key.url, Requested: key.requested, Revision: layer.Manifest, Digest: layer.Digest}
	return pulled, nil
}

// artifactOf says in words what a reference asks for.
func artifactOf(q flux.OCIReference) string {
	text := "tag " + cmp.Or(q.Tag, "latest")
	switch {
	case q.Digest != "":
		text = "digest " + q.Digest
	case q.SemVer != "" && q.SemverFilter != "":
		text = "semver " + q.SemVer + " of " + q.SemverFilter
	case q.SemVer != "":
		text = "semver " + q.SemVer
	}
	if q.MediaType != "" {
		text += ", layer " + q.MediaType
	}
	return text
}

func (r *remotes) pull(ctx context.Context, key sourceKey, q flux.OCIReference) (*flux.OCIArtifact, *chart.Layer, error) {
	ref := chart.Ref{Repository: q.URL, PlainHTTP: q.Insecure}
	var err error
	if ref.Auth, err = authOf(q.URL, q.Credentials, q.Certificates); err != nil {
		return nil, nil, err
	}
	if ref, err = redirected(ref, r.mirrors); err != nil {
		return nil, nil, err
	}
	want := chart.LayerRef{
		Repository: ref.Repository, PlainHTTP: ref.PlainHTTP, Auth: ref.Auth, MediaType: q.MediaType,
		Manifest: q.Digest, SemVer: q.SemVer, Filter: q.SemverFilter, Tag: q.Tag,
	}
	if pin, ok := r.pinned(key); ok {
		want.Manifest, want.Digest = pin.Revision, pin.Digest
	}
	layer, err := r.fetcher.FetchLayer(ctx, want)
	if err != nil {
		return nil, nil, err
	}
	if r.unpacked <= 0 {
		return nil, nil, fmt.Errorf("all artifacts together expand to more than %d bytes: %w", mostUnpacked, artifact.ErrLimit)
	}
	files, err := artifact.Unpack(layer.Data, artifact.Limits{Bytes: min(r.unpacked, mostUnpacked/2)})
	if err != nil {
		return nil, nil, fmt.Errorf("artifact %s@%s: %w", key.url, layer.Manifest, err)
	}
	r.unpacked -= files.Bytes
	out := &flux.OCIArtifact{Files: files.Files, Digest: layer.Manifest}
	if files.Links > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("artifact %s@%.19s: %d links are left out, as Flux leaves them out; one is %s", key.url, layer.Manifest, files.Links, files.First))
	}
	return out, layer, nil
}
