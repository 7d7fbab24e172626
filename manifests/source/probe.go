package source

import (
	"context"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Probed is what one remote answered.
type Probed struct {
	// URL without credentials.
	URL string
	// Tip is the object that the reference leads to there: a commit, or an annotated tag.
	// It is empty when a commit was asked for by its hash.
	Tip string
	// Err is why it gave no answer, without credentials.
	Err error
}

// Probe asks the repository and then each mirror, by itself, where the wanted reference
// leads. It downloads nothing and writes nothing. Each gets as long as is given. An error is
// one of the options.
func Probe(ctx context.Context, o Options, each time.Duration) ([]Probed, error) {
	o.CacheDir = ""
	o.Limits = o.Limits.withDefaults()
	f, err := newFetch(o)
	if err != nil {
		return nil, err
	}
	answers := make([]Probed, 0, len(f.remotes))
	for _, r := range f.remotes {
		answers = append(answers, f.probe(ctx, r, each))
	}
	return answers, nil
}

func (f *fetch) probe(ctx context.Context, r *remote, each time.Duration) Probed {
	ctx, cancel := context.WithTimeoutCause(ctx, each, fmt.Errorf("no answer within %s: %w", each, context.DeadlineExceeded))
	defer cancel()
	answer := Probed{URL: r.display}
	err := recovered(func() error {
		tip, err := f.tip(ctx, r)
		if err == nil && !tip.IsZero() {
			answer.Tip = tip.String()
		}
		return err
	})
	if err != nil {
		answer.Err = f.scrub(ctx, err)
	}
	return answer
}

// tip of the wanted reference at a remote; zero for a commit that is pinned by its hash.
func (f *fetch) tip(ctx context.Context, r *remote) (plumbing.Hash, error) {
	pinned := !f.want.commit.IsZero() && !f.want.byTag
	if r.local() {
		repo, err := r.openLocal()
		if err != nil || pinned {
			return plumbing.ZeroHash, err
		}
		st := &store{
			object: func(h plumbing.Hash) (plumbing.EncodedObject, error) {
				return repo.Storer.EncodedObject(plumbing.AnyObject, h)
			},
			size: repo.Storer.EncodedObjectSize,
		}
		tip, _, err := r.resolveLocal(repo, st, f.want)
		return tip, err
	}
	session, adv, err := r.open(ctx, f.Limits)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer func() { _ = session.Close() }()
	if pinned {
		return plumbing.ZeroHash, nil
	}
	tip, _, err := r.resolve(adv, f.want)
	return tip, err
}
