package expand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/refloat-dev/refloat/manifests/chart"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/source"
)

// RemoteOptions say how other Git repositories, and artifacts in registries, are fetched.
// Mirrors and the cache of layers are those of charts.
type RemoteOptions struct {
	// CacheDir keeps packs of commits; "" keeps nothing. Whoever may use it may read what
	// is in it, whatever credentials they hold.
	CacheDir string
	// Own is the access to the repository that is rendered: it serves definitions that name
	// the same repository at another revision. Without a URL it serves none.
	Own source.Options
	// Pins of an earlier expansion: the same commits and artifacts are taken again, wherever
	// branches and tags lead now.
	Pins []SourcePin
	// AllowStale takes the commit that was fetched last when a remote gives no answer.
	AllowStale bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Limits of one repository; zero values mean 128 MiB packed, two minutes and the
	// defaults of package source. All repositories together may take four times as much.
	Limits source.Limits
}

// SourcePin is another repository or an artifact that was fetched: what was asked for and
// what came.
type SourcePin struct {
	// URL as the state names it, without credentials.
	URL string
	// Requested in words: "branch main", "semver 1.x", "tag latest".
	Requested string
	// Revision that came: a commit, or the digest of a manifest.
	Revision string
	// Digest of the layer of an artifact; "" for a repository.
	Digest string
}

// sourceKey is what is the same in two requests for one source.
type sourceKey struct{ url, requested string }

// Longest texts of a pin, which has to find room in the record of a run.
const (
	mostURL       = 2048
	mostRequested = 512
)

// remotes fetches for one expansion, each source once. It implements flux.Git and flux.OCI.
type remotes struct {
	options RemoteOptions
	bounds  Bounds
	partial bool
	mirrors []ChartMirror
	fetcher *chart.Fetcher
	pins    map[sourceKey]SourcePin

	mu       sync.Mutex
	taken    map[sourceKey]SourcePin
	warnings []string
	// What was fetched, and what could not be, by what was asked for and with which
	// credentials: what one may read must not serve another.
	repositories map[string]fetchedRepository
	artifacts    map[string]fetchedArtifact
	// packed and unpacked are the bytes that may still be held.
	packed, unpacked int64
}

type fetchedRepository struct {
	snapshot *source.Snapshot
	err      error
}

type fetchedArtifact struct {
	artifact *flux.OCIArtifact
	err      error
}

const (
	mostPacked   = 128 << 20
	mostUnpacked = 256 << 20
	// fetchTime for one repository.
	fetchTime = 2 * time.Minute
)

func newRemotes(o RemoteOptions, all Options) *remotes {
	helm := all.Helm
	if o.Limits.PackBytes <= 0 {
		o.Limits.PackBytes = mostPacked
	}
	if o.Limits.Duration <= 0 {
		o.Limits.Duration = fetchTime
	}
	r := &remotes{
		options: o, bounds: all.Bounds, partial: all.Partial, mirrors: helm.Mirrors,
		fetcher: &chart.Fetcher{CacheDir: helm.CacheDir, Limits: chart.Limits{FetchTime: o.Limits.Duration}},
		pins:    map[sourceKey]SourcePin{}, taken: map[sourceKey]SourcePin{},
		repositories: map[string]fetchedRepository{}, artifacts: map[string]fetchedArtifact{},
		packed: 4 * o.Limits.PackBytes, unpacked: mostUnpacked,
	}
	for _, p := range o.Pins {
		r.pins[sourceKey{p.URL, p.Requested}] = p
	}
	return r
}

// Taken lists the sources that were fetched, sorted.
func (r *remotes) Taken() []SourcePin {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.taken), func(a, b SourcePin) int {
		return cmp.Or(strings.Compare(a.URL, b.URL), strings.Compare(a.Requested, b.Requested))
	})
}

// Warnings about what was fetched.
func (r *remotes) Warnings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.warnings)
}

// pinned is what was taken for the same request, in this expansion or in an earlier one.
func (r *remotes) pinned(key sourceKey) (SourcePin, bool) {
	if p, ok := r.taken[key]; ok {
		return p, true
	}
	p, ok := r.pins[key]
	return p, ok
}

// recordable is false for what would find no room in the record of a run.
func (k sourceKey) recordable() error {
	if len(k.url) > mostURL || len(k.requested) > mostRequested {
		return fmt.Errorf("its address is longer than %d characters, or what it asks for longer than %d", mostURL, mostRequested)
	}
	return nil
}

// Fetch implements flux.Git.
func (r *remotes) Fetch(ctx context.Context, q flux.GitRequest) (*source.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := sourceKey{flux.Redacted(q.URL), requestedOf(q)}
	held := fmt.Sprintf("%s\x00%s\x00%s", q.URL, key.requested, fingerprint(q))
	if got, ok := r.repositories[held]; ok {
		return got.snapshot, got.err
	}
	if err := key.recordable(); err != nil {
		return nil, err
	}
	if held, asked := r.holding(); held >= r.bounds.Repositories || asked >= 4*r.bounds.Repositories {
		return nil, fmt.Errorf("more than %d other repositories are named, or revisions of them: render fewer in one plan", r.bounds.Repositories)
	}
	snapshot, err := r.read(ctx, key, q)
	unread := (*unreadError)(nil)
	err = r.forgiven(ctx, err, errors.As(err, &unread), q.Provider)
	if ctx.Err() != nil || passing(err) {
		return nil, err // it may go better another time
	}
	r.repositories[held] = fetchedRepository{snapshot, err}
	if err != nil {
		return nil, err
	}
	r.taken[key] = SourcePin{URL: key.url, Requested: key.requested, Revision: snapshot.Commit}
	r.packed -= snapshot.PackBytes
	r.warnings = append(r.warnings, snapshot.Warnings...)
	return snapshot, nil
}

// holding counts the repositories that were fetched, and all that were asked for.
func (r *remotes) holding() (held, asked int) {
	for _, got := range r.repositories {
		if got.err == nil {
			held++
		}
	}
	return held, len(r.repositories)
}

// read a repository at the first of the references that it has.
func (r *remotes) read(ctx context.Context, key sourceKey, q flux.GitRequest) (*source.Snapshot, error) {
	o, err := r.access(q)
	if err != nil {
		return nil, err
	}
	if o.Limits.PackBytes = min(o.Limits.PackBytes, r.packed); o.Limits.PackBytes <= 0 {
		return nil, fmt.Errorf("all other repositories together are larger than %d bytes: %w", 4*r.options.Limits.PackBytes, source.ErrLimit)
	}
	var first error
	for _, alternative := range alternatives(q) {
		at := o
		at.Branch, at.Tag, at.SemVer, at.Name, at.Commit = alternative.Branch, alternative.Tag, alternative.SemVer, alternative.Name, alternative.Commit
		if pin, ok := r.pinned(key); ok {
			at.Commit = pin.Revision
			if at.Verify == nil { // whose reference a signature may need
				at.Branch, at.Tag, at.SemVer, at.Name = "", "", "", ""
			}
		}
		snapshot, err := source.Fetch(ctx, at)
		if err == nil {
			return snapshot, nil
		}
		if first == nil {
			first = err
		}
		var gone *source.RefNotFoundError
		if !errors.As(err, &gone) {
			return nil, r.explain(ctx, at, err)
		}
	}
	return nil, first
}

// explain says what to do about a remote that was not read. Only silence may pass.
func (r *remotes) explain(ctx context.Context, o source.Options, err error) error {
	var unreachable *source.UnreachableError
	switch {
	case ctx.Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return &source.UnreachableError{URL: flux.Redacted(o.URL), Reason: fmt.Sprintf("it did not answer within %s", o.Limits.Duration), Why: source.NoAnswer}
	case !errors.As(err, &unreachable) || unreachable.Silent():
		return err
	}
	message := err.Error()
	if a := o.Auth; unreachable.Why != source.NotTrusted && a.Username == "" && a.Password == "" && a.BearerToken == "" && len(a.SSHIdentity) == 0 {
		message += "; it was asked without any: add the Secret that holds them to the seeds, and name it where the repository is defined"
	}
	return &unreadError{message}
}

// unreadError is about a remote that answered and gave nothing.
type unreadError struct{ message string }

func (e *unreadError) Error() string { return e.message }

// forgiven makes what cannot be read a matter of the definition that names it: for those
// who only look at a state, and where only the tool on the cluster gets the token that a
// server asks for.
func (r *remotes) forgiven(ctx context.Context, err error, denied bool, provider string) error {
	switch tokens := provider != "" && provider != "generic"; {
	case err == nil, ctx.Err() != nil:
		return err
	case denied && tokens:
		err = fmt.Errorf("is read with tokens of %s, which only the tool on the cluster gets: %w", shortened(provider), err)
	case r.partial && (denied || passing(err)):
		err = fmt.Errorf("is left out: %w", err)
	default:
		return err
	}
	return &flux.SkippedError{Err: errors.New(err.Error())} // not wrapped: it is not asked again
}
