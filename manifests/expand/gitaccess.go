package expand

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/source"
)

var (
	fullCommit = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	// versions is a range of versions as Argo CD takes it for tags; a plain name is none.
	versions = regexp.MustCompile(`^[v^~<>=! ]*[0-9]+(\.([0-9]+|[xX*])){0,2}.*$`)
	// remoteAddress is one that leads to another machine: what a repository names is never
	// looked for on this one.
	remoteAddress = regexp.MustCompile(`^(?i)(https?|ssh)://.`)
	scpAddress    = regexp.MustCompile(`^[^@/:\s]+@[^/:@\s]+:.`)
)

// requestedOf says in words what a request asks for.
func requestedOf(q flux.GitRequest) string {
	text := "HEAD"
	switch {
	case q.Commit != "":
		text = "commit " + q.Commit
	case q.Name != "":
		text = "name " + q.Name
	case q.SemVer != "":
		text = "semver " + q.SemVer
	case q.Tag != "":
		text = "tag " + q.Tag
	case q.Branch != "":
		text = "branch " + q.Branch
	case q.Revision != "":
		text = "revision " + q.Revision
	}
	if q.Submodules {
		text += " with submodules"
	}
	return text
}

// alternatives are the references that a request may mean, in order.
func alternatives(q flux.GitRequest) []source.Options {
	switch word := q.Revision; {
	case q.Commit != "" && q.Verify != nil && q.Verify.Tag:
		// A tag's signature covers the commit only through the tag.
		return []source.Options{{Commit: q.Commit, Tag: q.Tag, SemVer: unless(q.Tag, q.SemVer)}}
	case q.Commit != "":
		return []source.Options{{Commit: q.Commit}}
	case q.Name != "":
		return []source.Options{named(q.Name)}
	case q.SemVer != "":
		return []source.Options{{SemVer: q.SemVer}}
	case q.Tag != "":
		return []source.Options{{Tag: q.Tag}}
	case q.Branch != "":
		return []source.Options{{Branch: q.Branch}}
	case word == "" || word == "HEAD":
		return []source.Options{{}}
	case fullCommit.MatchString(word):
		return []source.Options{{Commit: word}}
	case strings.HasPrefix(word, "refs/"):
		return []source.Options{named(word)}
	case versions.MatchString(word):
		return []source.Options{{Branch: word}, {Tag: word}, {SemVer: word}}
	default:
		return []source.Options{{Branch: word}, {Tag: word}}
	}
}

func unless(given, text string) string {
	if given != "" {
		return ""
	}
	return text
}

// named is a full reference name. A tag's may end in ^{}, which means its commit.
func named(name string) source.Options {
	name = strings.TrimSuffix(name, "^{}")
	if tag, ok := strings.CutPrefix(name, "refs/tags/"); ok {
		return source.Options{Tag: tag}
	}
	return source.Options{Name: name}
}

// access is where a repository is read, and with what.
func (r *remotes) access(q flux.GitRequest) (source.Options, error) {
	o := source.Options{
		URL: q.URL, CacheDir: r.options.CacheDir, AllowStale: r.options.AllowStale, Submodules: q.Submodules,
		Limits: r.options.Limits, Now: r.options.Now,
	}
	var err error
	if o.Verify, err = verification(q.Verify); err != nil {
		return o, err
	}
	if own := r.options.Own; r.isOwn(q.URL) {
		// The plan says how it is read and who has to sign it; what the state says is for the
		// tool on the cluster.
		o.URL, o.Auth, o.Mirrors = own.URL, own.Auth, own.Mirrors
		if own.Verify != nil {
			o.Verify = own.Verify
		}
		return o, nil
	}
	if !remoteAddress.MatchString(q.URL) && !scpAddress.MatchString(q.URL) {
		return o, errors.New("its address is none by https, http or ssh: other repositories are not read from this machine")
	}
	if mirror, to := r.mirrorOf(q.URL); mirror != nil {
		if err := mirror.Check(); err != nil {
			return o, err
		}
		o.URL, o.Auth = to, source.AuthFrom(mirror.Credentials)
		return o, nil
	}
	o.Auth = source.AuthFrom(q.Credentials)
	if q.Proxy != nil && !strings.HasPrefix(strings.ToLower(q.URL), "http") {
		return o, errors.New("has a proxy, which is for https and http addresses only")
	}
	o.Auth.Proxy, err = proxyOf(q.Proxy)
	return o, err
}

// isOwn is true for an address of the repository that is rendered.
func (r *remotes) isOwn(address string) bool {
	own := r.options.Own
	if own.URL == "" {
		return false
	}
	urls := []string{own.URL}
	for _, m := range own.Mirrors {
		urls = append(urls, m.URL)
	}
	return slices.ContainsFunc(urls, func(u string) bool { return flux.CanonicalURL(u) == flux.CanonicalURL(address) })
}

// mirrorOf finds the mirror for an address, and the address there. Those in a registry
// hold no Git repository.
func (r *remotes) mirrorOf(address string) (*ChartMirror, string) {
	address = asURL(address)
	var best *ChartMirror
	rest := ""
	for i, m := range r.mirrors {
		after, ok := below(address, m.From)
		if ok && !strings.HasPrefix(m.To, "oci:") && (best == nil || len(m.From) > len(best.From)) {
			best, rest = &r.mirrors[i], after
		}
	}
	if best == nil {
		return nil, ""
	}
	return best, strings.TrimRight(best.To, "/") + rest
}

// asURL writes user@host:path as a URL, and a registry as Argo CD names it.
func asURL(address string) string {
	if !scpAddress.MatchString(address) {
		if !strings.Contains(address, "://") {
			return "oci://" + address
		}
		return address
	}
	_, rest, _ := strings.Cut(address, "@")
	host, p, _ := strings.Cut(rest, ":")
	return "ssh://" + host + "/" + strings.TrimPrefix(p, "/")
}

// sameServer is true for addresses with the same protocol, host and port: the only ones
// that may share credentials.
func sameServer(a, b string) bool {
	x, errX := url.Parse(asURL(a))
	y, errY := url.Parse(asURL(b))
	if errX != nil || errY != nil || x.Host == "" {
		return false
	}
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80", "ssh": "22"}[u.Scheme])
	}
	return x.Scheme == y.Scheme && strings.EqualFold(x.Hostname(), y.Hostname()) && port(x) == port(y)
}

// proxyOf reads the Secret of a proxy.
func proxyOf(data map[string][]byte) (string, error) {
	if data == nil {
		return "", nil
	}
	address, ok := source.ProxyFrom(data)
	if !ok {
		return "", errors.New("has a proxy whose Secret holds no URL under the key address")
	}
	return address, nil
}

// verification that a definition asks for.
func verification(v *flux.GitVerification) (*source.Verify, error) {
	switch {
	case v == nil:
		return nil, nil
	case len(v.Keys) == 0:
		return nil, errors.New("asks for a signature, and its Secret holds no key")
	}
	mode := source.VerifyCommit
	switch {
	case v.Commit && v.Tag:
		mode = source.VerifyTagAndCommit
	case v.Tag:
		mode = source.VerifyTag
	}
	return source.VerifyFrom(mode, v.Keys), nil
}

// fingerprint tells the same access from another without keeping credentials.
func fingerprint(q flux.GitRequest) string {
	verify := cmp.Or(q.Verify, &flux.GitVerification{})
	return sealOf(fmt.Sprint(verify.Commit, verify.Tag), q.Credentials, q.Proxy, verify.Keys)
}

func sealOf(text string, all ...map[string][]byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(text), text)
	for _, data := range all {
		fmt.Fprintf(h, "%d;", len(data))
		for _, key := range slices.Sorted(maps.Keys(data)) {
			fmt.Fprintf(h, "%d:%s%d:%s", len(key), key, len(data[key]), data[key])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
