// Package gittest serves Git repositories to tests: repositories made by git itself, and
// a server on a free port of the loopback interface that speaks the smart protocol over
// https. It records what it was asked, so that a test can see which credentials came
// with a request.
//
//	repo := gittest.NewRepo(t)
//	commit := repo.Commit(map[string]string{"deploy/a.yaml": "…"})
//	server := gittest.NewServer(t, map[string]*gittest.Repo{"team/app.git": repo})
//	server.URL("team/app.git") // https://127.0.0.1:…/team/app.git
package gittest

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Repo is a repository in a directory of the test.
type Repo struct {
	t   testing.TB
	dir string
}

// NewRepo makes an empty one whose branch is main.
func NewRepo(t testing.TB) *Repo {
	t.Helper()
	r := &Repo{t: t, dir: t.TempDir()}
	r.Git("init", "-q", "-b", "main")
	return r
}

func environment() []string {
	return append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_PROTOCOL=",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
}

// Git runs git in the repository.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir, cmd.Env = r.dir, environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commit writes files and returns the commit that holds them.
func (r *Repo) Commit(files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		full := filepath.Join(r.dir, name)
		err := os.MkdirAll(filepath.Dir(full), 0o755)
		if err == nil {
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", "change")
	return r.Git("rev-parse", "HEAD")
}

// Request is what a client sent.
type Request struct {
	Path          string
	Authorization string
}

// Server of repositories. It stops when the test ends.
type Server struct {
	server *httptest.Server

	mu                 sync.Mutex
	requests           []Request
	username, password string
	instead            http.Handler
}

// NewServer serves repositories by their paths.
func NewServer(t testing.TB, repositories map[string]*Repo) *Server {
	t.Helper()
	mux := http.NewServeMux()
	for name, r := range repositories {
		serveRepo(t, mux, name, r.dir)
	}
	s := &Server{}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if next := s.admit(w, r, mux); next != nil {
			next.ServeHTTP(w, r)
		}
	}))
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // tests do much to it on purpose
	s.server.StartTLS()
	t.Cleanup(func() {
		s.server.CloseClientConnections() // also those that wait for an answer
		s.server.Close()
	})
	return s
}

// admit records a request and says who answers it; nil when that was done.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, git http.Handler) http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{Path: r.URL.Path, Authorization: r.Header.Get("Authorization")})
	if s.instead != nil {
		return s.instead
	}
	if username, password, _ := r.BasicAuth(); s.username != "" && (username != s.username || password != s.password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	return git
}

func serveRepo(t testing.TB, mux *http.ServeMux, name, dir string) {
	uploadPack := func(w http.ResponseWriter, r *http.Request, args ...string) {
		cmd := exec.CommandContext(r.Context(), "git", append([]string{"upload-pack", "--stateless-rpc"}, append(args, dir)...)...)
		cmd.Env, cmd.Stdin, cmd.Stdout = environment(), r.Body, w
		if err := cmd.Run(); err != nil {
			t.Logf("git upload-pack: %v", err) // a refusal ends with 128
		}
	}
	mux.HandleFunc("GET /"+name+"/info/refs", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
		uploadPack(w, r, "--advertise-refs")
	})
	mux.HandleFunc("POST /"+name+"/git-upload-pack", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		uploadPack(w, r)
	})
}

// URL of a repository.
func (s *Server) URL(name string) string { return s.server.URL + "/" + name }

// CA of the server, in PEM form.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
}

// RequireBasic answers 401 to requests without these credentials.
func (s *Server) RequireBasic(username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.username, s.password = username, password
}

// Instead answers every request with a handler; nil ends that.
func (s *Server) Instead(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = h
}

// Hang answers nothing until the client gives up.
func (s *Server) Hang() {
	s.Instead(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
}

// Requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}
