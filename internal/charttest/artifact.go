package charttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Artifact is what a registry holds besides charts: layers under a tag.
type Artifact struct {
	Name, Tag string
	Layers    []Layer
}

// Layer of an artifact.
type Layer struct {
	MediaType string
	Data      []byte
}

// Media types as Flux pushes artifacts.
const (
	FluxLayer  = "application/vnd.cncf.flux.content.v1.tar+gzip"
	fluxConfig = "application/vnd.cncf.flux.config.v1+json"
)

// Put an artifact into the registry, in place of one with the same name and tag. It
// returns the digest of its manifest. What was there stays known by its digest.
func (s *Server) Put(a Artifact) string {
	s.set(func() { s.artifacts = append(s.artifacts, a) })
	return "sha256:" + hexDigest(a.manifest())
}

// PackFiles makes an archive as Flux does: directories are entries too. The same
// files make the same bytes.
func PackFiles(files map[string]string, entries ...tar.Header) []byte {
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	w := tar.NewWriter(zipped)
	_ = w.WriteHeader(&tar.Header{Name: "./", Mode: 0o755, Typeflag: tar.TypeDir}) // a buffer takes everything
	for _, h := range entries {
		_ = w.WriteHeader(&h)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(files[name]))
	}
	_ = w.Close()
	_ = zipped.Close()
	return buffer.Bytes()
}

func (a Artifact) manifest() []byte {
	layers := []any{}
	for _, l := range a.Layers {
		layers = append(layers, map[string]any{"mediaType": l.MediaType, "digest": "sha256:" + hexDigest(l.Data), "size": len(l.Data)})
	}
	text, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config":      map[string]any{"mediaType": fluxConfig, "digest": "sha256:" + hexDigest(config), "size": len(config)},
		"layers":      layers,
		"annotations": map[string]any{"org.opencontainers.image.revision": a.Tag + "@sha1:0000", "org.opencontainers.image.source": "https://git.example.com/app"},
	})
	return text
}

// artifact answers for one; false when the path is not of one.
func (s *Server) artifact(w http.ResponseWriter, r *http.Request) bool {
	name, what, reference := cut(strings.TrimPrefix(r.URL.Path, "/v2/"))
	var tags []string
	for i := len(s.artifacts) - 1; i >= 0; i-- { // the newest of a tag
		a := s.artifacts[i]
		if a.Name != name {
			continue
		}
		tags = append(tags, a.Tag)
		if m := a.manifest(); what == "manifests" && (reference == a.Tag || reference == "sha256:"+hexDigest(m)) {
			respond(w, r, manifestType, m)
			return true
		}
		for _, l := range a.Layers {
			if what == "blobs" && reference == "sha256:"+hexDigest(l.Data) {
				respond(w, r, "application/octet-stream", l.Data)
				return true
			}
		}
	}
	if what == "tags" && tags != nil {
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": tags})
		return true
	}
	return false
}
