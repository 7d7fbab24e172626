package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	ocidigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// LayerType is the media type of the layer that holds a chart's archive.
const LayerType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

const legacyChartLayer = "application/tar+gzip"

// repository of a registry, with the credentials for it.
func (r *address) repository(c *client) (*remote.Repository, error) {
	ref, err := registry.ParseReference(r.ociPath())
	if err != nil || ref.Reference != "" {
		return nil, &InvalidError{Message: fmt.Sprintf("%s %s: %q is not a repository of a registry; give the version apart from the address",
			r.what, r.display, printable(r.ociPath()))}
	}
	return &remote.Repository{
		Reference: ref, PlainHTTP: r.ref.PlainHTTP, MaxMetadataBytes: mostMetadata, SkipReferrersGC: true,
		Client: &auth.Client{Client: c.Client, Cache: auth.NewCache(), Credential: auth.StaticCredential(ref.Host(), auth.Credential{
			Username: r.ref.Auth.Username, Password: r.ref.Auth.Password, AccessToken: r.ref.Auth.BearerToken,
		})},
	}, nil
}

// fetchOCI gets an archive and the digest of its manifest from a registry.
func (f *Fetcher) fetchOCI(ctx context.Context, r *address, c *client, limits Limits) (data []byte, manifest string, err error) {
	repo, err := r.repository(c)
	if err != nil {
		return nil, "", err
	}
	reference, err := r.reference(ctx, repo)
	if err != nil {
		return nil, "", err
	}
	desc, err := repo.Resolve(ctx, reference)
	if errors.Is(err, errdef.ErrNotFound) {
		tags, _ := r.tags(ctx, repo)
		return nil, "", r.noVersion(tags)
	}
	if err != nil {
		return nil, "", r.ociFailed(ctx, err)
	}
	layer, err := r.layer(ctx, repo, desc, limits)
	if err != nil {
		return nil, "", err
	}
	data, err = r.blob(ctx, repo, layer)
	return data, desc.Digest.String(), err
}

// blob reads a layer, whose size and digest hold or it is an error.
func (r *address) blob(ctx context.Context, repo *remote.Repository, layer ocispec.Descriptor) ([]byte, error) {
	body, err := repo.Blobs().Fetch(ctx, layer)
	if err != nil {
		return nil, r.ociFailed(ctx, err)
	}
	defer func() { _ = body.Close() }()
	data, err := content.ReadAll(body, layer)
	if err != nil {
		return nil, r.ociFailed(ctx, err)
	}
	return data, nil
}

// reference is the tag or digest to ask for. Tags are listed only for a range.
func (r *address) reference(ctx context.Context, repo *remote.Repository) (string, error) {
	want := r.ref.Version
	switch {
	case r.ref.Manifest != "":
		return r.ref.Manifest, nil
	case isExact(want), !isRange(want):
		return tagOf(want), nil
	}
	tags, err := r.tags(ctx, repo)
	if err != nil {
		return "", err
	}
	version, ok, err := pick(tags, want)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", r.noVersion(tags)
	}
	return tagOf(version), nil
}

// tagOf writes a version as a tag, which cannot hold a plus sign.
func tagOf(version string) string { return strings.ReplaceAll(version, "+", "_") }

// tags of the repository, as versions.
func (r *address) tags(ctx context.Context, repo *remote.Repository) ([]string, error) {
	all, err := r.plainTags(ctx, repo)
	for i, tag := range all {
		all[i] = strings.ReplaceAll(tag, "_", "+")
	}
	return all, err
}

// plainTags of the repository, as they are.
func (r *address) plainTags(ctx context.Context, repo *remote.Repository) ([]string, error) {
	var all []string
	err := repo.Tags(ctx, "", func(page []string) error {
		all = append(all, page...)
		if len(all) > mostTags {
			return fmt.Errorf("%s %s: more than %d tags: %w", r.what, r.display, mostTags, ErrLimit)
		}
		return nil
	})
	if err != nil {
		return nil, r.ociFailed(ctx, err)
	}
	return all, nil
}

// layers that a manifest lists.
func (r *address) layers(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if desc.Size > mostMetadata {
		return nil, fmt.Errorf("%s %s: the manifest is larger than %d bytes: %w", r.what, r.display, mostMetadata, ErrLimit)
	}
	text, err := content.FetchAll(ctx, repo, desc)
	if err != nil {
		return nil, r.ociFailed(ctx, err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, r.malformed()
	}
	return manifest.Layers, nil
}

func (r *address) malformed() error {
	return &InvalidError{Message: fmt.Sprintf("%s %s: the manifest of %s is malformed", r.what, r.display, printable(r.ociName()))}
}

// layer finds the archive in a manifest.
func (r *address) layer(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, limits Limits) (ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	layers, err := r.layers(ctx, repo, desc)
	if err != nil {
		return none, err
	}
	for _, l := range layers {
		if want := r.ref.MediaType; want != "" && l.MediaType != want || want == "" && l.MediaType != LayerType && l.MediaType != legacyChartLayer {
			continue
		}
		if l.Size > limits.ArchiveBytes {
			return none, fmt.Errorf("%s %s: the archive of chart %s is larger than %d bytes: %w", r.what, r.display, printable(r.ref.Name), limits.ArchiveBytes, ErrLimit)
		}
		if l.Digest.Validate() != nil || l.Digest.Algorithm() != ocidigest.SHA256 || l.Size < 0 {
			return none, r.malformed()
		}
		return l, nil
	}
	if r.ref.MediaType != "" {
		return none, &InvalidError{Message: fmt.Sprintf("%s %s: %s has no layer of the type %s", r.what, r.display, printable(r.ociName()), printable(r.ref.MediaType))}
	}
	return none, &InvalidError{Message: fmt.Sprintf("%s %s: %s holds no Helm chart but %s",
		r.what, r.display, printable(r.ociName()), printable(desc.MediaType))}
}

// ociFailed sorts what a registry answers.
func (r *address) ociFailed(ctx context.Context, err error) error {
	if errors.Is(err, ErrLimit) {
		return err
	}
	if errors.Is(err, errdef.ErrSizeExceedsLimit) {
		return fmt.Errorf("%s %s: it sent more than %d bytes of metadata: %w", r.what, r.display, mostMetadata, ErrLimit)
	}
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrInvalidDescriptorSize) || errors.Is(err, content.ErrTrailingData) {
		return &InvalidError{Message: fmt.Sprintf("%s %s sent bytes that do not have the digest it announced: it is damaged, or something on the way changes them", r.what, r.display)}
	}
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return r.status(http.StatusUnauthorized, false)
	}
	var answer *errcode.ErrorResponse
	if ctx.Err() != nil || !errors.As(err, &answer) {
		return r.failed(ctx, err)
	}
	if err := r.status(answer.StatusCode, true); !errors.Is(err, errNotThere) {
		return err
	}
	return &NotFoundError{what: r.what, Repository: r.display, Name: printable(r.ref.Name)}
}
