package charttest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.cncf.helm.config.v1+json"
	layerType    = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

var config = []byte("{}")

// registry serves what a client needs to pull: tags, manifests and blobs. Charts are
// the repositories charts/<name>.
func (s *Server) registry(w http.ResponseWriter, r *http.Request) {
	rest := strings.TrimPrefix(r.URL.Path, "/v2/")
	if rest == "" {
		return
	}
	name, what, reference := cut(strings.TrimPrefix(rest, "charts/"))
	var charts []packed
	for _, p := range s.charts {
		if p.name == name {
			charts = append(charts, p)
		}
	}
	switch {
	case len(charts) == 0:
	case what == "tags":
		tags := []string{}
		for _, p := range charts {
			tags = append(tags, tagOf(p.version))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "charts/" + name, "tags": tags})
		return
	case what == "manifests":
		for _, p := range charts {
			m := manifest(p)
			if reference == tagOf(p.version) || reference == "sha256:"+hexDigest(m) {
				respond(w, r, manifestType, m)
				return
			}
		}
	case what == "blobs":
		for _, p := range charts {
			for _, blob := range [][]byte{p.data, config} {
				if reference == "sha256:"+hexDigest(blob) {
					respond(w, r, "application/octet-stream", blob)
					return
				}
			}
		}
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"errors":[{"code":"NOT_FOUND","message":"not found"}]}`))
}

// cut a path like demo/manifests/1.0.0.
func cut(rest string) (name, what, reference string) {
	parts := strings.Split(rest, "/")
	if len(parts) < 3 {
		return "", "", ""
	}
	n := len(parts)
	return strings.Join(parts[:n-2], "/"), parts[n-2], parts[n-1]
}

func tagOf(version string) string { return strings.ReplaceAll(version, "+", "_") }

func respond(w http.ResponseWriter, r *http.Request, mediaType string, data []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Header().Set("Docker-Content-Digest", "sha256:"+hexDigest(data))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

// ManifestDigest of a chart that the registry has, sha256:….
func (s *Server) ManifestDigest(name, version string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.charts {
		if p.name == name && p.version == version {
			return "sha256:" + hexDigest(manifest(p))
		}
	}
	return ""
}

func manifest(p packed) []byte {
	descriptor := func(mediaType string, data []byte) map[string]any {
		return map[string]any{"mediaType": mediaType, "digest": "sha256:" + hexDigest(data), "size": len(data)}
	}
	text, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor(configType, config),
		"layers": []any{descriptor(layerType, p.data)},
	})
	return text
}
