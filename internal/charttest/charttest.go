// Package charttest serves Helm charts to tests: one server on a free port of the
// loopback interface that is an HTTP chart repository, under /charts, and an OCI
// registry. It records what it was asked, so that a test can see which credentials came
// with a request. Close stops it.
//
//	server := charttest.New(t)
//	server.Add(charttest.Pack(map[string]string{
//		"Chart.yaml":             "apiVersion: v2\nname: demo\nversion: 1.0.0\n",
//		"templates/config.yaml":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\n",
//	}))
//	server.Repository() // http://127.0.0.1:…/charts
//	server.OCI()        // oci://127.0.0.1:…/charts, plain HTTP
package charttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// Server is a chart repository and a registry, also of artifacts that are no charts.
type Server struct {
	server *httptest.Server

	mu        sync.Mutex
	charts    []packed
	artifacts []Artifact
	requests  []Request
	// Each of these changes how the server behaves, see their setters.
	username, password string
	status             int
	archives           string
	redirect           string
	wrongDigest        bool
	hold               bool
	closed             chan struct{}
}

// packed is one chart that the server has.
type packed struct {
	name, version string
	data          []byte
}

// Request is what a client sent.
type Request struct {
	Path          string
	Authorization string
}

// New starts a server, which stops when the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{closed: make(chan struct{})}
	s.server = s.unstarted()
	s.server.Start()
	t.Cleanup(s.Close)
	return s
}

// unstarted does not log what clients do to it: tests do much to it on purpose.
func (s *Server) unstarted() *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	return server
}

// NewTLS starts a server that speaks TLS with a certificate of its own authority.
func NewTLS(t testing.TB) *Server {
	t.Helper()
	s := &Server{closed: make(chan struct{})}
	s.server = s.unstarted()
	s.server.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// Close stops the server, also while it holds requests back. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	s.server.CloseClientConnections()
	s.server.Close()
}

// URL of the server, without a path.
func (s *Server) URL() string { return s.server.URL }

// Host and port of the server.
func (s *Server) Host() string { return s.server.Listener.Addr().String() }

// Repository is the address of the HTTP chart repository.
func (s *Server) Repository() string { return s.server.URL + "/charts" }

// OCI is the address of the charts in the registry; a chart's name follows it.
func (s *Server) OCI() string { return "oci://" + s.Host() + "/charts" }

// CA of a server with TLS, in PEM form.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw})
}

// Add a packed chart. What it is called is read from its Chart.yaml; without one the
// chart is called broken, version 1.0.0.
func (s *Server) Add(archive []byte) {
	name, version := identity(archive)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.charts = slices.DeleteFunc(s.charts, func(p packed) bool { return p.name == name && p.version == version })
	s.charts = append(s.charts, packed{name, version, archive})
}

// RequireBasic answers 401 to requests without these credentials.
func (s *Server) RequireBasic(username, password string) {
	s.set(func() { s.username, s.password = username, password })
}

// Answer every request with a status; 0 ends that.
func (s *Server) Answer(status int) { s.set(func() { s.status = status }) }

// ArchivesAt makes the index say that archives are below another address.
func (s *Server) ArchivesAt(base string) { s.set(func() { s.archives = base }) }

// RedirectArchives answers requests for archives and blobs with a redirect to the same
// path of another server.
func (s *Server) RedirectArchives(base string) { s.set(func() { s.redirect = base }) }

// LieAboutDigests makes the index announce digests that archives do not have.
func (s *Server) LieAboutDigests() { s.set(func() { s.wrongDigest = true }) }

// Hang makes every request wait until the client gives up or the server is closed.
func (s *Server) Hang() { s.set(func() { s.hold = true }) }

func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// Requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold {
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{Path: r.URL.Path, Authorization: r.Header.Get("Authorization")})
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	if s.username != "" {
		if username, password, _ := r.BasicAuth(); username != s.username || password != s.password {
			w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	}
	if s.redirect != "" && (strings.HasSuffix(r.URL.Path, ".tgz") || strings.Contains(r.URL.Path, "/blobs/")) {
		http.Redirect(w, r, s.redirect+r.URL.Path, http.StatusTemporaryRedirect)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		if !s.artifact(w, r) {
			s.registry(w, r)
		}
		return
	}
	s.repository(w, r)
}

// repository serves the index and the archives.
func (s *Server) repository(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/charts/index.yaml" {
		_, _ = w.Write(s.index())
		return
	}
	for _, p := range s.charts {
		if r.URL.Path == "/charts/"+p.name+"-"+p.version+".tgz" {
			_, _ = w.Write(p.data)
			return
		}
	}
	http.NotFound(w, r)
}

func (s *Server) index() []byte {
	entries := map[string]any{}
	for _, p := range s.charts {
		digest := hexDigest(p.data)
		if s.wrongDigest {
			digest = hexDigest([]byte("something else"))
		}
		url := p.name + "-" + p.version + ".tgz"
		if s.archives != "" {
			url = s.archives + "/" + url
		}
		versions, _ := entries[p.name].([]any)
		entries[p.name] = append(versions, map[string]any{
			"apiVersion": "v2", "name": p.name, "version": p.version, "digest": digest, "urls": []any{url},
		})
	}
	text, _ := yaml.Marshal(map[string]any{"apiVersion": "v1", "entries": entries})
	return text
}

func hexDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Pack makes a chart archive of files by their path in the chart. The same files make
// the same bytes.
func Pack(files map[string]string) []byte {
	top := "chart"
	if name, _ := describe(files["Chart.yaml"]); name != "" {
		top = name
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	w := tar.NewWriter(zipped)
	for _, name := range names {
		header := &tar.Header{Name: path.Join(top, name), Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		_ = w.WriteHeader(header) // a buffer takes everything
		_, _ = io.WriteString(w, files[name])
	}
	_ = w.Close()
	_ = zipped.Close()
	return buffer.Bytes()
}

// PackDir makes a chart archive of a directory.
func PackDir(t testing.TB, files fs.FS, dir string) []byte {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		all[strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return Pack(all)
}

func describe(chartYAML string) (name, version string) {
	var metadata struct{ Name, Version string }
	_ = yaml.Unmarshal([]byte(chartYAML), &metadata)
	return metadata.Name, metadata.Version
}

// identity of a packed chart.
func identity(archive []byte) (name, version string) {
	name, version = "broken", "1.0.0"
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return name, version
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if err != nil {
			return name, version
		}
		if dir, file := path.Split(header.Name); file == "Chart.yaml" && strings.Count(dir, "/") == 1 {
			text, _ := io.ReadAll(io.LimitReader(r, 1<<20))
			if n, v := describe(string(text)); n != "" && v != "" {
				return n, v
			}
		}
	}
}
