package expand

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests/chart"
)

// ChartMirror says where charts, artifacts and other Git repositories are read instead of
// where the state says: addresses that begin with From are asked for below To. Of several
// the longest From counts.
type ChartMirror struct {
	// From and To are addresses, or beginnings of them. From may be one by ssh, without its
	// user, for Git repositories.
	From, To string
	// Credentials are the data of a Secret for To, in the form that Flux knows; nil for
	// none. Credentials of the state never go to a mirror.
	Credentials map[string][]byte
}

// Check a mirror. Errors name no credentials.
func (m ChartMirror) Check() error {
	from, ok := chartAddress(strings.Replace(m.From, "ssh://", "https://", 1))
	if !ok {
		return errors.New("a chart mirror replaces the beginning of an https, http, oci or ssh address: write it without credentials")
	}
	to, ok := chartAddress(m.To)
	switch {
	case !ok || to.RawQuery != "":
		return fmt.Errorf("the mirror of %s is no https, http or oci address without credentials", m.From)
	case to.Scheme == "http" && !loopback(to):
		return fmt.Errorf("the mirror of %s is read without encryption: use https, http is for this machine only", m.From)
	case from.Scheme == "oci" && to.Scheme != "oci":
		return fmt.Errorf("the mirror of %s has to be an oci address too", m.From)
	case strings.HasPrefix(m.From, "ssh://") && to.Scheme == "oci":
		return fmt.Errorf("the mirror of %s is one of Git repositories, and a registry holds none", m.From)
	}
	return nil
}

// chartAddress reads the address of a chart repository, which holds no credentials.
func chartAddress(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	return u, err == nil && u.Host != "" && u.User == nil && slices.Contains([]string{"https", "http", "oci"}, u.Scheme)
}

func loopback(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// redirected asks a mirror, where there is one.
func redirected(ref chart.Ref, mirrors []ChartMirror) (chart.Ref, error) {
	var best *ChartMirror
	rest := ""
	for i, m := range mirrors {
		after, ok := below(ref.Repository, m.From)
		if ok && (best == nil || len(m.From) > len(best.From)) {
			best, rest = &mirrors[i], after
		}
	}
	if best == nil {
		return ref, nil
	}
	if err := best.Check(); err != nil {
		return ref, err
	}
	ref.Original = withoutCredentials(ref.Repository)
	ref.Repository = strings.TrimRight(best.To, "/") + rest
	to, err := url.Parse(ref.Repository)
	if err != nil {
		return ref, fmt.Errorf("the mirror of %s makes no address of %s", best.From, withoutCredentials(ref.Repository))
	}
	ref.PlainHTTP = to.Scheme == "oci" && loopback(to)
	ref.PassCredentials = false
	ref.Auth, err = authOf(ref.Repository, best.Credentials, nil)
	return ref, err
}

// below is what follows a beginning of an address that ends with a part of its path.
func below(address, from string) (string, bool) {
	rest, ok := strings.CutPrefix(withoutCredentials(address), strings.TrimRight(from, "/"))
	return rest, ok && (rest == "" || rest[0] == '/')
}

// withoutCredentials is an address that may be shown.
func withoutCredentials(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is no URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return strings.TrimRight(u.String(), "/")
}

// authOf reads Secrets as Flux does: a user and password, a registry's configuration, and
// certificates.
func authOf(address string, credentials, certificates map[string][]byte) (chart.Auth, error) {
	auth := chart.Auth{
		Username: string(credentials["username"]), Password: string(credentials["password"]), BearerToken: string(credentials["bearerToken"]),
	}
	for _, data := range []map[string][]byte{credentials, certificates} {
		for _, names := range []struct {
			into *[]byte
			keys []string
		}{
			{&auth.CABundle, []string{"caFile", "ca.crt"}}, {&auth.ClientCert, []string{"certFile", "tls.crt"}}, {&auth.ClientKey, []string{"keyFile", "tls.key"}},
		} {
			for _, key := range names.keys {
				if value := data[key]; len(value) > 0 {
					*names.into = value
				}
			}
		}
	}
	if config := credentials[".dockerconfigjson"]; len(config) > 0 {
		return registryAuth(address, config, auth)
	}
	return auth, nil
}

// registryEntry is what a registry's configuration has under one address.
type registryEntry struct{ Username, Password, Auth string }

// registryAuth finds the entry for an address. Errors quote nothing of the Secret.
func registryAuth(address string, config []byte, auth chart.Auth) (chart.Auth, error) {
	var parsed struct {
		Auths map[string]registryEntry `json:"auths"`
	}
	if json.Unmarshal(config, &parsed) != nil {
		return auth, errors.New("is read with a Secret whose .dockerconfigjson is not the configuration of registries")
	}
	u, err := url.Parse(address)
	if err != nil {
		return auth, errors.New("has an address that is no URL")
	}
	entry, ok := entryFor(u, parsed.Auths)
	if !ok {
		return auth, nil
	}
	auth.Username, auth.Password = entry.Username, entry.Password
	if text, err := base64.StdEncoding.DecodeString(entry.Auth); err == nil && entry.Username == "" {
		auth.Username, auth.Password, _ = strings.Cut(string(text), ":")
	}
	return auth, nil
}

// entryFor an address is the one whose path reaches furthest into it. One for another path
// of the same host counts only when it is all that there is for the host: of several, each
// is somebody's.
func entryFor(u *url.URL, entries map[string]registryEntry) (best registryEntry, found bool) {
	longest, others := -1, 0
	var other registryEntry
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		host, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://"), "/")
		if host != u.Host && (u.Host != "docker.io" || host != "index.docker.io") {
			continue
		}
		path = strings.Trim(path, "/")
		if path == "v1" || path == "v2" { // the version of an API, as docker login writes it
			path = ""
		}
		switch within := strings.Trim(u.Path, "/"); {
		case path != "" && within != path && !strings.HasPrefix(within, path+"/"):
			other, others = entries[name], others+1
		case len(path) > longest:
			best, longest = entries[name], len(path)
		}
	}
	if longest < 0 && others == 1 {
		return other, true
	}
	return best, longest >= 0
}
