package chart

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	ocidigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
)

// mostPattern is the longest version range or filter of tags.
const mostPattern = 256

// LayerRef says which layer of an OCI artifact is wanted, and where the artifact is. It
// need not be one with a chart.
type LayerRef struct {
	// Repository is an address that begins with oci://.
	Repository string
	// Manifest digest, SemVer and Tag say which artifact, the first that is not empty; with
	// none of them the tag latest is meant. SemVer is a range, and Filter a regular
	// expression that tags have to match besides.
	Manifest, SemVer, Filter, Tag string
	// MediaType of the layer; "" for the first layer.
	MediaType string
	// Digest of the layer, sha256:…; nothing else is accepted when it is set.
	Digest string
	// PlainHTTP talks to the registry without TLS.
	PlainHTTP bool
	// Auth is sent to the registry only.
	Auth Auth
}

// Layer of an artifact.
type Layer struct {
	Data []byte
	// Manifest is the digest of the artifact's manifest, and Digest that of the layer.
	Manifest, Digest string
}

// FetchLayer gets one layer. With the digests of manifest and layer, and the layer in the
// cache, no network is used. Errors are those of Fetch.
func (f *Fetcher) FetchLayer(ctx context.Context, ref LayerRef) (*Layer, error) {
	r, err := newAddress(Ref{Repository: ref.Repository, Digest: ref.Digest, Manifest: ref.Manifest, PlainHTTP: ref.PlainHTTP, Auth: ref.Auth})
	if err != nil {
		return nil, err
	}
	r.what = artifacts
	if r.url.Scheme != "oci" {
		return nil, &InvalidError{Message: fmt.Sprintf("registry %s: its address has to begin with oci://", r.display)}
	}
	limits := f.Limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.FetchTime, errFetchTime)
	defer cancel()
	if ref.Digest != "" && ref.Manifest != "" {
		if data, ok := f.cache().get(ref.Digest, limits.ArchiveBytes); ok {
			return &Layer{Data: data, Manifest: ref.Manifest, Digest: ref.Digest}, nil
		}
	}
	c, err := newClient(r.ref.Auth)
	if err != nil {
		return nil, err
	}
	defer c.close()
	layer, err := r.fetchLayer(ctx, c, ref, limits)
	if err != nil {
		return nil, err
	}
	_ = f.cache().put(layer.Digest, layer.Data) // a full disk must not fail a rebuild
	return layer, nil
}

func (r *address) fetchLayer(ctx context.Context, c *client, ref LayerRef, limits Limits) (*Layer, error) {
	repo, err := r.repository(c)
	if err != nil {
		return nil, err
	}
	reference, err := r.artifact(ctx, repo, ref)
	if err != nil {
		return nil, err
	}
	desc, err := repo.Resolve(ctx, reference)
	if errors.Is(err, errdef.ErrNotFound) {
		tags, _ := r.plainTags(ctx, repo)
		return nil, &NotFoundError{what: artifacts, Repository: r.display, Version: printable(reference), Near: nearNames(tags, reference)}
	}
	if err != nil {
		return nil, r.ociFailed(ctx, err)
	}
	layers, err := r.layers(ctx, repo, desc)
	if err != nil {
		return nil, err
	}
	chosen, err := r.chosen(layers, ref.MediaType, limits)
	if err != nil {
		return nil, err
	}
	if got := chosen.Digest.String(); ref.Digest != "" && got != ref.Digest {
		return nil, &InvalidError{Message: fmt.Sprintf("registry %s: the layer of %s has the digest %s, not %s", r.display, printable(reference), got, ref.Digest)}
	}
	data, err := r.blob(ctx, repo, chosen)
	if err != nil {
		return nil, err
	}
	return &Layer{Data: data, Manifest: desc.Digest.String(), Digest: chosen.Digest.String()}, nil
}

// chosen layer of a manifest.
func (r *address) chosen(layers []ocispec.Descriptor, mediaType string, limits Limits) (ocispec.Descriptor, error) {
	at := slices.IndexFunc(layers, func(l ocispec.Descriptor) bool { return mediaType == "" || l.MediaType == mediaType })
	if at < 0 {
		message := fmt.Sprintf("registry %s: the artifact has no layer", r.display)
		if len(layers) > 0 {
			message = fmt.Sprintf("registry %s: the artifact has no layer of the type %s but %s", r.display, printable(mediaType), printable(layers[0].MediaType))
		}
		return ocispec.Descriptor{}, &InvalidError{Message: message}
	}
	l := layers[at]
	switch {
	case l.Digest.Validate() != nil, l.Digest.Algorithm() != ocidigest.SHA256, l.Size < 0:
		return l, r.malformed()
	case l.Size > limits.ArchiveBytes:
		return l, fmt.Errorf("registry %s: the layer of the artifact is larger than %d bytes: %w", r.display, limits.ArchiveBytes, ErrLimit)
	}
	return l, nil
}

// artifact is the tag or digest to ask for. Tags are listed only for a range.
func (r *address) artifact(ctx context.Context, repo *remote.Repository, ref LayerRef) (string, error) {
	switch {
	case ref.Manifest != "":
		return ref.Manifest, nil
	case ref.SemVer == "":
		return cmp.Or(ref.Tag, "latest"), nil
	}
	choose, err := newest(ref.SemVer, ref.Filter)
	if err != nil {
		return "", err
	}
	tags, err := r.plainTags(ctx, repo)
	if err != nil {
		return "", err
	}
	if tag := choose(tags); tag != "" {
		return tag, nil
	}
	near, prerelease := nearVersions(tags)
	return "", &NotFoundError{what: artifacts, Repository: r.display, Version: printable(ref.SemVer), Near: near, Prerelease: prerelease}
}

// newest makes a choice among tags: the highest version of a range. Tags count when they
// are a full version, with or without a v, and match the filter.
func newest(text, filter string) (func(tags []string) string, error) {
	if len(text) > mostPattern || len(filter) > mostPattern {
		return nil, &InvalidError{Message: fmt.Sprintf("the range of versions or the filter of tags is longer than %d characters", mostPattern)}
	}
	within, err := semver.NewConstraint(text)
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("%q is not a range of versions", printable(text))}
	}
	matches, err := regexp.Compile(filter)
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("%q is not a regular expression", printable(filter))}
	}
	return func(tags []string) string {
		var best *semver.Version
		chosen := ""
		for _, tag := range tags {
			v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
			if err != nil || !matches.MatchString(tag) || !within.Check(v) {
				continue
			}
			if best == nil || v.GreaterThan(best) || v.Equal(best) && tag > chosen {
				best, chosen = v, tag
			}
		}
		return chosen
	}, nil
}
