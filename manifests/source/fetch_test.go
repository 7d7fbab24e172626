package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// history has two commits on main, a branch, and tags of both sorts.
func history(t *testing.T) (r *repo, first, second, side string) {
	r = newRepo(t)
	first = r.commit(map[string]string{"a.yaml": "one"})
	r.git("tag", "light")
	r.git("tag", "-a", "annotated", "-m", "release")
	second = r.commit(map[string]string{"a.yaml": "two"})
	r.git("checkout", "-q", "-b", "feature/side", first)
	side = r.commit(map[string]string{"a.yaml": "side"})
	r.git("checkout", "-q", "main")
	return r, first, second, side
}

func TestFetchFindsTheCommit(t *testing.T) {
	r, first, second, side := history(t)
	r.git("update-ref", "refs/pull/7/head", side)
	bare := filepath.Join(t.TempDir(), "bare.git")
	r.git("clone", "-q", "--mirror", r.dir, bare)
	worktree := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "-q", worktree, "feature/side")
	http := serve(t, gitHandler(t, r.dir)) + "/repo.git"

	places := map[string]string{"path": r.dir, "file url": "file://" + r.dir, "bare": bare, "http": http}
	targets := map[string]struct {
		options   Options
		want, ref string
	}{
		"default branch":  {Options{}, second, "HEAD"},
		"branch":          {Options{Branch: "feature/side"}, side, "refs/heads/feature/side"},
		"tag":             {Options{Tag: "light"}, first, "refs/tags/light"},
		"annotated tag":   {Options{Tag: "annotated"}, first, "refs/tags/annotated"},
		"tip commit":      {Options{Commit: second}, second, "commit"},
		"old commit":      {Options{Commit: first}, first, "commit"},
		"commit wins":     {Options{Commit: first, Branch: "main"}, first, "commit"},
		"name":            {Options{Name: "refs/pull/7/head"}, side, "refs/pull/7/head"},
		"full branch ref": {Options{Branch: "refs/heads/main"}, second, "refs/heads/main"},
	}
	for place, url := range places {
		for name, test := range targets {
			for _, cache := range []string{"", t.TempDir()} {
				t.Run(place+"/"+name, func(t *testing.T) {
					test.options.URL, test.options.CacheDir = url, cache
					snap := fetchOK(t, test.options)
					if snap.Commit != test.want || !strings.HasPrefix(snap.Ref, test.ref) {
						t.Errorf("got %s %s, want %s %s", snap.Ref, snap.Commit, test.ref, test.want)
					}
					if time.Since(snap.CommitTime) > time.Hour {
						t.Errorf("commit time is %s", snap.CommitTime)
					}
					want := map[string]string{first: "one", second: "two", side: "side"}[test.want]
					if got := content(t, snap, "a.yaml"); got != want {
						t.Errorf("a.yaml holds %q, want %q", got, want)
					}
				})
			}
		}
	}
	t.Run("linked worktree", func(t *testing.T) {
		if snap := fetchOK(t, Options{URL: worktree}); snap.Commit != side {
			t.Errorf("got %s, want %s", snap.Commit, side)
		}
	})
	t.Run("server that gives any commit", func(t *testing.T) {
		r.git("config", "uploadpack.allowAnySHA1InWant", "true")
		if snap := fetchOK(t, Options{URL: http, Commit: first}); content(t, snap, "a.yaml") != "one" {
			t.Error("wrong content")
		}
	})
}

func TestFetchExplains(t *testing.T) {
	r, _, _, _ := history(t)
	empty := newRepo(t)
	plain := t.TempDir()
	gone := strings.Repeat("a", 40)
	for _, place := range []string{r.dir, serve(t, gitHandler(t, r.dir)) + "/repo.git"} {
		err := fetchFails(t, Options{URL: place, Branch: "feature/sid"}, place, `branch "feature/sid"`, "did you mean feature/side")
		mustAs[*RefNotFoundError](t, err)
		err = fetchFails(t, Options{URL: place, Tag: "annotaded"}, `tag "annotaded"`, "annotated")
		mustAs[*RefNotFoundError](t, err)
		err = fetchFails(t, Options{URL: place, Commit: gone}, place, gone, "branch was rewritten")
		mustAs[*CommitNotFoundError](t, err)
	}
	for _, place := range []string{empty.dir, serve(t, gitHandler(t, empty.dir)) + "/repo.git"} {
		for _, o := range []Options{{}, {Branch: "main"}} {
			o.URL = place
			if err := fetchFails(t, o, place, "empty"); !errors.Is(err, ErrEmptyRepository) {
				t.Errorf("%v is not ErrEmptyRepository", err)
			}
		}
	}
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"no url":             {Options{}, "no repository given"},
		"not a repository":   {Options{URL: plain}, "not a Git repository"},
		"no such path":       {Options{URL: plain + "/none"}, "does not exist"},
		"nothing listens":    {Options{URL: "http://127.0.0.1:1/x.git"}, "http://127.0.0.1:1/x.git"},
		"no such repository": {Options{URL: serve(t, gitHandler(t, r.dir)) + "/other.git"}, "not found"},
		"git scheme":         {Options{URL: "git://example.com/x"}, `"git" is not supported`},
		"ext scheme":         {Options{URL: "ext::sh -c touch% x://y"}, "not"},
		"host in file":       {Options{URL: "file://elsewhere/x"}, "elsewhere"},
		"option as path":     {Options{URL: "ssh://git@example.com/-oProxyCommand=x"}, "not allowed"},
		"no host":            {Options{URL: "https:///x"}, "no host"},
		"short commit":       {Options{URL: r.dir, Commit: "abc123"}, "full hash"},
		"two references":     {Options{URL: r.dir, Branch: "a", Tag: "b"}, "choose one"},
		"bad reference":      {Options{URL: r.dir, Branch: "../../config"}, "not a valid reference"},
		"ssh without hosts":  {Options{URL: "git@127.0.0.1:x.git"}, "known_hosts"},
	} {
		t.Run(name, func(t *testing.T) { fetchFails(t, test.options, test.want) })
	}
}

func TestCacheServesAPinnedCommit(t *testing.T) {
	for _, kind := range []string{"path", "http"} {
		t.Run(kind, func(t *testing.T) {
			r, first, second, _ := history(t)
			url := r.dir
			if kind == "http" {
				url = serve(t, gitHandler(t, r.dir)) + "/repo.git"
			}
			o := Options{URL: url, CacheDir: t.TempDir()}
			if got := fetchOK(t, o).Commit; got != second {
				t.Fatalf("got %s", got)
			}
			// Rewritten: the commit is no longer reachable, and then there is no repository at all.
			r.git("reset", "-q", "--hard", first)
			pinned := o
			pinned.Commit = second
			if err := os.RemoveAll(filepath.Join(r.dir, ".git")); err != nil {
				t.Fatal(err)
			}
			snap := fetchOK(t, pinned)
			if got := content(t, snap, "a.yaml"); got != "two" {
				t.Errorf("a.yaml holds %q", got)
			}
			pinned.Commit = first // never fetched
			fetchFails(t, pinned)
		})
	}
}

func TestCacheRepairsItself(t *testing.T) {
	r, _, second, _ := history(t)
	for name, damage := range map[string]func([]byte) []byte{
		"truncated":    func(b []byte) []byte { return b[:len(b)/2] },
		"empty":        func([]byte) []byte { return nil },
		"flipped bits": func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
		"other text":   func([]byte) []byte { return []byte("not a pack") },
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{URL: r.dir, CacheDir: t.TempDir(), Commit: second}
			fetchOK(t, o)
			packs, _ := filepath.Glob(filepath.Join(o.CacheDir, "*", "*.pack"))
			if len(packs) != 1 {
				t.Fatalf("cache holds %v", packs)
			}
			good, err := os.ReadFile(packs[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(packs[0], damage(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := content(t, fetchOK(t, o), "a.yaml"); got != "two" {
				t.Errorf("a.yaml holds %q", got)
			}
			again, err := os.ReadFile(packs[0])
			if err != nil || string(again) != string(good) {
				t.Errorf("the cache was not rebuilt (%v)", err)
			}
			info, _ := os.Stat(packs[0])
			if info.Mode().Perm() != 0o600 {
				t.Errorf("mode is %v", info.Mode())
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	r := newRepo(t)
	o := Options{URL: r.dir, CacheDir: t.TempDir(), Limits: Limits{CacheBytes: 3000}}
	var last string
	for range 10 {
		last = r.commit(map[string]string{"a": time.Now().String() + strings.Repeat(last, 10), "b": rare(1500, len(last))})
		fetchOK(t, o)
	}
	var total int64
	packs, _ := filepath.Glob(filepath.Join(o.CacheDir, "*", "*"))
	for _, p := range packs {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 2*3000 || len(packs) == 10 {
		t.Errorf("cache holds %d bytes in %d files", total, len(packs))
	}
	o.Commit = last
	if err := os.RemoveAll(filepath.Join(r.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	fetchOK(t, o) // the newest stays
}

// rare is text that does not compress.
func rare(n, seed int) string {
	b := make([]byte, n)
	x := uint32(seed + 12345)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}
