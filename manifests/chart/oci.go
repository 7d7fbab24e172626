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

// Media types of the layer that holds a chart's archive.
const (
	chartLayer       = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	legacyChartLayer = "application/tar+gzip"
)

// fetchOCI gets an archive and the digest of its manifest from a registry.
func (f *Fetcher) fetchOCI(ctx context.Context, r *address, c *client, limits Limits) (data []byte, manifest string, err error) {
	ref, err := registry.ParseReference(r.ociPath())
	if err != nil || ref.Reference != "" {
		return nil, "", &InvalidError{Message: fmt.Sprintf("chart repository %s: %q is not a repository of a registry; give the version apart from the address",
			r.display, printable(r.ociPath()))}
	}
	repo := &remote.Repository{
		Reference: ref, PlainHTTP: r.ref.PlainHTTP, MaxMetadataBytes: mostMetadata, SkipReferrersGC: true,
		Client: &auth.Client{Client: c.Client, Cache: auth.NewCache(), Credential: auth.StaticCredential(ref.Host(), auth.Credential{
			Username: r.ref.Auth.Username, Password: r.ref.Auth.Password, AccessToken: r.ref.Auth.BearerToken,
		})},
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
	body, err := repo.Blobs().Fetch(ctx, layer)
	if err != nil {
		return nil, "", r.ociFailed(ctx, err)
	}
	defer func() { _ = body.Close() }()
	data, err = content.ReadAll(body, layer)
	if err != nil {
		return nil, "", r.ociFailed(ctx, err)
	}
	return data, desc.Digest.String(), nil
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
	var all []string
	err := repo.Tags(ctx, "", func(page []string) error {
		for _, tag := range page {
			all = append(all, strings.ReplaceAll(tag, "_", "+"))
		}
		if len(all) > mostTags {
			return fmt.Errorf("chart repository %s: more than %d tags: %w", r.display, mostTags, ErrLimit)
		}
		return nil
	})
	if err != nil {
		return nil, r.ociFailed(ctx, err)
	}
	return all, nil
}

// layer finds the archive in a manifest.
func (r *address) layer(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, limits Limits) (ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	if desc.Size > mostMetadata {
		return none, fmt.Errorf("chart repository %s: the manifest is larger than %d bytes: %w", r.display, mostMetadata, ErrLimit)
	}
	text, err := content.FetchAll(ctx, repo, desc)
	if err != nil {
		return none, r.ociFailed(ctx, err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(text, &manifest); err != nil {
		return none, &InvalidError{Message: fmt.Sprintf("chart repository %s: the manifest of %s is malformed", r.display, printable(r.ref.Name))}
	}
	for _, l := range manifest.Layers {
		if l.MediaType != chartLayer && l.MediaType != legacyChartLayer {
			continue
		}
		if l.Size > limits.ArchiveBytes {
			return none, fmt.Errorf("chart repository %s: the archive of chart %s is larger than %d bytes: %w", r.display, printable(r.ref.Name), limits.ArchiveBytes, ErrLimit)
		}
		if l.Digest.Validate() != nil || l.Digest.Algorithm() != ocidigest.SHA256 || l.Size < 0 {
			return none, &InvalidError{Message: fmt.Sprintf("chart repository %s: the manifest of %s is malformed", r.display, printable(r.ref.Name))}
		}
		return l, nil
	}
	return none, &InvalidError{Message: fmt.Sprintf("chart repository %s: %s holds no Helm chart but %s",
		r.display, printable(strings.TrimPrefix(r.ociPath(), r.url.Host+"/")), printable(desc.MediaType))}
}

// ociFailed sorts what a registry answers.
func (r *address) ociFailed(ctx context.Context, err error) error {
	if errors.Is(err, ErrLimit) {
		return err
	}
	if errors.Is(err, errdef.ErrSizeExceedsLimit) {
		return fmt.Errorf("chart repository %s: it sent more than %d bytes of metadata: %w", r.display, mostMetadata, ErrLimit)
	}
	if errors.Is(err, content.ErrMismatchedDigest) || errors.Is(err, content.ErrInvalidDescriptorSize) || errors.Is(err, content.ErrTrailingData) {
		return &InvalidError{Message: fmt.Sprintf("chart repository %s sent bytes that do not have the digest it announced: it is damaged, or something on the way changes them", r.display)}
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
	return &NotFoundError{Repository: r.display, Name: printable(r.ref.Name)}
}
