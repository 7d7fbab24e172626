package controller

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/recovery"
)

func TestFetchOptions(t *testing.T) {
	request := RenderRequest{
		Source: v1alpha1.GitSource{
			URL: "https://git.example.com/a.git", Ref: v1alpha1.GitRef{Tag: "v1.0.0"}, Submodules: true,
			Mirrors: []v1alpha1.GitMirror{{URL: "ssh://git@mirror.example.com/a.git"}, {URL: "https://other.example.com/a.git"}},
			Verify:  &v1alpha1.GitVerification{Mode: "TagAndCommit"},
		},
		Access:    Access{Auth: source.Auth{BearerToken: "main"}, Mirrors: []source.Auth{{SSHIdentity: []byte("key")}, {}}, Verify: source.VerifyFrom("TagAndCommit", nil)},
		Namespace: "fleet",
	}
	o := fetchOptions(request, "/cache", clock.RealClock{}.Now)
	if o.Tag != "v1.0.0" || o.Commit != "" || !o.Submodules || !o.AllowStale || o.Verify.Mode != source.VerifyTagAndCommit {
		t.Errorf("got %+v", o)
	}
	if o.CacheDir != "/cache/fleet" {
		t.Errorf("namespaces share the cache %s", o.CacheDir)
	}
	if len(o.Mirrors) != 2 || string(o.Mirrors[0].Auth.SSHIdentity) != "key" || o.Mirrors[1].Auth.BearerToken != "" || o.Auth.BearerToken != "main" {
		t.Errorf("credentials went astray: %+v", o.Mirrors)
	}
	request.Commit = strings.Repeat("a", 40)
	if o = fetchOptions(request, "", nil); o.Commit != request.Commit || o.Tag != "v1.0.0" || o.CacheDir != "" {
		t.Errorf("pinned: got %+v", o)
	}
}

func TestSecretsOfASource(t *testing.T) {
	v := source.VerifyFrom("", map[string][]byte{"b.asc": []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"), "a": []byte("d ssh-ed25519 A"), "c": []byte("e ssh-ed25519 B")})
	if v.Mode != source.VerifyCommit || len(v.OpenPGPKeys) != 1 || len(v.SSHAllowedSigners) != 2 || string(v.SSHAllowedSigners[0]) != "d ssh-ed25519 A" {
		t.Errorf("got %+v", v)
	}
	for address, want := range map[string]string{
		"http://proxy.example.com:3128\n": "http://me:p%2Fw@proxy.example.com:3128", "socks5://p:1080": "socks5://me:p%2Fw@p:1080",
		"": "", "proxy.example.com": "", "http://%zz": "",
	} {
		got, ok := source.ProxyFrom(map[string][]byte{"address": []byte(address), "username": []byte("me"), "password": []byte("p/w")})
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q %t, want %q", address, got, ok, want)
		}
	}
}

// TestRenderSaysWhereTheCommitIsFrom goes through a mirror, then works without any remote.
func TestRenderSaysWhereTheCommitIsFrom(t *testing.T) {
	repository := filepath.Join(t.TempDir(), "fleet")
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	for name, content := range map[string]string{
		"state/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n",
		"capi/c.yaml":  "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\n",
	} {
		file := filepath.Join(repository, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q", "-b", "main")
	git("add", "-A")
	git("commit", "-q", "-m", "one")

	now := clocktesting.NewFakeClock(time.Now())
	engine := NewEngine(EngineOptions{CacheDir: t.TempDir(), Clock: now})
	const dead = "http://127.0.0.1:1/fleet.git"
	request := RenderRequest{
		Source:      v1alpha1.GitSource{URL: dead, Mirrors: []v1alpha1.GitMirror{{URL: "file://" + repository}}, Ref: v1alpha1.GitRef{Branch: "main"}},
		ClusterPath: "capi", ClusterName: "dev", Namespace: "fleet", StatePaths: []string{"state"},
	}
	rendered, err := engine.Render(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if o := rendered.Origin; o.From != repository || o.Stale || o.Ref != "refs/heads/main" || !o.FetchedAt.Time.Equal(now.Now()) {
		t.Errorf("origin %+v", o)
	}
	if !strings.Contains(strings.Join(rendered.Warnings, "\n"), dead) {
		t.Errorf("warnings %q do not say why the mirror served", rendered.Warnings)
	}

	request.Source.Mirrors = nil
	now.Step(3 * time.Hour)
	again, err := engine.Render(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Origin.Stale || again.Commit != rendered.Commit || again.Digest != rendered.Digest {
		t.Errorf("origin %+v", again.Origin)
	}
	if text := provenance(again.Origin); !strings.Contains(text, "remote unreachable") {
		t.Errorf("the message says %q", text)
	}
	if !slices.ContainsFunc(again.Warnings, func(w string) bool {
		return strings.Contains(w, "remote unreachable") && strings.Contains(w, "3 hours ago")
	}) {
		t.Errorf("warnings %q", again.Warnings)
	}
	// Another namespace never fetched it and gets nothing.
	request.Namespace = "other"
	var unreachable *source.UnreachableError
	if _, err := engine.Render(t.Context(), request); !errors.As(err, &unreachable) {
		t.Errorf("another namespace: %v", err)
	}
	// A signature that is missing ends a run; waiting would not mend it.
	request.Namespace, request.Access.Verify = "fleet", &source.Verify{Mode: source.VerifyCommit, SSHAllowedSigners: [][]byte{
		[]byte("d ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9C4M8WbU1FwKGQ3eXy6nPMmzBwHnEVTmJwQqZ3vJkA"),
	}}
	_, err = engine.Render(t.Context(), request)
	if fault := recovery.AsFault(err); fault == nil || !strings.Contains(fault.Message, "is not signed") {
		t.Errorf("unsigned: %v", err)
	}
}
