package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// packCache keeps one pack per commit: DIR/<hash of the URL>/<commit>.pack, the tags
// that led to it, and records of what was fetched when. A file is complete or absent,
// because it is renamed into place, and the content of packs and tags is fixed by their
// name. Processes that share the directory therefore need no lock: at worst two write
// the same bytes.
type packCache struct {
	dir, url string
	limits   Limits
}

const packSuffix = ".pack"

func (c packCache) folder() string {
	sum := sha256.Sum256([]byte(c.url))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:16]))
}

func (c packCache) file(commit plumbing.Hash) string {
	return filepath.Join(c.folder(), commit.String()+packSuffix)
}

// load returns the objects of a commit, or nil when it must be fetched. A pack that
// is damaged is removed: every object's hash is checked while it is indexed.
func (c packCache) load(ctx context.Context, commit plumbing.Hash, budget *budget) *store {
	if c.dir == "" {
		return nil
	}
	file := c.file(commit)
	pack, err := readRegular(file, c.limits.PackBytes)
	if err != nil {
		return nil
	}
	var st *store
	err = recovered(func() error {
		if st, err = openPack(ctx, pack, c.limits); err != nil {
			return err
		}
		return st.complete(ctx, commit)
	})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, ErrLimit) {
			_ = os.Remove(file)
		}
		return nil
	}
	budget.bytes -= int64(len(pack))
	// Used just now: it goes last when the cache is full.
	now := time.Now()
	_ = os.Chtimes(file, now, now)
	return st
}

// readRegular reads a file of the cache whole, when it is one and not too large.
func readRegular(file string, limit int64) ([]byte, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fs.ErrInvalid
	}
	return os.ReadFile(file)
}

// save keeps a commit's pack, what led to it and when, and then makes room.
func (c packCache) save(got fetched, want target) error {
	if c.dir == "" {
		return nil
	}
	if err := os.MkdirAll(c.folder(), 0o700); err != nil {
		return err
	}
	file := c.file(got.commit)
	if err := c.place(file, got.pack); err != nil {
		return err
	}
	if err := c.saveTags(got); err != nil {
		return err
	}
	// Last, because it makes the rest findable.
	if err := c.saveRecords(got, want); err != nil {
		return err
	}
	c.shrink(file)
	c.forget()
	return nil
}

// place writes a file that is there whole or not at all.
func (c packCache) place(file string, content []byte) error {
	temporary, err := os.CreateTemp(c.folder(), "incoming-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(content)
	if err = cmp.Or(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

// abandonedAfter is the age of an unfinished file that no live process can still be writing.
const abandonedAfter = time.Hour

// shrink removes the packs used longest ago until the rest fits. keep is never
// removed. Failing to remove something is no reason to fail a fetch.
func (c packCache) shrink(keep string) {
	type entry struct {
		path string
		size int64
		used time.Time
	}
	var (
		entries []entry
		total   int64
	)
	_ = filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if strings.HasPrefix(d.Name(), "incoming-") && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(path)
			return nil
		}
		if strings.HasSuffix(d.Name(), packSuffix) {
			entries = append(entries, entry{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= c.limits.CacheBytes {
			return
		}
		if e.path != keep && os.Remove(e.path) == nil {
			total -= e.size
			removeBeside(e.path)
		}
	}
}
