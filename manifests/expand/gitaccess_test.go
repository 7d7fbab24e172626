package expand

import (
	"testing"

	"github.com/refloat-dev/refloat/manifests/flux"
)

func TestCredentialsBelongToAServer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://git.example.com/a", "https://GIT.example.com:443/b", true},
		{"git@git.example.com:a/b.git", "ssh://git.example.com/c", true},
		{"ghcr.io/acme", "oci://ghcr.io/acme/app", true},
		{"https://git.example.com", "https://git.example.com.evil.example/a", false},
		{"https://git.example.com", "https://git.example.com@evil.example/a", false},
		{"https://git.example.com/a", "http://git.example.com/a", false},
		{"https://git.example.com/a", "https://git.example.com:8443/a", false},
		{"https://git.example.com/a", "ssh://git.example.com/a", false},
		{"https://git.example.com/a", "https://git.example.com/%zz", false},
		{"", "", false},
	} {
		if got := sameServer(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
	r := &argoRenderer{credentials: []credential{
		{url: "https://git.example.com", prefix: true, data: map[string]string{"password": "all"}},
		{url: "https://git.example.com/team", prefix: true, data: map[string]string{"password": "team"}},
		{url: "https://git.example.com/team/own.git", data: map[string]string{"username": "u", "password": "own"}},
	}}
	for address, want := range map[string]string{
		"https://git.example.com/team/own": "own", "https://git.example.com/team/a": "team", "https://git.example.com/b": "all",
		"https://git.example.com.evil.example/b": "", "http://git.example.com/team/own": "",
	} {
		if got := r.credentialFor(address)["password"]; got != want {
			t.Errorf("%s gets the password of %q, want %q", address, got, want)
		}
	}
}

func TestMirrorsOfRepositories(t *testing.T) {
	r := &remotes{mirrors: []ChartMirror{
		{From: "https://git.example.com", To: "https://m.example.com/all"}, {From: "https://git.example.com/team/", To: "https://m.example.com/team/"},
		{From: "https://git.example.com/team/charts", To: "oci://m.example.com/charts"}, {From: "ssh://git.example.com", To: "https://m.example.com/ssh"},
	}}
	for address, want := range map[string]string{
		"https://git.example.com/a.git":          "https://m.example.com/all/a.git",
		"https://u:p@git.example.com/team/a.git": "https://m.example.com/team/a.git",
		"https://git.example.com/team/charts/a":  "https://m.example.com/team/charts/a",
		"https://git.example.com/teams/a":        "https://m.example.com/all/teams/a",
		"https://git.example.com.evil.example/a": "",
		"git@git.example.com:/a/b.git":           "https://m.example.com/ssh/a/b.git",
		"ssh://git@git.example.com/a/b.git":      "https://m.example.com/ssh/a/b.git",
		"ssh://git@git.example.com:2222/a/b.git": "",
	} {
		if _, got := r.mirrorOf(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func TestSecretsForRepositories(t *testing.T) {
	if got, err := proxyOf(map[string][]byte{"address": []byte("https://p.example.com:8080\n"), "username": []byte("u"), "password": []byte("p@")}); err != nil || got != "https://u:p%40@p.example.com:8080" {
		t.Errorf("proxy %q, %v", got, err)
	}
	for _, address := range []string{"", "p.example.com", "/p"} {
		if _, err := proxyOf(map[string][]byte{"address": []byte(address)}); err == nil {
			t.Errorf("%q is taken for a proxy", address)
		}
	}
	if _, err := verification(&flux.GitVerification{Commit: true, Keys: map[string][]byte{}}); err == nil {
		t.Error("signatures are asked for without a key")
	}
	a := flux.GitRequest{Credentials: map[string][]byte{"username": []byte("ab"), "password": []byte("c")}}
	b := flux.GitRequest{Credentials: map[string][]byte{"username": []byte("a"), "password": []byte("bc")}}
	again := flux.GitRequest{Credentials: map[string][]byte{"password": []byte("c"), "username": []byte("ab")}}
	if fingerprint(a) == fingerprint(b) || fingerprint(a) == fingerprint(flux.GitRequest{}) || fingerprint(a) != fingerprint(again) {
		t.Error("access is not told apart")
	}
}
