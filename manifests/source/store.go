package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
)

// maxTagChain bounds tags that point to tags.
const maxTagChain = 10

// store reads objects by hash, one at a time: go-git's readers are not safe for concurrent use.
type store struct {
	mu     sync.Mutex
	object func(plumbing.Hash) (plumbing.EncodedObject, error)
	size   func(plumbing.Hash) (int64, error)
}

// read returns an object's content, and an error when it is of another type or larger than limit.
func (s *store) read(kind plumbing.ObjectType, hash plumbing.Hash, limit int64) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var content []byte
	err := recovered(func() error {
		size, err := s.size(hash)
		if err != nil {
			return err
		}
		if size > limit {
			return fmt.Errorf("%d bytes, more than %d: %w", size, limit, ErrLimit)
		}
		o, err := s.object(hash)
		if err != nil {
			return err
		}
		if o.Type() != kind {
			return fmt.Errorf("object %s is a %s, not a %s", hash, o.Type(), kind)
		}
		r, err := o.Reader()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		content, err = io.ReadAll(io.LimitReader(r, limit+1))
		return err
	})
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, ErrLimit)
	}
	return content, err
}

func (s *store) sizeOf(hash plumbing.Hash) (size int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = recovered(func() error {
		size, err = s.size(hash)
		return err
	})
	return size, err
}

// metadataBytes bounds commits, tags and trees, which are read whole.
const metadataBytes = 32 << 20

func (s *store) decode(kind plumbing.ObjectType, hash plumbing.Hash, into interface {
	Decode(plumbing.EncodedObject) error
}) error {
	content, err := s.read(kind, hash, metadataBytes)
	if err != nil {
		return err
	}
	encoded := &plumbing.MemoryObject{}
	encoded.SetType(kind)
	if _, err := encoded.Write(content); err != nil {
		return err
	}
	return recovered(func() error { return into.Decode(encoded) })
}

func (s *store) commit(hash plumbing.Hash) (*object.Commit, error) {
	c := &object.Commit{}
	if err := s.decode(plumbing.CommitObject, hash, c); err != nil {
		return nil, fmt.Errorf("read commit %s: %w", hash, err)
	}
	return c, nil
}

func (s *store) tree(hash plumbing.Hash) (*object.Tree, error) {
	t := &object.Tree{}
	if err := s.decode(plumbing.TreeObject, hash, t); err != nil {
		return nil, fmt.Errorf("read tree %s: %w", hash, err)
	}
	return t, nil
}

// peel follows annotated tags to the commit. It returns the tag objects on the way too.
func (s *store) peel(hash plumbing.Hash) (plumbing.Hash, [][]byte, error) {
	var tags [][]byte
	for range maxTagChain {
		if _, err := s.commit(hash); err == nil {
			return hash, tags, nil
		}
		raw, err := s.read(plumbing.TagObject, hash, maxTagBytes)
		if err != nil {
			return plumbing.ZeroHash, nil, fmt.Errorf("object %s is neither a commit nor a tag of one: %w", hash, err)
		}
		tag, err := parseTag(raw)
		if err != nil {
			return plumbing.ZeroHash, nil, fmt.Errorf("tag object %s: %w", hash, err)
		}
		tags = append(tags, raw)
		hash = tag.target
	}
	return plumbing.ZeroHash, nil, errors.New("the tag points to tags without end")
}

// extract packs one commit without its history.
func (s *store) extract(ctx context.Context, commit plumbing.Hash, limits Limits) ([]byte, error) {
	c, err := s.commit(commit)
	if err != nil {
		return nil, err
	}
	hashes := []plumbing.Hash{commit}
	seen := map[plumbing.Hash]bool{}
	queue := []plumbing.Hash{c.TreeHash}
	for len(queue) > 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		hash := queue[0]
		queue = queue[1:]
		if seen[hash] {
			continue
		}
		seen[hash] = true
		hashes = append(hashes, hash)
		if len(hashes) > limits.Objects {
			return nil, fmt.Errorf("more than %d objects: %w", limits.Objects, ErrLimit)
		}
		t, err := s.tree(hash)
		if err != nil {
			return nil, err
		}
		for _, e := range t.Entries {
			switch {
			case e.Mode == filemode.Dir:
				queue = append(queue, e.Hash)
			case e.Mode != filemode.Submodule && !seen[e.Hash]:
				seen[e.Hash] = true
				hashes = append(hashes, e.Hash)
			}
		}
	}
	return s.encode(ctx, hashes, limits)
}

// encode writes objects as a pack without deltas.
func (s *store) encode(ctx context.Context, hashes []plumbing.Hash, limits Limits) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pack bytes.Buffer
	err := recovered(func() error {
		view := &objectView{Storage: *memory.NewStorage(), store: s, ctx: ctx}
		_, err := packfile.NewEncoder(&boundedWriter{w: &pack, left: limits.PackBytes}, view, false).Encode(hashes, 0)
		return err
	})
	return pack.Bytes(), err
}

// objectView is the part of a storage that the pack encoder uses.
type objectView struct {
	memory.Storage
	store *store
	ctx   context.Context
}

// EncodedObject implements storer.EncodedObjectStorer.
func (v *objectView) EncodedObject(_ plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	if v.ctx.Err() != nil {
		return nil, context.Cause(v.ctx)
	}
	return v.store.object(h)
}

type boundedWriter struct {
	w    io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("the commit's objects take too many bytes: %w", ErrLimit)
	}
	return b.w.Write(p)
}
