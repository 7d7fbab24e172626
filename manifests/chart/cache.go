package chart

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ocidigest "github.com/opencontainers/go-digest"
)

// cache keeps archives by digest in a directory. What is in it is believed only when
// its bytes have the digest that is its name; a cache that cannot be read or written
// costs a download and nothing else.
type cache struct {
	dir  string
	most int64
}

func (c cache) path(digest string) string {
	return filepath.Join(c.dir, ocidigest.Digest(digest).Encoded()+".tgz")
}

func (c cache) get(digest string, limit int64) ([]byte, bool) {
	if c.dir == "" {
		return nil, false
	}
	name := c.path(digest)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
		return nil, false
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil || digestOf(data) != digest {
		_ = os.Remove(name) // damaged: the next one fetches it anew
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // the least recently used one goes first
	return data, true
}

func (c cache) put(digest string, data []byte) error {
	if c.dir == "" || int64(len(data)) > c.most {
		return nil
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return fmt.Errorf("the cache of charts cannot be made: %w", err)
	}
	temp, err := os.CreateTemp(c.dir, ".incoming-*")
	if err != nil {
		return fmt.Errorf("the cache of charts cannot be written: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(data)
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp.Name(), c.path(digest))
	}
	if err != nil {
		return fmt.Errorf("the cache of charts cannot be written: %w", err)
	}
	c.trim(digest)
	return nil
}

// trim removes what was used longest ago until the rest fits.
func (c cache) trim(keep string) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var sum int64
	for _, e := range entries {
		name, isArchive := strings.CutSuffix(e.Name(), ".tgz")
		if _, err := hex.DecodeString(name); !isArchive || err != nil {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
			sum += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if sum <= c.most {
			return
		}
		if f.Name() == filepath.Base(c.path(keep)) {
			continue
		}
		if os.Remove(filepath.Join(c.dir, f.Name())) == nil {
			sum -= f.Size()
		}
	}
}
