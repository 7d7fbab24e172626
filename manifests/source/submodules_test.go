package source

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// module adds a gitlink and its entry of .gitmodules without fetching anything.
func (r *repo) module(at, url, commit string) string {
	r.t.Helper()
	r.git("config", "-f", ".gitmodules", "submodule."+at+".path", at)
	r.git("config", "-f", ".gitmodules", "submodule."+at+".url", url)
	r.git("add", ".gitmodules")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+at)
	r.git("commit", "-q", "-m", "module "+at)
	return r.git("rev-parse", "HEAD")
}

func TestSubmodulesArePartOfTheTree(t *testing.T) {
	inner, lib, app := newRepo(t), newRepo(t), newRepo(t)
	deep := inner.commit(map[string]string{"deep.yaml": "deep"})
	inner.commit(map[string]string{"deep.yaml": "later"})
	lib.commit(map[string]string{"lib.yaml": "lib", "shared/x.yaml": "x"})
	pinned := lib.module("vendor/inner", "../inner.git", deep)
	lib.commit(map[string]string{"lib.yaml": "later"})
	app.commit(map[string]string{"app.yaml": "app"})
	app.module("modules/lib", "../lib.git", pinned)
	app.git("update-index", "--add", "--cacheinfo", "160000,"+deep+",unnamed")
	app.git("commit", "-q", "-m", "a gitlink without a name")

	dirs := map[string]string{"org/app.git": app.dir, "org/lib.git": lib.dir, "org/inner.git": inner.dir}
	server := serve(t, gitHandlers(t, dirs))
	url := server + "/org/app.git"
	check := func(t *testing.T, snap *Snapshot) {
		t.Helper()
		for name, want := range map[string]string{
			"app.yaml": "app", "modules/lib/lib.yaml": "lib", "modules/lib/vendor/inner/deep.yaml": "deep", "modules/lib/shared/x.yaml": "x",
		} {
			if got := content(t, snap, name); got != want {
				t.Errorf("%s holds %q, want %q", name, got, want)
			}
		}
		count := 0
		err := fs.WalkDir(snap.FS, ".", func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				count++
			}
			return err
		})
		if err != nil || count != 7 { // and two .gitmodules and the unnamed one
			t.Errorf("walked over %d files: %v", count, err)
		}
	}
	t.Run("not asked for", func(t *testing.T) {
		snap := fetchOK(t, Options{URL: url})
		if _, err := fs.ReadFile(snap.FS, "modules/lib/lib.yaml"); !errors.Is(err, errSubmodule) || !warned(snap, "modules/lib is a Git submodule and is not read") {
			t.Errorf("%v, warnings %q", err, snap.Warnings)
		}
	})
	t.Run("https", func(t *testing.T) {
		snap := fetchOK(t, Options{URL: url, Submodules: true})
		check(t, snap)
		// The gitlink without a name has the same commit as one that is named, and is the same.
		if got := content(t, snap, "unnamed/deep.yaml"); got != "deep" {
			t.Errorf("unnamed holds %q", got)
		}
	})
	t.Run("mirror and cache", func(t *testing.T) {
		o := Options{URL: "http://127.0.0.1:1/org/app.git", Mirrors: []Mirror{{URL: url}}, Submodules: true, CacheDir: t.TempDir()}
		snap := fetchOK(t, o)
		check(t, snap)
		o.Mirrors, o.AllowStale = nil, true
		snap = fetchOK(t, o)
		check(t, snap)
		if !snap.Stale {
			t.Errorf("got %+v", snap)
		}
	})
	t.Run("limits", func(t *testing.T) {
		for name, limits := range map[string]Limits{"count": {Submodules: 1}, "bytes": {PackBytes: 700}, "files": {Files: 4}} {
			if err := fetchFails(t, Options{URL: url, Submodules: true, Limits: limits}); !errors.Is(err, ErrLimit) {
				t.Errorf("%s: %v is not ErrLimit", name, err)
			}
		}
	})
}

func TestSubmodulesOverSSH(t *testing.T) {
	lib := newRepo(t)
	commit := lib.commit(map[string]string{"lib.yaml": "lib"})
	app := newRepo(t)
	app.commit(nil)
	private, public := identity(t, "")
	address, known := sshServer(t, lib.dir, public)
	app.module("lib", "ssh://git@"+address+"/it's.git", commit)
	// The same host: its key opens the submodule too. Another host: nothing is offered to it.
	o := Options{URL: "ssh://git@" + address + "/app.git", Submodules: true, Auth: Auth{SSHIdentity: private, SSHKnownHosts: []byte(known)}}
	f, err := newFetch(Options{URL: o.URL, Auth: o.Auth, Submodules: true, Limits: Limits{}.withDefaults()})
	if err != nil {
		t.Fatal(err)
	}
	child, err := f.child(module{path: "lib", url: "ssh://git@" + address + "/it's.git", commit: f.want.commit})
	if err != nil || len(child.main().auth.SSHIdentity) == 0 {
		t.Errorf("%v: no identity for the same host", err)
	}
	served := serve(t, gitHandler(t, app.dir)) + "/repo.git"
	leaks(t, fetchFails(t, Options{URL: served, Submodules: true, Auth: Auth{Username: "user", Password: canary, SSHIdentity: private, SSHKnownHosts: []byte(known)}},
		"submodule lib", "no ssh identity given"))
}

func TestSubmoduleCredentialsStayHome(t *testing.T) {
	lib, app := newRepo(t), newRepo(t)
	commit := lib.commit(map[string]string{"lib.yaml": "lib"})
	app.commit(nil)
	var mu sync.Mutex
	seen := map[string]bool{}
	recording := func(name string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			seen[fmt.Sprintf("%s %s %t", name, strings.Split(req.URL.Path, "/")[1], req.Header.Get("Authorization") != "")] = true
			mu.Unlock()
			next.ServeHTTP(w, req)
		})
	}
	dirs := map[string]string{"app.git": app.dir, "lib.git": lib.dir}
	home, away := serve(t, recording("home", gitHandlers(t, dirs))), serve(t, recording("away", gitHandlers(t, dirs)))
	app.module("near", home+"/lib.git", commit)
	other := lib.commit(map[string]string{"lib.yaml": "newer"})
	app.module("far", away+"/lib.git", other)
	snap := fetchOK(t, Options{URL: home + "/app.git", Submodules: true, Auth: Auth{Username: "user", Password: canary}})
	if content(t, snap, "near/lib.yaml") != "lib" || content(t, snap, "far/lib.yaml") != "newer" {
		t.Error("wrong content")
	}
	if !seen["home app.git true"] || !seen["home lib.git true"] || !seen["away lib.git false"] || seen["away lib.git true"] {
		t.Errorf("credentials went to %v", seen)
	}
}

func TestSubmodulesThatCannotBe(t *testing.T) {
	one, two := newRepo(t), newRepo(t)
	first := one.commit(map[string]string{"a": "1"})
	second := two.module("one", "../one.git", first)
	third := one.module("two", "../two.git", second)
	two.module("one", "../one.git", third)
	dirs := map[string]string{"one.git": one.dir, "two.git": two.dir}
	for i, url := range map[string]string{"file": "file:///etc", "path": "/etc", "scheme": "ext::sh -c x", "gone": "../none.git", "empty path": "../.."} {
		r := newRepo(t)
		r.commit(nil)
		r.module("bad", url, first)
		dirs[strings.ReplaceAll(i, " ", "-")+".git"] = r.dir
	}
	chain := newRepo(t)
	below := chain.commit(map[string]string{"a": "0"})
	dirs["chain0.git"] = chain.dir
	for i := 1; i <= maxModuleDepth+1; i++ {
		r := newRepo(t)
		below = r.module("below", fmt.Sprintf("../chain%d.git", i-1), below)
		dirs[fmt.Sprintf("chain%d.git", i)] = r.dir
	}
	broken := newRepo(t)
	broken.commit(map[string]string{".gitmodules": "[submodule \"x\nurl"})
	dirs["broken.git"] = broken.dir
	server := serve(t, gitHandlers(t, dirs))
	for name, want := range map[string]string{
		"one": "form a cycle: " + server + "/one.git -> " + server + "/two.git -> " + server + "/one.git", "two": "form a cycle", "file": "files of this machine", "path": "files of this machine",
		"scheme": "submodule bad", "gone": "not found", "empty-path": "names no path", "broken": ".gitmodules is malformed",
		fmt.Sprintf("chain%d", maxModuleDepth+1): "nested deeper than 8",
	} {
		t.Run(name, func(t *testing.T) {
			fetchFails(t, Options{URL: server + "/" + name + ".git", Submodules: true}, want)
		})
	}
	fetchOK(t, Options{URL: fmt.Sprintf("%s/chain%d.git", server, maxModuleDepth), Submodules: true})
}

func TestRelativeURLs(t *testing.T) {
	for base, want := range map[string]string{
		"https://git.example.com/org/app.git":    "https://git.example.com/org/lib.git",
		"https://git.example.com:8443/org/app/":  "https://git.example.com:8443/org/lib.git",
		"https://[::1]:8443/org/app?token=x":     "https://[::1]:8443/org/lib.git",
		"ssh://me@git.example.com:22/org/app":    "ssh://me@git.example.com:22/org/lib.git",
		"ssh://git@[::1]/org/app.git":            "ssh://git@[::1]/org/lib.git",
		"git@git.example.com:org/app.git":        "git@git.example.com:org/lib.git",
		"file:///srv/org/app.git":                "/srv/org/lib.git",
		"https://user:t0k3n@example.com/org/app": "https://example.com/org/lib.git",
	} {
		r, err := parseRemote(base, Auth{})
		if err != nil {
			t.Fatal(err)
		}
		sub, err := r.beside("../lib.git")
		if err != nil || sub.display != want || sub.auth.Password != r.auth.Password {
			t.Errorf("%s: got %+v (%v), want %s", base, sub, err, want)
		}
	}
}
