package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	ocidigest "github.com/opencontainers/go-digest"
	sigsyaml "sigs.k8s.io/yaml"
)

// index is what a chart repository says that it has, as far as it matters here.
type index struct {
	Entries map[string][]indexEntry `json:"entries"`
}

type indexEntry struct {
	Version string   `json:"version"`
	Digest  string   `json:"digest"`
	URLs    []string `json:"urls"`
}

// fetchHTTP gets an archive by way of the repository's index.
func (f *Fetcher) fetchHTTP(ctx context.Context, r *address, c *client, limits Limits) ([]byte, error) {
	idx, err := f.index(ctx, r, c, limits)
	if err != nil {
		return nil, err
	}
	entry, err := r.choose(idx)
	if err != nil {
		return nil, err
	}
	at, err := r.archiveURL(entry)
	if err != nil {
		return nil, err
	}
	data, err := r.get(ctx, c, at, r.ref.PassCredentials || sameOrigin(at, r.url), limits.ArchiveBytes, "archive of chart "+printable(r.ref.Name))
	if errors.Is(err, errNotThere) {
		return nil, &InvalidError{Message: fmt.Sprintf("chart repository %s lists chart %s %s but does not have its archive: the index is out of date",
			r.display, r.ref.Name, printable(entry.Version))}
	}
	if err != nil {
		return nil, err
	}
	want := strings.TrimPrefix(entry.Digest, "sha256:")
	if got := ocidigest.FromBytes(data).Encoded(); want != "" && !strings.EqualFold(want, got) {
		return nil, &DigestError{Repository: r.display, Name: r.ref.Name, Version: printable(entry.Version), Want: "sha256:" + printable(want), Got: "sha256:" + got}
	}
	return data, nil
}

// choose the entry of the index that the reference asks for.
func (r *address) choose(idx *index) (indexEntry, error) {
	entries := idx.Entries[r.ref.Name]
	if len(entries) == 0 {
		names := make([]string, 0, len(idx.Entries))
		for name := range idx.Entries {
			names = append(names, name)
		}
		return indexEntry{}, &NotFoundError{Repository: r.display, Name: printable(r.ref.Name), Near: nearNames(names, r.ref.Name)}
	}
	versions := make([]string, len(entries))
	for i, e := range entries {
		versions[i] = e.Version
	}
	version, ok, err := pick(versions, r.ref.Version)
	if err != nil {
		return indexEntry{}, err
	}
	if !ok {
		return indexEntry{}, r.noVersion(versions)
	}
	for _, e := range entries {
		if e.Version == version {
			return e, nil
		}
	}
	return indexEntry{}, r.noVersion(versions)
}

func (r *address) noVersion(versions []string) error {
	near, prerelease := nearVersions(versions)
	want := r.ref.Version
	if want == "" {
		want = "*"
	}
	return &NotFoundError{Repository: r.display, Name: printable(r.ref.Name), Version: printable(want), Near: near, Prerelease: prerelease}
}

// archiveURL is where the archive is. Relative addresses are relative to the repository.
func (r *address) archiveURL(e indexEntry) (*url.URL, error) {
	for _, text := range e.URLs {
		if rest, ok := strings.CutPrefix(text, strings.TrimRight(r.ref.Original, "/")+"/"); ok && r.ref.Original != "" {
			text = rest
		}
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		base := *r.url
		base.Path = strings.TrimRight(base.Path, "/") + "/"
		at := base.ResolveReference(u)
		if at.RawQuery == "" && sameOrigin(at, r.url) {
			at.RawQuery = r.url.RawQuery
		}
		if at.Scheme == "https" || (at.Scheme == "http" && r.url.Scheme == "http") {
			at.User = nil
			return at, nil
		}
	}
	return nil, &InvalidError{Message: fmt.Sprintf("chart repository %s gives no address for chart %s %s that can be used: "+
		"it must be https, or http in a repository without encryption", r.display, printable(r.ref.Name), printable(e.Version))}
}

// index reads the repository's index, once.
func (f *Fetcher) index(ctx context.Context, r *address, c *client, limits Limits) (*index, error) {
	slot := f.slot(r)
	select {
	case slot.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, r.failed(ctx, ctx.Err())
	}
	defer func() { <-slot.busy }()
	if slot.index != nil {
		return slot.index, nil
	}
	at := *r.url
	at.Path = strings.TrimRight(at.Path, "/") + "/index.yaml"
	data, err := r.get(ctx, c, &at, true, limits.IndexBytes, "index")
	if errors.Is(err, errNotThere) {
		return nil, &InvalidError{Message: fmt.Sprintf("chart repository %s has no index.yaml: check the address", r.display)}
	}
	if err != nil {
		return nil, err
	}
	idx, err := parseIndex(data)
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("chart repository %s: its index.yaml is not one: %s", r.display, r.secrets.clean(err.Error()))}
	}
	slot.index = idx
	return idx, nil
}

func parseIndex(data []byte) (idx *index, err error) {
	defer func() {
		if p := recover(); p != nil {
			idx, err = nil, fmt.Errorf("the parser failed on it: %v", p)
		}
	}()
	idx = &index{}
	if json.Valid(data) {
		err = json.Unmarshal(data, idx)
	} else {
		err = sigsyaml.Unmarshal(data, idx)
	}
	if err == nil && idx.Entries == nil {
		err = errors.New("it has no entries")
	}
	return idx, err
}
