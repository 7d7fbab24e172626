package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/refloat-dev/refloat/manifests/source"
)

const (
	gitFiles  = 50_000
	gitFolder = 100 // files in a directory
)

// benchGit fetches a large repository at depth 1 over smart HTTP on loopback and reads
// every file. The fetch runs in a process of its own, whose peak memory counts: the
// server and the maker of the repository are not part of it.
func benchGit(ctx context.Context, out io.Writer, s settings) error {
	dir, err := os.MkdirTemp("", "bench-git-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := makeRepository(ctx, dir); err != nil {
		return err
	}
	url, stop, err := serveGit(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	var results []fetchResult
	for range s.rounds {
		started := time.Now()
		clone := exec.CommandContext(ctx, "git", "clone", "-q", "--bare", "--depth", "1", url, filepath.Join(dir, fmt.Sprintf("clone-%d.git", len(results))))
		if text, err := clone.CombinedOutput(); err != nil {
			return fmt.Errorf("git clone: %w: %s", err, text)
		}
		cloned := time.Since(started).Seconds()
		r, err := fetchInChild(ctx, url)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "git: %d files, %.0f MiB: fetched in %.2f s, walked and read in %.2f s, peak %.0f MiB; git clone --bare --depth 1, which reads none, took %.2f s\n",
			r.Files, r.MiB, r.FetchSeconds, r.WalkSeconds, r.PeakMiB, cloned)
		results = append(results, r)
	}
	var seconds, peaks []float64
	for _, r := range results {
		if r.Files != gitFiles {
			return fmt.Errorf("%d files were read, not %d", r.Files, gitFiles)
		}
		seconds, peaks = append(seconds, r.FetchSeconds+r.WalkSeconds), append(peaks, r.PeakMiB)
	}
	figure(out, "git.50k_files_seconds", median(seconds), "s")
	figure(out, "git.50k_files_mib", median(peaks), "MiB")
	return nil
}

// makeRepository has 500 directories of 100 manifests, no two alike, and a commit
// before the one that counts. Its pack is written here, because git's own ways of
// importing take minutes for so many files.
func makeRepository(ctx context.Context, dir string) error {
	git := func(args ...string) error {
		text, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, text)
		}
		return nil
	}
	if err := git("init", "-q", "--bare", "-b", "main"); err != nil {
		return err
	}
	r := &packed{objects: memory.NewStorage()}
	var tip plumbing.Hash
	for version := range 2 {
		var err error
		if tip, err = r.commit(version, tip); err != nil {
			return err
		}
	}
	name := filepath.Join(dir, "objects", "pack", "pack-bench.pack")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err := packfile.NewEncoder(w, r.objects, false).Encode(r.hashes, 0); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := git("index-pack", name); err != nil {
		return err
	}
	return git("update-ref", "refs/heads/main", tip.String())
}

// packed collects the objects of a repository.
type packed struct {
	objects *memory.Storage
	hashes  []plumbing.Hash
}

func (r *packed) add(encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	o := r.objects.NewEncodedObject()
	if err := encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	if r.objects.HasEncodedObject(o.Hash()) == nil {
		return o.Hash(), nil
	}
	hash, err := r.objects.SetEncodedObject(o)
	r.hashes = append(r.hashes, hash)
	return hash, err
}

func (r *packed) commit(version int, parent plumbing.Hash) (plumbing.Hash, error) {
	root := &object.Tree{}
	for team := range gitFiles / gitFolder {
		folder := &object.Tree{}
		for n := team * gitFolder; n < (team+1)*gitFolder; n++ {
			changed := 0
			if n%gitFolder == 0 {
				changed = version
			}
			hash, err := r.add(func(o plumbing.EncodedObject) error {
				o.SetType(plumbing.BlobObject)
				w, err := o.Writer()
				if err == nil {
					_, err = io.WriteString(w, manifest(n, changed))
				}
				return err
			})
			if err != nil {
				return hash, err
			}
			folder.Entries = append(folder.Entries, object.TreeEntry{Name: fmt.Sprintf("settings-%05d.yaml", n), Mode: filemode.Regular, Hash: hash})
		}
		hash, err := r.add(folder.Encode)
		if err != nil {
			return hash, err
		}
		root.Entries = append(root.Entries, object.TreeEntry{Name: fmt.Sprintf("team-%03d", team), Mode: filemode.Dir, Hash: hash})
	}
	tree, err := r.add(root.Encode)
	if err != nil {
		return tree, err
	}
	who := object.Signature{Name: "bench", Email: "bench@example.com", When: time.Unix(1_700_000_000+int64(version), 0).UTC()}
	c := &object.Commit{Author: who, Committer: who, Message: "change\n", TreeHash: tree}
	if !parent.IsZero() {
		c.ParentHashes = []plumbing.Hash{parent}
	}
	return r.add(c.Encode)
}

func manifest(n, version int) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: settings-%d
  namespace: team-%d
  labels: {app.kubernetes.io/name: "app-%d", app.kubernetes.io/version: "1.%d.%d"}
data:
  endpoint: https://service-%x.example.com:%d/path/%d
  token-name: %x
  mode: %q
`, n, n/gitFolder, n%997, n%31, version, n*2654435761, 1024+n%50000, n, n*40503*(version+7), []string{"fast", "safe", "both"}[n%3])
}

// serveGit serves one repository, read-only, over smart HTTP.
func serveGit(ctx context.Context, dir string) (string, func(), error) {
	answer := func(w http.ResponseWriter, req *http.Request, args ...string) {
		cmd := exec.CommandContext(req.Context(), "git", append([]string{"upload-pack", "--stateless-rpc"}, append(args, dir)...)...)
		cmd.Stdin, cmd.Stdout = req.Body, w
		if err := cmd.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "git upload-pack:", err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repo.git/info/refs", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, "001e# service=git-upload-pack\n0000")
		answer(w, req, "--advertise-refs")
	})
	mux.HandleFunc("POST /repo.git/git-upload-pack", func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		answer(w, req)
	})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String() + "/repo.git", func() { _ = server.Close() }, nil
}

// fetchResult of the process that fetches.
type fetchResult struct {
	Files                     int
	MiB, PeakMiB              float64
	FetchSeconds, WalkSeconds float64
}

// fetchInChild runs this program again to do nothing but fetch.
func fetchInChild(ctx context.Context, url string) (fetchResult, error) {
	self, err := os.Executable()
	if err != nil {
		return fetchResult{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-fetch", url)
	cmd.Env = append(os.Environ(), "GIT_PROTOCOL=")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fetchResult{}, fmt.Errorf("fetch in a process of its own: %w", err)
	}
	var r fetchResult
	return r, json.Unmarshal(text, &r)
}

// fetchHere is what that process does: fetch, with a cache as the controller has one, and read every file.
func fetchHere(ctx context.Context, out io.Writer, url string) error {
	cache, err := os.MkdirTemp("", "bench-git-cache-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(cache) }()
	var r fetchResult
	started := time.Now()
	snapshot, err := source.Fetch(ctx, source.Options{URL: url, Branch: "main", CacheDir: cache})
	if err != nil {
		return err
	}
	r.FetchSeconds = time.Since(started).Seconds()
	started = time.Now()
	err = fs.WalkDir(snapshot.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(snapshot.FS, name)
		r.Files++
		r.MiB += float64(len(content)) / (1 << 20)
		return err
	})
	if err != nil {
		return err
	}
	r.WalkSeconds = time.Since(started).Seconds()
	if r.PeakMiB, err = peakOf(os.Getpid()); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}
