package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
)

func link(t *testing.T, r *repo, target, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestTreeIsAFileSystem(t *testing.T) {
	r := newRepo(t)
	link(t, r, "a/b/c.yaml", "inside")
	link(t, r, "a", "folder")
	r.commit(map[string]string{"a/b/c.yaml": "x", "a-b/x": "1", "a.yaml": "", "z/run.sh": "#!"})
	for _, dir := range []string{"", t.TempDir()} {
		snap := fetchOK(t, Options{URL: r.dir, CacheDir: dir})
		if err := fstest.TestFS(snap.FS, "a/b/c.yaml", "a-b/x", "a.yaml", "z/run.sh", "inside", "folder"); err != nil {
			t.Error(err)
		}
		if got := content(t, snap, "folder/b/c.yaml"); got != "x" {
			t.Errorf("through a link: %q", got)
		}
	}
}

func TestLinksStayInside(t *testing.T) {
	r := newRepo(t)
	for name, target := range map[string]string{
		"absolute": "/etc/passwd", "parent": "../secret", "climb": "dir/../../secret", "loop": "loop",
		"ping": "pong", "pong": "ping", "dangling": "nowhere",
	} {
		link(t, r, target, name)
	}
	r.commit(map[string]string{"dir/x": "x"})
	writeFile(t, filepath.Join(filepath.Dir(r.dir), "secret"), "secret")
	snap := fetchOK(t, Options{URL: r.dir})
	for name, want := range map[string]string{
		"absolute": "leads out", "parent": "leads out", "climb": "leads out",
		"loop": "loop", "ping": "loop", "dangling": "not exist",
	} {
		_, err := fs.ReadFile(snap.FS, name)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if outside := want == "leads out"; outside != errors.Is(err, ErrOutsideRepository) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSubmodulesAreNamed(t *testing.T) {
	r := newRepo(t)
	commit := r.commit(map[string]string{"a": "x"})
	r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",vendor/lib")
	r.git("commit", "-q", "-m", "submodule")
	snap := fetchOK(t, Options{URL: r.dir, CacheDir: t.TempDir()})
	if len(snap.Warnings) != 1 || !strings.Contains(snap.Warnings[0], "vendor/lib is a Git submodule") {
		t.Errorf("warnings %q", snap.Warnings)
	}
	if _, err := fs.ReadFile(snap.FS, "vendor/lib/x.yaml"); err == nil || !strings.Contains(err.Error(), "submodule") {
		t.Errorf("reading inside: %v", err)
	}
	entries, err := fs.ReadDir(snap.FS, "vendor")
	if err != nil || len(entries) != 1 || entries[0].Type() != fs.ModeIrregular {
		t.Errorf("entries %v, %v", entries, err)
	}
}

func TestLimits(t *testing.T) {
	r := newRepo(t)
	files := map[string]string{"big": rare(20_000, 1)}
	for i := range 20 {
		files[fmt.Sprintf("f%d", i)] = fmt.Sprint(i)
	}
	r.commit(files)
	http := serve(t, gitHandler(t, r.dir)) + "/repo.git"
	for name, limits := range map[string]Limits{
		"pack":     {PackBytes: 10_000},
		"objects":  {Objects: 10},
		"expanded": {ExpandedBytes: 10_000},
		"files":    {Files: 10},
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range []Options{{URL: http, Limits: limits}, {URL: r.dir, CacheDir: t.TempDir(), Limits: limits}} {
				if err := fetchFails(t, o); !errors.Is(err, ErrLimit) {
					t.Errorf("%s: %v is not ErrLimit", o.URL, err)
				}
			}
		})
	}
	snap := fetchOK(t, Options{URL: http, Limits: Limits{FileBytes: 1000}})
	if _, err := fs.ReadFile(snap.FS, "big"); !errors.Is(err, ErrLimit) {
		t.Errorf("big file: %v", err)
	}
	if info, err := fs.Stat(snap.FS, "big"); err != nil || info.Size() != 20_000 {
		t.Errorf("size %v, %v", info, err)
	}
}

// bomb is a commit whose tree holds itself ten times, level upon level: 10^30 files in 32 objects.
func bomb(t *testing.T) ([]byte, plumbing.Hash) {
	t.Helper()
	storage := memory.NewStorage()
	var hashes []plumbing.Hash
	put := func(kind plumbing.ObjectType, encode func(plumbing.EncodedObject) error) plumbing.Hash {
		o := storage.NewEncodedObject()
		o.SetType(kind)
		if err := encode(o); err != nil {
			t.Fatal(err)
		}
		h, err := storage.SetEncodedObject(o)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, h)
		return h
	}
	h := put(plumbing.BlobObject, func(o plumbing.EncodedObject) error {
		w, err := o.Writer()
		if err != nil {
			return err
		}
		_, err = w.Write([]byte("x"))
		return errors.Join(err, w.Close())
	})
	mode := filemode.Regular
	for range 30 {
		tree := &object.Tree{}
		for i := range 10 {
			tree.Entries = append(tree.Entries, object.TreeEntry{Name: fmt.Sprint(i), Mode: mode, Hash: h})
		}
		h, mode = put(plumbing.TreeObject, tree.Encode), filemode.Dir
	}
	commit := put(plumbing.CommitObject, (&object.Commit{TreeHash: h, Committer: object.Signature{When: time.Unix(1, 0)}}).Encode)
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, storage, false).Encode(hashes, 0); err != nil {
		t.Fatal(err)
	}
	return pack.Bytes(), commit
}

func TestTreeBombIsCountedNotWalked(t *testing.T) {
	pack, commit := bomb(t)
	limits := Limits{}.withDefaults()
	st, err := openPack(context.Background(), pack, limits)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newTree(st, commit, nil, limits); !errors.Is(err, ErrLimit) {
		t.Errorf("%v is not ErrLimit", err)
	}
}

func TestDamagedPacksAreErrors(t *testing.T) {
	pack, _ := bomb(t)
	limits := Limits{}.withDefaults()
	for i := range pack {
		damaged := bytes.Clone(pack)
		damaged[i] ^= 0x55
		err := recovered(func() error {
			_, err := openPack(context.Background(), damaged, limits)
			return err
		})
		if err == nil && i < len(pack)-20 {
			t.Errorf("a flip at byte %d went unnoticed", i)
		}
	}
}

func FuzzOpenPack(f *testing.F) {
	storage := memory.NewStorage()
	var empty bytes.Buffer
	if _, err := packfile.NewEncoder(&empty, storage, false).Encode(nil, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(empty.Bytes())
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\x7f"))
	limits := Limits{ExpandedBytes: 1 << 20, Objects: 1000}.withDefaults()
	f.Fuzz(func(_ *testing.T, data []byte) {
		_ = recovered(func() error {
			_, err := openPack(context.Background(), data, limits)
			return err
		})
	})
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a", "b.yaml"), "x")
	writeFile(t, filepath.Join(t.TempDir(), "secret"), "s")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	snap, err := Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Commit != "" || snap.Ref != "directory" || content(t, snap, "a/b.yaml") != "x" {
		t.Errorf("snapshot %+v", snap)
	}
	if _, err := fs.ReadFile(snap.FS, "out"); err == nil {
		t.Error("read a file outside of the directory")
	}
	if _, err := Directory(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing: %v", err)
	}
	if _, err := Directory(filepath.Join(dir, "a", "b.yaml")); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("file: %v", err)
	}

	r := newRepo(t)
	commit := r.commit(map[string]string{"a": "committed"})
	writeFile(t, filepath.Join(r.dir, "a"), "edited")
	if snap, err = Directory(r.dir); err != nil {
		t.Fatal(err)
	}
	if snap.Commit != commit || content(t, snap, "a") != "committed" || len(snap.Warnings) != 1 {
		t.Errorf("snapshot %+v", snap)
	}
}
