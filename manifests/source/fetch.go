package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxMirrors bounds what one fetch may try.
const maxMirrors = 16

// fetch is one fetch under way.
type fetch struct {
	Options
	// remotes to try, the repository itself first.
	remotes  []*remote
	want     target
	verifier *verifier
	packs    packCache
	// above are the repositories that this one is a submodule of, outermost first.
	above []string
	// budget is shared with all submodules.
	budget *budget
}

func newFetch(o Options) (*fetch, error) {
	f := &fetch{Options: o}
	if len(o.Mirrors) > maxMirrors {
		return nil, fmt.Errorf("%d mirrors are given, more than %d", len(o.Mirrors), maxMirrors)
	}
	for _, m := range append([]Mirror{{URL: o.URL, Auth: o.Auth}}, o.Mirrors...) {
		r, err := parseRemote(m.URL, m.Auth)
		if err != nil {
			return nil, err
		}
		f.remotes = append(f.remotes, r)
	}
	var err error
	if f.want, err = o.want(); err == nil {
		f.verifier, err = newVerifier(o.Verify, f.want)
	}
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", f.main().display, err)
	}
	f.packs = packCache{dir: o.CacheDir, url: f.main().identity, limits: o.Limits}
	f.budget = &budget{bytes: o.Limits.PackBytes, modules: o.Limits.Submodules}
	return f, nil
}

func (f *fetch) main() *remote { return f.remotes[0] }

// scrub takes the credentials of every remote out of an error.
func (f *fetch) scrub(ctx context.Context, err error) error {
	for _, r := range f.remotes {
		err = r.scrub(ctx, err)
	}
	return err
}

// run finds the commit, checks it and makes the snapshot.
func (f *fetch) run(ctx context.Context) (*Snapshot, error) {
	got, notes, err := f.find(ctx)
	if err != nil {
		return nil, err
	}
	snap := &Snapshot{
		URL: f.main().display, Ref: got.ref, Commit: got.commit.String(), From: got.from, FetchedAt: got.at, Warnings: notes.warnings, Stale: notes.stale,
	}
	if snap.SignedBy, err = f.verifier.check(got, f.main().display); err != nil {
		return nil, err
	}
	below, err := f.submodules(ctx, got)
	if err != nil {
		return nil, err
	}
	tree, err := newTree(got.store, got.commit, below, f.Limits)
	if err != nil {
		return nil, fmt.Errorf("repository %s, commit %s: %w", f.main().display, got.commit, err)
	}
	snap.FS, snap.CommitTime = tree, tree.time
	snap.PackBytes = f.Limits.PackBytes - f.budget.bytes
	snap.Warnings = append(snap.Warnings, tree.warnings...)
	if notes.stale {
		snap.Warnings = append([]string{f.staleWarning(snap, notes.cause)}, snap.Warnings...)
	}
	return snap, nil
}

// notes on how a commit was found.
type notes struct {
	warnings []string
	stale    bool
	cause    error
}

// find takes a pinned commit from the cache, else asks the remotes in order, else,
// when allowed, takes the last fetched commit.
func (f *fetch) find(ctx context.Context) (fetched, notes, error) {
	if got, ok := f.pinned(ctx); ok {
		return got, notes{}, nil
	}
	var failures []error
	for i, r := range f.remotes {
		got, err := f.from(ctx, r)
		if err == nil {
			return got, notes{warnings: f.skipped(failures, r)}, nil
		}
		failures = append(failures, f.scrub(ctx, err))
		if !tryNext(err) || ctx.Err() != nil {
			if i == 0 {
				return fetched{}, notes{}, err
			}
			break
		}
	}
	cause := combined(f.main().display, failures)
	if f.AllowStale && silent(failures) {
		if got, ok := f.lastFetched(ctx); ok {
			return got, notes{stale: true, cause: cause}, nil
		}
	}
	return fetched{}, notes{}, cause
}

// pinned takes a commit that was asked for by its hash from the cache.
func (f *fetch) pinned(ctx context.Context) (fetched, bool) {
	if f.want.commit.IsZero() {
		return fetched{}, false
	}
	got := fetched{commit: f.want.commit, ref: f.want.String(), from: f.main().display}
	if got.tags = f.packs.loadTags(f.want.commit); f.verifier.needsTag() && !f.want.leads(got.tags) {
		return fetched{}, false
	}
	if got.store = f.packs.load(ctx, f.want.commit, f.budget); got.store == nil {
		return fetched{}, false
	}
	if rec, ok := f.packs.commitRecord(f.want.commit); ok {
		got.from, got.at = rec.From, rec.FetchedAt
	}
	return got, true
}

// lastFetched takes the commit that the same reference led to when it was last read.
func (f *fetch) lastFetched(ctx context.Context) (fetched, bool) {
	rec, ok := f.packs.refRecord(f.want)
	if !ok {
		return fetched{}, false
	}
	got := fetched{commit: rec.hash(), ref: rec.Ref, from: rec.From, at: rec.FetchedAt, tags: f.packs.loadTags(rec.hash())}
	got.store = f.packs.load(ctx, got.commit, f.budget)
	return got, got.store != nil
}

// from reads one remote within its share of the time.
func (f *fetch) from(ctx context.Context, r *remote) (fetched, error) {
	share := f.Limits.Duration / time.Duration(len(f.remotes))
	ctx, cancel := context.WithTimeoutCause(ctx, share, fmt.Errorf("fetching took longer than %s: %w", share, context.DeadlineExceeded))
	defer cancel()
	got, err := f.read(ctx, r)
	if err != nil && context.Cause(ctx) != nil {
		return fetched{}, fmt.Errorf("repository %s: %w", r.display, context.Cause(ctx))
	}
	return got, err
}

func (f *fetch) read(ctx context.Context, r *remote) (fetched, error) {
	limits := f.Limits
	limits.PackBytes = f.budget.bytes
	if r.local() {
		got, err := fetchLocal(ctx, r, f.want, f.CacheDir != "", limits)
		if err != nil {
			return fetched{}, err
		}
		return f.keep(got, r)
	}
	got, err := r.download(ctx, f.want, limits)
	if err != nil {
		return fetched{}, err
	}
	if err := got.store.complete(ctx, got.commit); err != nil {
		return fetched{}, fmt.Errorf("repository %s: commit %s arrived incomplete: %w", r.display, got.commit, err)
	}
	return f.keep(got, r)
}

// keep puts what was fetched into the cache.
func (f *fetch) keep(got fetched, r *remote) (fetched, error) {
	got.from, got.at = r.display, f.Now().UTC()
	f.budget.bytes -= int64(len(got.pack))
	if err := f.packs.save(got, f.want); err != nil {
		return fetched{}, fmt.Errorf("keep commit %s in the cache: %w", got.commit, err)
	}
	return got, nil
}

// skipped says why a mirror served.
func (f *fetch) skipped(failures []error, served *remote) []string {
	var warnings []string
	for _, err := range failures {
		warnings = append(warnings, fmt.Sprintf("%v; mirror %s was read instead", err, served.display))
	}
	return warnings
}

func (f *fetch) staleWarning(snap *Snapshot, cause error) string {
	now := f.Now()
	return fmt.Sprintf("remote unreachable: commit %.12s of %s, fetched %s ago (%s), was made %s ago; what was pushed since is not in it (%v)",
		snap.Commit, snap.Ref, age(now, snap.FetchedAt), snap.FetchedAt.Format(time.RFC3339), age(now, snap.CommitTime), cause)
}

// age in words that are exact enough for a decision.
func age(now, then time.Time) string {
	switch d := now.Sub(then); {
	case d < 0:
		return "0 seconds"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// tryNext says whether a mirror may hold what one remote did not give. A commit is the
// same wherever it comes from; a branch or tag that is gone is an answer.
func tryNext(err error) bool {
	var (
		unreachable *UnreachableError
		missing     *CommitNotFoundError
	)
	return errors.As(err, &unreachable) || errors.As(err, &missing) || errors.Is(err, context.DeadlineExceeded)
}

// silent says whether no remote gave any answer.
func silent(failures []error) bool {
	for _, err := range failures {
		var unreachable *UnreachableError
		if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &unreachable) && unreachable.Silent()) {
			continue
		}
		return false
	}
	return true
}

// combined is the error of remotes that all failed.
func combined(url string, failures []error) error {
	if len(failures) == 1 {
		return failures[0]
	}
	all := &UnreachableError{URL: url, Why: NoAnswer}
	texts := make([]string, len(failures))
	var final *scrubbedError
	for i, err := range failures {
		texts[i] = err.Error()
		var one *UnreachableError
		if errors.As(err, &one) {
			texts[i] = one.URL + ": " + one.Reason
			if !one.Silent() {
				all.Why = one.Why
			}
		} else if kind := kindOf(err); !errors.Is(err, context.DeadlineExceeded) && final == nil {
			final = &scrubbedError{kind: kind}
		}
	}
	all.Reason = strings.Join(texts, "; ")
	if final != nil {
		// What is no matter of reaching a remote decides what callers do.
		final.message = fmt.Sprintf("no remote of %s gave what was asked for: %s", url, all.Reason)
		return final
	}
	return all
}
