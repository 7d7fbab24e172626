package chart

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Fetcher gets charts from repositories. An index is read once in the life of a
// Fetcher: make a new one for each run, so that a run sees each repository as it was
// at one moment. It may be used from many goroutines.
type Fetcher struct {
	// CacheDir keeps archives by digest; "" keeps nothing.
	CacheDir string
	// CacheBytes is how large CacheDir may grow: 512 MiB when it is 0.
	CacheBytes int64
	Limits     Limits

	mu      sync.Mutex
	indexes map[string]*indexSlot
}

// indexSlot holds one index; whoever holds busy may read it.
type indexSlot struct {
	busy  chan struct{}
	index *index
}

var errFetchTime = errors.New("the time to fetch a chart is over")

// Fetched is a chart and what to pin to get it again.
type Fetched struct {
	Chart  *Chart
	Pinned Pinned
}

// Fetch gets a chart. With a Digest whose archive is in the cache, no network is used.
// Errors are *UnreachableError, *DeniedError, *NotFoundError, *DigestError,
// *InvalidError, or wrap ErrLimit or the cause of ctx.
func (f *Fetcher) Fetch(ctx context.Context, ref Ref) (*Fetched, error) {
	r, err := newAddress(ref)
	if err != nil {
		return nil, err
	}
	limits := f.Limits.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, limits.FetchTime, errFetchTime)
	defer cancel()
	if ref.Digest != "" {
		if data, ok := f.cache().get(ref.Digest, limits.ArchiveBytes); ok {
			return r.fetched(data, ref.Manifest, limits)
		}
	}
	c, err := newClient(r.ref.Auth)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var data []byte
	manifest := ""
	if r.url.Scheme == "oci" {
		data, manifest, err = f.fetchOCI(ctx, r, c, limits)
	} else {
		data, err = f.fetchHTTP(ctx, r, c, limits)
	}
	if err != nil {
		return nil, err
	}
	if got := digestOf(data); ref.Digest != "" && got != ref.Digest {
		return nil, &DigestError{Repository: r.display, Name: ref.Name, Version: ref.Version, Want: ref.Digest, Got: got}
	}
	fetched, err := r.fetched(data, manifest, limits)
	if err != nil {
		return nil, err
	}
	_ = f.cache().put(fetched.Pinned.Digest, data) // a full disk must not fail a rebuild
	return fetched, nil
}

// fetched opens an archive. Its own Chart.yaml says which version it is.
func (r *address) fetched(data []byte, manifest string, limits Limits) (*Fetched, error) {
	c, err := FromArchive(data, limits)
	if err != nil {
		return nil, fmt.Errorf("chart %s of %s: %w", printable(r.ref.Name), r.display, err)
	}
	return &Fetched{Chart: c, Pinned: Pinned{
		Repository: r.display, Name: r.ref.Name, Version: c.Version, Digest: digestOf(data), Manifest: manifest,
		PlainHTTP: r.ref.PlainHTTP,
	}}, nil
}

func (f *Fetcher) cache() cache {
	most := f.CacheBytes
	if most <= 0 {
		most = 512 << 20
	}
	return cache{dir: f.CacheDir, most: most}
}

// slot returns the place of one repository's index, seen with one set of credentials.
func (f *Fetcher) slot(r *address) *indexSlot {
	key := r.url.String() + " " + r.ref.Auth.fingerprint()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.indexes[key]
	if s == nil {
		s = &indexSlot{busy: make(chan struct{}, 1)}
		if f.indexes == nil {
			f.indexes = map[string]*indexSlot{}
		}
		f.indexes[key] = s
	}
	return s
}
