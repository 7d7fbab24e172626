package source

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// remote is a parsed repository address with its credentials taken out.
type remote struct {
	endpoint transport.Endpoint // carries neither user nor password, except ssh's user
	auth     Auth
	display  string   // for people: no credentials
	identity string   // names the repository in the cache
	secrets  []string // must never be printed
	// clearText is true when credentials would travel unencrypted.
	clearText bool
}

// scpLike is user@host:path, where no slash stands before the colon.
var scpLike = regexp.MustCompile(`^([^@/:\s]+)@(\[[0-9A-Fa-f:]+\]|[^/:@\s]+):(.+)$`)

func parseRemote(raw string, auth Auth) (*remote, error) {
	if raw == "" {
		return nil, fmt.Errorf("no repository given: set its url")
	}
	r := &remote{auth: auth}
	r.hide(auth.Password, auth.BearerToken)
	r.hideProxy(auth.Proxy)
	if strings.Contains(raw, "://") {
		return r, r.parseURL(raw)
	}
	if m := scpLike.FindStringSubmatch(raw); m != nil {
		r.endpoint = transport.Endpoint{Protocol: "ssh", User: m[1], Host: strings.Trim(m[2], "[]"), Path: m[3]}
		r.display = raw
		r.identity = "ssh://" + m[1] + "@" + m[2] + "/" + strings.TrimPrefix(m[3], "/")
		return r, r.check()
	}
	return r, r.setPath(raw)
}

func (r *remote) parseURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's own error repeats the text, which may hold a password.
		scheme, _, _ := strings.Cut(raw, "://")
		return fmt.Errorf("the repository's %s URL cannot be parsed: check it for spaces and unescaped characters", printable(scheme))
	}
	scheme := strings.ToLower(u.Scheme)
	if u.User != nil {
		password, has := u.User.Password()
		r.hide(password)
		if scheme != "ssh" && !has {
			r.hide(u.User.Username()) // a token is commonly given as the user
		}
		if r.auth.Username == "" && r.auth.Password == "" && r.auth.BearerToken == "" {
			r.auth.Username, r.auth.Password = u.User.Username(), password
		}
	}
	switch scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return fmt.Errorf("repository file URL names host %q: only files of this machine can be read", u.Host)
		}
		return r.setPath(u.Path)
	case "https", "http", "ssh":
	default:
		return fmt.Errorf("repository URL scheme %q is not supported: use https, ssh or file", printable(scheme))
	}
	r.setURL(u, scheme)
	return r.check()
}

func (r *remote) setURL(u *url.URL, scheme string) {
	port, _ := strconv.Atoi(u.Port())
	r.endpoint = transport.Endpoint{Protocol: scheme, Host: u.Hostname(), Port: port, Path: u.Path}
	clean := url.URL{Scheme: scheme, Host: strings.ToLower(u.Host), Path: u.Path}
	if scheme == "ssh" {
		r.endpoint.User = cmp.Or(u.User.Username(), r.auth.Username, "git")
		clean.User = url.User(r.endpoint.User)
	} else if strings.Contains(u.Hostname(), ":") {
		r.endpoint.Host = "[" + u.Hostname() + "]"
	}
	if scheme != "ssh" && u.RawQuery != "" {
		r.endpoint.Path += "?" + u.RawQuery
		r.hide(u.RawQuery) // some servers take tokens as a query
	}
	if r.auth.Password != "" {
		// As basic authentication sends it, should a server repeat it.
		r.hide(base64.StdEncoding.EncodeToString([]byte(r.auth.Username + ":" + r.auth.Password)))
	}
	r.display, r.identity = clean.String(), clean.String()
	r.clearText = scheme == "http" && (r.auth.Password != "" || r.auth.BearerToken != "" || r.auth.Username != "")
}

func (r *remote) setPath(path string) error {
	if path == "" {
		return fmt.Errorf("repository file URL has no path")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("repository path %q: %w", path, err)
	}
	r.endpoint = transport.Endpoint{Protocol: "file", Path: abs}
	r.display, r.identity = abs, "file://"+abs
	return nil
}

func (r *remote) check() error {
	switch path := strings.TrimPrefix(r.endpoint.Path, "/"); {
	case r.endpoint.Host == "":
		return fmt.Errorf("repository %s: the URL names no host", r.display)
	case path == "":
		return fmt.Errorf("repository %s: the URL names no path", r.display)
	case strings.HasPrefix(path, "-"), strings.ContainsAny(path, "\x00\n\r"):
		return fmt.Errorf("repository %s: the path is not allowed", printable(r.display))
	}
	return nil
}

func (r *remote) local() bool { return r.endpoint.Protocol == "file" }

// hideProxy keeps a proxy's user and password out of messages.
func (r *remote) hideProxy(proxy string) {
	u, err := url.Parse(proxy)
	if err != nil {
		r.hide(proxy)
		return
	}
	if u.User != nil {
		password, _ := u.User.Password()
		r.hide(u.User.Username(), password, u.User.String())
	}
}

// hide remembers what must not be printed. Very short strings are left alone:
// replacing them would garble a message and protect nothing.
func (r *remote) hide(secrets ...string) {
	for _, s := range secrets {
		if len(s) >= 3 {
			r.secrets = append(r.secrets, s)
		}
	}
}
