package source

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// repo is a repository made with git itself, so that what is read was written by the real thing.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	r := &repo{t: t, dir: t.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func gitEnv() []string {
	return append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_PROTOCOL=",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = r.dir, gitEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files and returns the commit that holds them.
func (r *repo) commit(files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		writeFile(r.t, filepath.Join(r.dir, name), content)
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// gitHandler serves a repository over smart HTTP.
func gitHandler(t *testing.T, dir string) http.Handler {
	return gitHandlers(t, map[string]string{"repo.git": dir})
}

// gitHandlers serves several, by name.
func gitHandlers(t *testing.T, dirs map[string]string) http.Handler {
	mux := http.NewServeMux()
	for name, dir := range dirs {
		uploadPack := func(w http.ResponseWriter, req *http.Request, args ...string) {
			cmd := exec.CommandContext(req.Context(), "git", append([]string{"upload-pack", "--stateless-rpc"}, append(args, dir)...)...)
			cmd.Env, cmd.Stdin, cmd.Stdout = gitEnv(), req.Body, w
			if err := cmd.Run(); err != nil {
				t.Logf("git upload-pack: %v", err) // a refusal ends with 128
			}
		}
		mux.HandleFunc("GET /"+name+"/info/refs", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
			uploadPack(w, req, "--advertise-refs")
		})
		mux.HandleFunc("POST /"+name+"/git-upload-pack", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			uploadPack(w, req)
		})
	}
	return mux
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func fetchOK(t *testing.T, o Options) *Snapshot {
	t.Helper()
	snap, err := Fetch(context.Background(), o)
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	return snap
}

func fetchFails(t *testing.T, o Options, wants ...string) error {
	t.Helper()
	snap, err := Fetch(context.Background(), o)
	if err == nil {
		t.Fatalf("Fetch gave commit %s, want an error", snap.Commit)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	return err
}

func content(t *testing.T, snap *Snapshot, name string) string {
	t.Helper()
	data, err := fs.ReadFile(snap.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mustAs[T error](t *testing.T, err error) T {
	t.Helper()
	var want T
	if !errors.As(err, &want) {
		t.Fatalf("error %v (%T) is not a %T", err, err, want)
	}
	return want
}

func containsAny(text string, parts ...string) bool {
	for _, p := range parts {
		if bytes.Contains([]byte(text), []byte(p)) {
			return true
		}
	}
	return false
}
