package render

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.yaml.in/yaml/v3"
)

// fetchTimeout bounds one remote file.
const fetchTimeout = 30 * time.Second

// fetch reads a remote resource file and puts it in the place of its URL.
// kustomize never sees the URL: its own client has neither time-out nor limit, and
// falls back to running git.
func (s *survey) fetch(ctx context.Context, k *kustomization, dir string, n *yaml.Node) {
	content, err := download(ctx, n.Value, s.r.limits.FileBytes)
	if err != nil {
		s.fault(k.at(n, "resources"), "names %q: %v", redacted(n.Value), err)
		return
	}
	sum := sha256.Sum256([]byte(n.Value))
	name := "remote-" + hex.EncodeToString(sum[:8]) + ".yaml"
	file := path.Join(dir, name)
	s.overlay[file] = content
	s.fetched[file] = redacted(n.Value)
	s.r.warnings.add(fmt.Sprintf("%s:%d: %s was fetched from the network: the commit does not say what it holds", k.file, k.doc.at(n), redacted(n.Value)))
	n.Value, n.Tag, n.Style = name, "!!str", 0
	k.changed = true
	if !s.listed[file] {
		s.listed[file] = true
		s.resources = append(s.resources, file)
	}
}

func download(ctx context.Context, url string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	client := retryablehttp.NewClient()
	client.Logger = nil // it would log the URL
	client.RetryMax = 2
	defer client.HTTPClient.CloseIdleConnections()
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errors.New("is not a valid URL")
	}
	res, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("no answer within %s", fetchTimeout)
		}
		return nil, errors.New("cannot be reached")
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %d", res.StatusCode)
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(io.LimitReader(res.Body, most+1)); err != nil {
		return nil, errors.New("the answer broke off")
	}
	if int64(content.Len()) > most {
		return nil, fmt.Errorf("is larger than %d bytes", most)
	}
	return content.Bytes(), nil
}
