package expand

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/source"
)

// otherRevision of the repository that is rendered. What does not move, a commit or a tag,
// is what a definition means and is fetched. A branch is what people follow: it is
// rendered from the pinned commit like everything else, because a run that reads several
// branches at their tips cannot say which state of the repository it made. Only a branch
// that a hydrator writes holds something else than the one that is rebuilt.
func (r *argoRenderer) otherRevision(ctx context.Context, q argocd.TreeRequest) (argocd.Tree, error) {
	remotes := r.options.Remotes
	if r.options.Git == nil || remotes == nil || remotes.Own.URL == "" || r.tool.snapshot.Commit == "" {
		if q.Hydrated {
			return argocd.Tree{}, fmt.Errorf("%w: it is rendered from the branch %s, which a hydrator writes and which is not fetched here", argocd.ErrUnavailable, shortened(q.Revision))
		}
		r.warn(r.revisionWarning(q.Revision))
		return r.here(), nil
	}
	asked, certain := fixed(q.Revision)
	if q.Hydrated {
		asked, certain = []flux.GitRequest{{Branch: q.Revision}}, true
	}
	for _, request := range asked {
		request.URL = remotes.Own.URL
		snap, err := r.options.Git.Fetch(ctx, request)
		switch gone := (*source.RefNotFoundError)(nil); {
		case err == nil:
			return r.at(snap), nil
		case errors.As(err, &gone) && q.Hydrated:
			return argocd.Tree{}, fmt.Errorf("%w: it is rendered from the branch %s, which does not exist before Argo CD's hydrator has written it", argocd.ErrUnavailable, shortened(q.Revision))
		case errors.As(err, &gone):
			continue
		case r.tool.snapshot.Stale && !certain && passing(err): // a branch as likely, and nobody answers
			r.warn(r.revisionWarning(q.Revision))
			return r.here(), nil
		}
		if skipped := (*skippedError)(nil); errors.As(err, &skipped) {
			return argocd.Tree{}, fmt.Errorf("%w: %s %w", argocd.ErrUnavailable, flux.Redacted(request.URL), skipped.Err)
		}
		return argocd.Tree{}, fmt.Errorf("%s at %q cannot be fetched: %w", flux.Redacted(request.URL), shortened(q.Revision), err)
	}
	r.warn(r.revisionWarning(q.Revision))
	return r.here(), nil
}

// at is another commit of the repository.
func (r *argoRenderer) at(snap *source.Snapshot) argocd.Tree {
	here := r.here()
	if snap.Commit == here.Commit {
		return here
	}
	return argocd.Tree{FS: snap.FS, URL: here.URL, Commit: snap.Commit}
}

// fixed are the ways to read a revision as something that does not move; none for what can
// only be a branch. certain says that it cannot be a branch.
func fixed(revision string) (asked []flux.GitRequest, certain bool) {
	switch {
	case fullCommit.MatchString(revision):
		return []flux.GitRequest{{Commit: revision}}, true
	case strings.HasPrefix(revision, "refs/tags/"):
		return []flux.GitRequest{{Name: revision}}, true
	case strings.HasPrefix(revision, "refs/"):
		return nil, false
	case versions.MatchString(revision):
		return []flux.GitRequest{{Tag: revision}, {SemVer: revision}}, true
	}
	return []flux.GitRequest{{Tag: revision}}, false
}
