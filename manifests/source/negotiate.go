package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// download gets the wanted commit from a remote: itself alone when the server
// allows that, else out of the history of every branch and tag.
func (r *remote) download(ctx context.Context, want target, limits Limits) (fetched, error) {
	session, adv, err := r.open(ctx, limits)
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = session.Close() }()

	if want.commit.IsZero() || want.byTag {
		tip, ref, err := r.resolve(adv, want)
		if err != nil {
			return fetched{}, err
		}
		got, err := r.single(ctx, session, adv, tip, ref, limits)
		if err == nil && !want.commit.IsZero() && got.commit != want.commit {
			return fetched{}, movedTag(r.display, ref, got.commit, want.commit)
		}
		return got, err
	}
	if offers(adv, want.commit) {
		got, err := r.single(ctx, session, adv, want.commit, want.String(), limits)
		if err == nil || !refused(err) {
			return got, err
		}
	}
	_ = session.Close()
	return r.fromHistory(ctx, want, limits)
}

// open asks the remote for its references.
func (r *remote) open(ctx context.Context, limits Limits) (transport.UploadPackSession, *packp.AdvRefs, error) {
	var (
		session transport.UploadPackSession
		err     error
	)
	if r.endpoint.Protocol == "ssh" {
		session, err = r.sshSession(ctx, limits)
	} else {
		session, err = r.httpSession(limits)
	}
	if err != nil {
		return nil, nil, r.unreachable(err)
	}
	adv, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		_ = session.Close()
		return nil, nil, r.unreachable(err)
	}
	return session, adv, nil
}

// resolve finds the object to ask for, the tag object for an annotated tag, and the reference's name.
func (r *remote) resolve(adv *packp.AdvRefs, want target) (plumbing.Hash, string, error) {
	names := make([]string, 0, len(adv.References))
	for name := range adv.References {
		names = append(names, name)
	}
	ref := want.ref
	switch {
	case want.semver != nil:
		of := func(name string) plumbing.Hash {
			if peeled, ok := adv.Peeled[name]; ok {
				return peeled
			}
			return adv.References[name]
		}
		best, err := want.semver.newest(r.display, names, func(name string) bool {
			return want.commit.IsZero() || of(name) == want.commit
		})
		if err != nil {
			return plumbing.ZeroHash, "", err
		}
		ref = plumbing.ReferenceName(best)
	case ref == "" && adv.Head == nil:
		return plumbing.ZeroHash, "", fmt.Errorf("repository %s has no default branch: say which branch to read", r.display)
	case ref == "":
		return *adv.Head, want.String(), nil
	}
	if hash, ok := adv.References[ref.String()]; ok {
		return hash, ref.String(), nil
	}
	return plumbing.ZeroHash, "", refNotFound(r.display, ref, names)
}

// refNotFound names references of the same sort that look alike.
func refNotFound(url string, want plumbing.ReferenceName, names []string) error {
	kind, prefix, short := "branch", "refs/heads/", want.Short()
	switch {
	case want.IsTag():
		kind, prefix = "tag", "refs/tags/"
	case !want.IsBranch():
		kind, prefix, short = "reference", "refs/", want.String()
	}
	var same []string
	for _, n := range names {
		if after, ok := strings.CutPrefix(n, prefix); ok {
			same = append(same, after)
		}
	}
	slices.Sort(same)
	return &RefNotFoundError{
		URL: url, Ref: fmt.Sprintf("%s %q", kind, short), Near: near(strings.TrimPrefix(short, prefix), same),
	}
}

// offers says whether the server lets this commit be asked for by itself.
func offers(adv *packp.AdvRefs, commit plumbing.Hash) bool {
	if adv.Capabilities.Supports(capability.AllowReachableSHA1InWant) ||
		adv.Capabilities.Supports(capability.AllowTipSHA1InWant) {
		return true
	}
	if adv.Head != nil && *adv.Head == commit {
		return true
	}
	for _, hash := range adv.References {
		if hash == commit {
			return true
		}
	}
	return false
}

// refused says whether the server answered that it does not give this object.
func refused(err error) bool {
	var line *pktline.ErrorLine
	if errors.As(err, &line) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "not our ref") || strings.Contains(text, "unadvertised object") ||
		errors.Is(err, transport.ErrEmptyUploadPackRequest) || errors.Is(err, io.ErrUnexpectedEOF)
}

// single gets one object without history.
func (r *remote) single(ctx context.Context, session transport.UploadPackSession, adv *packp.AdvRefs,
	tip plumbing.Hash, ref string, limits Limits,
) (fetched, error) {
	depth := 1
	if !adv.Capabilities.Supports(capability.Shallow) {
		depth = 0
	}
	pack, err := receive(ctx, session, adv, []plumbing.Hash{tip}, depth)
	if err != nil {
		return fetched{}, r.interrupted(err, ref+": read its objects")
	}
	st, err := openPack(ctx, pack, limits)
	if err != nil {
		return fetched{}, fmt.Errorf("repository %s, %s: %w", r.display, ref, err)
	}
	commit, tags, err := st.peel(tip)
	if err != nil {
		return fetched{}, fmt.Errorf("repository %s, %s: %w", r.display, ref, err)
	}
	return fetched{commit: commit, ref: ref, pack: pack, store: st, tags: tags}, nil
}

// fromHistory reads all branches and tags with their history and takes the commit out of it.
func (r *remote) fromHistory(ctx context.Context, want target, limits Limits) (fetched, error) {
	session, adv, err := r.open(ctx, limits)
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = session.Close() }()

	pack, err := receive(ctx, session, adv, tips(adv), 0)
	if err != nil {
		return fetched{}, r.interrupted(err, fmt.Sprintf("read its history to find commit %s", want.commit))
	}
	all, err := openPack(ctx, pack, limits)
	if err != nil {
		return fetched{}, fmt.Errorf("repository %s: %w", r.display, err)
	}
	if _, err := all.commit(want.commit); err != nil {
		return fetched{}, &CommitNotFoundError{URL: r.display, Commit: want.commit.String()}
	}
	alone, err := all.extract(ctx, want.commit, limits)
	if err != nil {
		return fetched{}, fmt.Errorf("repository %s, commit %s: %w", r.display, want.commit, err)
	}
	st, err := openPack(ctx, alone, limits)
	if err != nil {
		return fetched{}, fmt.Errorf("repository %s, commit %s: %w", r.display, want.commit, err)
	}
	return fetched{commit: want.commit, ref: want.String(), pack: alone, store: st}, nil
}

// tips are the distinct objects that branches and tags point to, in a fixed order.
func tips(adv *packp.AdvRefs) []plumbing.Hash {
	seen := map[plumbing.Hash]bool{}
	var all []plumbing.Hash
	for name, hash := range adv.References {
		if (strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/")) && !seen[hash] {
			seen[hash] = true
			all = append(all, hash)
		}
	}
	plumbing.HashesSort(all)
	return all
}

// receive asks for objects and reads the pack that answers. depth 0 means all history.
func receive(ctx context.Context, session transport.UploadPackSession, adv *packp.AdvRefs,
	wants []plumbing.Hash, depth int,
) ([]byte, error) {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Wants = wants
	if depth > 0 {
		req.Depth = packp.DepthCommits(depth)
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return nil, err
		}
	}
	if adv.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return nil, err
		}
	}
	response, err := session.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Close() }()

	var pack bytes.Buffer
	if _, err := pack.ReadFrom(demultiplexed(req.Capabilities, response)); err != nil {
		return nil, err
	}
	if pack.Len() == 0 {
		return nil, transport.ErrEmptyUploadPackRequest
	}
	return pack.Bytes(), nil
}

func demultiplexed(caps *capability.List, r io.Reader) io.Reader {
	switch {
	case caps.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}
