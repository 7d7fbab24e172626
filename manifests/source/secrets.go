package source

import (
	"bytes"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// The functions below read the data of Secrets under the keys that Flux gives them, so that
// a Secret that serves Flux serves here too.

// AuthFrom reads credentials for a repository: username and password, bearerToken, identity
// and known_hosts, and ca.crt (or caFile, as older Flux has it).
func AuthFrom(data map[string][]byte) Auth {
	ca := data["ca.crt"]
	if len(ca) == 0 {
		ca = data["caFile"]
	}
	return Auth{
		Username: string(data["username"]), Password: string(data["password"]), BearerToken: string(data["bearerToken"]),
		SSHIdentity: data["identity"], SSHKnownHosts: data["known_hosts"], CABundle: ca,
	}
}

// ProxyFrom puts the parts of a proxy's Secret together: address, username and password.
// It is false when address holds no URL.
func ProxyFrom(data map[string][]byte) (string, bool) {
	u, err := url.Parse(strings.TrimSpace(string(data["address"])))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", false
	}
	if name := string(data["username"]); name != "" {
		u.User = url.UserPassword(name, string(data["password"]))
	}
	return u.String(), true
}

// VerifyFrom sorts the entries of a Secret into OpenPGP keys and SSH signers. The commit has
// to be signed when no mode is given.
func VerifyFrom(mode VerifyMode, data map[string][]byte) *Verify {
	v := &Verify{Mode: mode}
	if mode == "" {
		v.Mode = VerifyCommit
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if bytes.Contains(data[key], []byte("BEGIN PGP PUBLIC KEY BLOCK")) {
			v.OpenPGPKeys = append(v.OpenPGPKeys, data[key])
		} else {
			v.SSHAllowedSigners = append(v.SSHAllowedSigners, data[key])
		}
	}
	return v
}
