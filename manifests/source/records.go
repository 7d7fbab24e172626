package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	recordSuffix = ".json"
	recordPrefix = "ref-"
	tagSuffix    = ".tag"
	// maxRecordBytes and maxTagBytes bound what is read back, maxRecords what is kept of
	// one repository.
	maxRecordBytes = 16 << 10
	maxTagBytes    = 1 << 20
	maxRecords     = 1000
)

// record says when a commit was fetched and from where, without credentials. One is
// kept for each commit, and one for each reference: the commit that it last led to.
type record struct {
	Ref       string    `json:"ref"`
	Commit    string    `json:"commit"`
	From      string    `json:"from"`
	FetchedAt time.Time `json:"fetchedAt"`
}

func (r record) hash() plumbing.Hash { return plumbing.NewHash(r.Commit) }

func (c packCache) refFile(want target) string {
	sum := sha256.Sum256([]byte(want.key()))
	return filepath.Join(c.folder(), recordPrefix+hex.EncodeToString(sum[:16])+recordSuffix)
}

func (c packCache) commitFile(commit plumbing.Hash) string {
	return filepath.Join(c.folder(), commit.String()+recordSuffix)
}

// refRecord is what a reference led to when it was last read.
func (c packCache) refRecord(want target) (record, bool) {
	if c.dir == "" || !want.commit.IsZero() {
		return record{}, false
	}
	return readRecord(c.refFile(want))
}

func (c packCache) commitRecord(commit plumbing.Hash) (record, bool) {
	return readRecord(c.commitFile(commit))
}

func readRecord(file string) (record, bool) {
	content, err := readRegular(file, maxRecordBytes)
	if err != nil {
		return record{}, false
	}
	var r record
	if err := json.Unmarshal(content, &r); err != nil || !plumbing.IsHash(r.Commit) || len(r.Commit) != 40 {
		return record{}, false
	}
	r.From, r.Ref = printable(r.From), printable(r.Ref)
	return r, true
}

func (c packCache) saveRecords(got fetched, want target) error {
	content, err := json.Marshal(record{Ref: got.ref, Commit: got.commit.String(), From: got.from, FetchedAt: got.at})
	if err != nil {
		return err
	}
	if err := c.place(c.commitFile(got.commit), content); err != nil || !want.commit.IsZero() {
		return err
	}
	return c.place(c.refFile(want), content)
}

// saveTags keeps tag objects beside the commit that they lead to, so that their
// signatures can be checked again.
func (c packCache) saveTags(got fetched) error {
	for _, raw := range got.tags {
		name := fmt.Sprintf("%s.%s%s", got.commit, plumbing.ComputeHash(plumbing.TagObject, raw), tagSuffix)
		if err := c.place(filepath.Join(c.folder(), name), raw); err != nil {
			return err
		}
	}
	return nil
}

// loadTags returns the kept tags of a commit whose content is what their name says.
func (c packCache) loadTags(commit plumbing.Hash) [][]byte {
	if c.dir == "" {
		return nil
	}
	names := inFolder(c.folder(), commit.String()+".*"+tagSuffix)
	var tags [][]byte
	for _, name := range names[:min(len(names), maxRecords)] {
		raw, err := readRegular(name, maxTagBytes)
		if err != nil {
			continue
		}
		hash := plumbing.ComputeHash(plumbing.TagObject, raw)
		if strings.HasSuffix(name, "."+hash.String()+tagSuffix) {
			tags = append(tags, raw)
		}
	}
	return tags
}

// removeBeside removes what belongs to a pack that is gone.
func removeBeside(pack string) {
	base := strings.TrimSuffix(pack, packSuffix)
	_ = os.Remove(base + recordSuffix)
	for _, tag := range inFolder(filepath.Dir(pack), filepath.Base(base)+".*"+tagSuffix) {
		_ = os.Remove(tag)
	}
}

// inFolder lists files by a pattern of their names. The folder's own name is no pattern.
func inFolder(folder, pattern string) []string {
	names, err := fs.Glob(os.DirFS(folder), pattern)
	if err != nil {
		return nil
	}
	for i, name := range names {
		names[i] = filepath.Join(folder, name)
	}
	return names
}

// forget removes the oldest records of references when there are very many.
func (c packCache) forget() {
	names := inFolder(c.folder(), recordPrefix+"*"+recordSuffix)
	if len(names) <= maxRecords {
		return
	}
	written := func(name string) time.Time {
		info, err := os.Lstat(name)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(names, func(a, b string) int { return written(a).Compare(written(b)) })
	for _, name := range names[:len(names)-maxRecords] {
		_ = os.Remove(name)
	}
}
