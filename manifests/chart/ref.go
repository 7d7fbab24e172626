package chart

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	ocidigest "github.com/opencontainers/go-digest"
)

// Ref says which chart is wanted and where it is.
type Ref struct {
	// Repository is the address of a chart repository: https://, http:// or oci://.
	Repository string
	// Original is the address that Repository is a mirror of; "" when it is none. A copied
	// index names archives below it, which are asked of Repository.
	Original string
	// Name of the chart. For OCI it may be empty when Repository names the chart itself.
	Name string
	// Version is an exact version or a range, as Helm and Flux understand it; "" is the
	// highest one that is no prerelease. For OCI it may also be a tag that is no version.
	Version string
	// Digest of the archive, sha256:…; nothing else is accepted when it is set.
	Digest string
	// Manifest is the digest of an OCI manifest, sha256:…; it goes before Version.
	Manifest string
	// MediaType of the layer that holds the archive, in a registry; "" for that of charts.
	MediaType string
	// PlainHTTP talks to an OCI registry without TLS.
	PlainHTTP bool
	// Auth is sent to the repository's own address only.
	Auth Auth
	// PassCredentials sends Auth also to the address at which an index says that the
	// archive is, when that is another one. Redirects never carry it elsewhere.
	PassCredentials bool
}

// Auth is what a repository asks for. The zero value is anonymous.
type Auth struct {
	Username, Password string
	BearerToken        string
	// CABundle holds certificates, PEM, that are trusted besides the system's.
	CABundle []byte
	// ClientCert and ClientKey, PEM, are shown to servers that ask for a certificate.
	ClientCert, ClientKey []byte
}

// fingerprint tells the same credentials from others without keeping them.
func (a Auth) fingerprint() string {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(a.Username), []byte(a.Password), []byte(a.BearerToken), a.CABundle, a.ClientCert, a.ClientKey} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Pinned is a chart by content: what a run writes down to get the same bytes again.
type Pinned struct {
	Repository string `json:"repository"`
	Name       string `json:"name"`
	Version    string `json:"version"`
	// Digest of the archive, sha256:….
	Digest string `json:"digest"`
	// Manifest is the digest of the OCI manifest; empty for HTTP repositories.
	Manifest  string `json:"manifest,omitempty"`
	PlainHTTP bool   `json:"plainHTTP,omitempty"`
}

// Ref asks for exactly the pinned chart.
func (p Pinned) Ref(auth Auth, passCredentials bool) Ref {
	return Ref{
		Repository: p.Repository, Name: p.Name, Version: p.Version, Digest: p.Digest, Manifest: p.Manifest,
		PlainHTTP: p.PlainHTTP, Auth: auth, PassCredentials: passCredentials,
	}
}

// String names the chart for people: podinfo 6.7.0 from https://….
func (p Pinned) String() string {
	return fmt.Sprintf("%s %s from %s", p.Name, p.Version, p.Repository)
}

// address is a Ref that was looked at: its address without credentials, and what must
// not be printed.
type address struct {
	what    noun
	ref     Ref
	url     *url.URL
	display string
	secrets secrets
}

func newAddress(ref Ref) (*address, error) {
	u, err := url.Parse(ref.Repository)
	if err != nil {
		return nil, &InvalidError{Message: fmt.Sprintf("the chart repository of %q has an address that is not a URL", printable(ref.Name))}
	}
	r := &address{ref: ref, url: u}
	if u.User != nil {
		password, _ := u.User.Password()
		if ref.Auth.Username == "" && ref.Auth.Password == "" && ref.Auth.BearerToken == "" {
			r.ref.Auth.Username, r.ref.Auth.Password = u.User.Username(), password
		}
		r.secrets.hide(password)
		u.User = nil
	}
	r.secrets.hide(r.ref.Auth.Password, r.ref.Auth.BearerToken)
	for _, values := range u.Query() {
		r.secrets.hide(values...) // some repositories take a token there
	}
	shown := *u
	shown.RawQuery, shown.Fragment = "", ""
	r.display = printable(shown.String())
	return r, r.check()
}

func (r *address) check() error {
	invalid := func(format string, args ...any) error {
		return &InvalidError{Message: fmt.Sprintf(format, args...)}
	}
	switch r.url.Scheme {
	case "https", "http":
		if r.ref.Name == "" {
			return invalid("chart repository %s: the name of the chart is missing", r.display)
		}
	case "oci":
	default:
		return invalid("chart repository %s: only https, http and oci addresses are supported", r.display)
	}
	if r.url.Host == "" {
		return invalid("chart repository %s: the address names no host", r.display)
	}
	for _, d := range []string{r.ref.Digest, r.ref.Manifest} {
		if d == "" {
			continue
		}
		if parsed, err := ocidigest.Parse(d); err != nil || parsed.Algorithm() != ocidigest.SHA256 {
			return invalid("chart %s of %s: %q is not a digest of the form sha256:…", printable(r.ref.Name), r.display, printable(d))
		}
	}
	return nil
}

// ociPath is host/path of the chart in its registry.
func (r *address) ociPath() string {
	p := r.url.Host + strings.TrimRight(r.url.Path, "/")
	if r.ref.Name != "" {
		p += "/" + strings.Trim(r.ref.Name, "/")
	}
	return p
}

// ociName is the path in its registry.
func (r *address) ociName() string { return strings.TrimPrefix(r.ociPath(), r.url.Host+"/") }

// digestOf is the digest of an archive's bytes.
func digestOf(data []byte) string {
	return ocidigest.FromBytes(data).String()
}
