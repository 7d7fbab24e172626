package source

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const nobody = "http://127.0.0.1:1/repo.git"

// answering serves one fixed answer to everything.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})) + "/repo.git"
}

func warned(snap *Snapshot, parts ...string) bool {
	for _, w := range snap.Warnings {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(w, p)
		}
		if all {
			return true
		}
	}
	return false
}

func TestMirrorsAreTriedInOrder(t *testing.T) {
	r, first, second, _ := history(t)
	good := serve(t, gitHandler(t, r.dir)) + "/repo.git"
	missing := answering(t, http.StatusNotFound, "")
	for name, test := range map[string]struct {
		main, why string
	}{
		"nothing listens": {nobody, "refused"},
		"denied":          {answering(t, http.StatusUnauthorized, ""), "credentials"},
		"absent":          {missing, "not found"},
		"out of order":    {answering(t, http.StatusNotImplemented, ""), "status 501"},
		"not Git":         {answering(t, http.StatusOK, "<html>welcome</html>"), "not what a Git server sends"},
	} {
		t.Run(name, func(t *testing.T) {
			snap := fetchOK(t, Options{URL: test.main, Mirrors: []Mirror{{URL: missing}, {URL: good}}})
			if snap.Commit != second || snap.From != good || snap.URL != test.main || snap.Stale {
				t.Errorf("got %+v", snap)
			}
			if !warned(snap, test.main, test.why, "mirror "+good) || !warned(snap, missing) {
				t.Errorf("warnings %q", snap.Warnings)
			}
		})
	}
	t.Run("the first that answers", func(t *testing.T) {
		if snap := fetchOK(t, Options{URL: good, Mirrors: []Mirror{{URL: nobody}}}); snap.From != good || len(snap.Warnings) != 0 {
			t.Errorf("got %+v", snap)
		}
	})
	t.Run("a pinned commit that only a mirror has", func(t *testing.T) {
		other := newRepo(t)
		other.commit(map[string]string{"a.yaml": "other"})
		o := Options{URL: other.dir, Mirrors: []Mirror{{URL: good}}, Commit: first}
		if snap := fetchOK(t, o); content(t, snap, "a.yaml") != "one" || !warned(snap, first, "mirror") {
			t.Errorf("got %+v", snap)
		}
		o.Commit = strings.Repeat("d", 40)
		mustAs[*CommitNotFoundError](t, fetchFails(t, o, other.dir, good, o.Commit))
	})
	t.Run("a branch that is gone is an answer", func(t *testing.T) {
		other := newRepo(t)
		other.commit(map[string]string{"a.yaml": "other"})
		o := Options{URL: other.dir, Mirrors: []Mirror{{URL: good}}, Branch: "feature/side"}
		mustAs[*RefNotFoundError](t, fetchFails(t, o, other.dir))
	})
	t.Run("none", func(t *testing.T) {
		err := fetchFails(t, Options{URL: nobody, Mirrors: []Mirror{{URL: missing}}}, nobody, missing)
		if u := mustAs[*UnreachableError](t, err); u.Silent() || u.Why != Absent {
			t.Errorf("got %+v", u)
		}
	})
}

func TestMirrorsGetOnlyTheirOwnCredentials(t *testing.T) {
	r, _, _, _ := history(t)
	var seen atomic.Value
	git := gitHandler(t, r.dir)
	mirror := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen.Store(req.Header.Get("Authorization"))
		git.ServeHTTP(w, req)
	})) + "/repo.git"
	for want, auth := range map[string]Auth{"": {}, "Bearer of-the-mirror": {BearerToken: "of-the-mirror"}} {
		fetchOK(t, Options{URL: nobody, Auth: Auth{BearerToken: "t0k3n-canary"}, Mirrors: []Mirror{{URL: mirror, Auth: auth}}})
		if got := seen.Load(); got != want {
			t.Errorf("the mirror got %q, want %q", got, want)
		}
	}
	err := fetchFails(t, Options{
		URL: "http://user:c4n%40ry@127.0.0.1:1/x.git", Mirrors: []Mirror{{URL: "http://127.0.0.1:1/y.git", Auth: Auth{BearerToken: "t0k3n-canary"}}},
	})
	leaks(t, err)
}

func TestAHangingRemoteLeavesTimeForItsMirror(t *testing.T) {
	r, _, second, _ := history(t)
	hanging := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	})) + "/repo.git"
	snap := fetchOK(t, Options{
		URL: hanging, Mirrors: []Mirror{{URL: serve(t, gitHandler(t, r.dir)) + "/repo.git"}}, Limits: Limits{Duration: 8 * time.Second},
	})
	if snap.Commit != second || !warned(snap, "longer than 4s") {
		t.Errorf("got %+v", snap)
	}
}

// switched serves Git until another handler is put in its place.
type switched struct{ handler atomic.Pointer[http.Handler] }

func (s *switched) set(h http.Handler) { s.handler.Store(&h) }
func (s *switched) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, req)
}

func status(code int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	})
}

// breakOff closes the connection without a word.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func TestTheLastFetchedCommitStandsIn(t *testing.T) {
	r, first, second, _ := history(t)
	git := &switched{}
	git.set(gitHandler(t, r.dir))
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	now := at
	o := Options{
		URL: serve(t, git) + "/repo.git", CacheDir: t.TempDir(), AllowStale: true, Branch: "main",
		Auth: Auth{Username: "user", Password: canary}, Now: func() time.Time { return now },
	}
	if snap := fetchOK(t, o); snap.Stale || !snap.FetchedAt.Equal(at) || snap.Commit != second {
		t.Fatalf("got %+v", snap)
	}
	now = at.Add(75 * time.Hour)
	for name, down := range map[string]http.Handler{
		"out of order": status(http.StatusNotImplemented, ""), "garbage": status(http.StatusOK, "\x00\x01garbage"), "empty": status(http.StatusOK, ""),
		"breaks off": http.HandlerFunc(breakOff),
	} {
		t.Run(name, func(t *testing.T) {
			git.set(down)
			snap := fetchOK(t, o)
			if !snap.Stale || snap.Commit != second || snap.Ref != "refs/heads/main" || !snap.FetchedAt.Equal(at) || content(t, snap, "a.yaml") != "two" {
				t.Errorf("got %+v", snap)
			}
			if !warned(snap, "remote unreachable", second[:12], "refs/heads/main", "fetched 3 days ago (2026-05-01T12:00:00Z)", "was made") {
				t.Errorf("warnings %q", snap.Warnings)
			}
			leaks(t, errors.New(strings.Join(snap.Warnings, "\n")))

			careful := o
			careful.AllowStale = false
			mustAs[*UnreachableError](t, fetchFails(t, careful))
			other := o
			other.Branch = "feature/side" // never fetched
			mustAs[*UnreachableError](t, fetchFails(t, other))
		})
	}
	for name, answer := range map[string]http.Handler{
		"denied": status(http.StatusUnauthorized, ""), "forbidden": status(http.StatusForbidden, ""), "gone": status(http.StatusNotFound, ""),
	} {
		t.Run(name, func(t *testing.T) {
			git.set(answer)
			if u := mustAs[*UnreachableError](t, fetchFails(t, o)); u.Silent() {
				t.Errorf("%+v counts as silence", u)
			}
		})
	}
	t.Run("rewritten", func(t *testing.T) {
		git.set(gitHandler(t, r.dir))
		r.git("reset", "-q", "--hard", first)
		if snap := fetchOK(t, o); snap.Commit != first || snap.Stale {
			t.Errorf("got %+v", snap)
		}
	})
	t.Run("deleted", func(t *testing.T) {
		r.git("branch", "-m", "main", "trunk")
		mustAs[*RefNotFoundError](t, fetchFails(t, o))
	})
}

func TestStaleSurvivesDamage(t *testing.T) {
	r, _, second, _ := history(t)
	git := &switched{}
	for name, damage := range map[string]func(t *testing.T, dir string){
		"record":      func(t *testing.T, dir string) { overwrite(t, dir, "ref-*.json", "{") },
		"other":       func(t *testing.T, dir string) { overwrite(t, dir, "ref-*.json", `{"commit":"../../x"}`) },
		"pack":        func(t *testing.T, dir string) { overwrite(t, dir, "*.pack", "PACK") },
		"large":       func(t *testing.T, dir string) { overwrite(t, dir, "ref-*.json", strings.Repeat(" ", maxRecordBytes+1)) },
		"commit info": nil,
	} {
		t.Run(name, func(t *testing.T) {
			git.set(gitHandler(t, r.dir))
			o := Options{URL: serve(t, git) + "/repo.git", CacheDir: t.TempDir(), AllowStale: true}
			fetchOK(t, o)
			git.set(status(http.StatusNotImplemented, ""))
			if damage != nil {
				damage(t, o.CacheDir)
				mustAs[*UnreachableError](t, fetchFails(t, o))
				return
			}
			overwrite(t, o.CacheDir, second+".json", "nonsense")
			o.Commit = second
			if snap := fetchOK(t, o); snap.Stale || !snap.FetchedAt.IsZero() {
				t.Errorf("got %+v", snap)
			}
		})
	}
}

func overwrite(t *testing.T, dir, pattern, content string) {
	t.Helper()
	names, err := fs.Glob(os.DirFS(dir), "*/"+pattern)
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: found %v, %v", pattern, names, err)
	}
	writeFile(t, filepath.Join(dir, names[0]), content)
}

func TestRecordsAreBounded(t *testing.T) {
	c := packCache{dir: t.TempDir(), url: "x", limits: Limits{}.withDefaults()}
	if err := os.MkdirAll(c.folder(), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for i := range maxRecords + 5 {
		name := c.refFile(target{semver: &versionRange{text: strings.Repeat("x", i)}})
		writeFile(t, name, "{}")
		if i < 5 {
			_ = os.Chtimes(name, old, old)
		}
	}
	c.forget()
	left := inFolder(c.folder(), "*")
	if _, err := os.Stat(c.refFile(target{semver: &versionRange{}})); len(left) != maxRecords || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d are left, the oldest: %v", len(left), err)
	}
}
