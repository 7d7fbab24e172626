package expand

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/internal/gittest"
	"github.com/refloat-dev/refloat/manifests/source"
)

// signer is somebody who has signed nothing.
const signer = "a@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS\n"

// lib is another repository with a branch, tags and a release branch that moves.
func lib(t *testing.T) (r *gittest.Repo, first, second string) {
	r = gittest.NewRepo(t)
	first = r.Commit(map[string]string{"deploy/cm.yaml": cm("lib-one"), "docs/skip.yaml": "not: one\n"})
	r.Git("tag", "v1.0.0")
	second = r.Commit(map[string]string{"deploy/cm.yaml": cm("lib-two")})
	r.Git("tag", "-a", "v1.2.0", "-m", "release")
	r.Git("tag", "v2.0.0-rc.1")
	r.Git("update-ref", "refs/pull/7/head", first)
	r.Git("branch", "master", first)
	return r, first, second
}

func serveLib(t *testing.T) (server *gittest.Server, repo *gittest.Repo, first, second string) {
	repo, first, second = lib(t)
	return gittest.NewServer(t, map[string]*gittest.Repo{"team/lib.git": repo}), repo, first, second
}

// fromLib is a state with a Kustomization of the other repository. Its Secret holds the
// authority of the server, and credentials if any.
func fromLib(address string, spec ...string) files {
	return files{"s/all.yaml": strings.Replace(kustomization("lib", "deploy"), "name: flux-system}\n", "name: lib}\n", 1) +
		gitRepository("lib", address, append([]string{"secretRef: {name: lib}"}, spec...)...)}
}

func access(server *gittest.Server, more map[string]string) Options {
	data := map[string][]byte{"ca.crt": server.CA()}
	for key, value := range more {
		data[key] = []byte(value)
	}
	return Options{Remotes: &RemoteOptions{}, Seeds: []Seed{{Kind: "Secret", Namespace: "flux-system", Name: "lib", Data: data}}}
}

// infoRequests counts how often references were asked for, which is once for each fetch.
func infoRequests(server *gittest.Server) int {
	n := 0
	for _, r := range server.Requests() {
		if strings.HasSuffix(r.Path, "/info/refs") {
			n++
		}
	}
	return n
}

func TestGitRepositoriesAreFetchedAtTheirReference(t *testing.T) {
	server, _, first, second := serveLib(t)
	url := server.URL("team/lib.git")
	for ref, want := range map[string]struct{ commit, requested string }{
		"ref: {branch: main}":                               {second, "branch main"},
		"ref: {tag: v1.0.0}":                                {first, "tag v1.0.0"},
		"ref: {semver: '>=1.0.0'}":                          {second, "semver >=1.0.0"},
		"ref: {commit: " + first + "}":                      {first, "commit " + first},
		"ref: {name: refs/heads/main}":                      {second, "name refs/heads/main"},
		"ref: {name: 'refs/tags/v1.2.0^{}'}":                {second, "name refs/tags/v1.2.0^{}"},
		"ref: {name: refs/pull/7/head}":                     {first, "name refs/pull/7/head"},
		"ref: {branch: gone, tag: v1.0.0}":                  {first, "tag v1.0.0"},
		"ref: {tag: gone, semver: 1.0.x}":                   {first, "semver 1.0.x"},
		"ref: {branch: main, commit: " + first + "}":        {first, "commit " + first},
		"timeout: 5m":                                       {first, "branch master"}, // as Flux without a reference
		"ref: {branch: main}\n  ignore: \"docs/\"":          {second, "branch main"},
		"ref: {branch: main}\n  recurseSubmodules: true":    {second, "branch main with submodules"},
		"ref: {branch: main}\n  sparseCheckout: [./deploy]": {second, "branch main"},
	} {
		t.Run(ref, func(t *testing.T) {
			r := expanded(t, fromLib(url, strings.Split(ref, "\n  ")...), access(server, nil), "s")
			if len(r.Sources) != 1 || r.Sources[0] != (SourcePin{URL: url, Requested: want.requested, Revision: want.commit}) {
				t.Fatalf("sources %+v", r.Sources)
			}
			name := map[string]string{first: "lib-one", second: "lib-two"}[want.commit]
			if o := object(t, r, "ConfigMap x/"+name); o.Origin.File != url+"@"+want.commit[:12]+":deploy/cm.yaml" {
				t.Errorf("comes from %s", o.Origin)
			}
		})
	}
}

func TestOtherRepositoriesArePinnedAndFetchedOnce(t *testing.T) {
	server, repo, _, second := serveLib(t)
	url := server.URL("team/lib.git")
	state := fromLib(url, "ref: {branch: main}")
	state["s/more.yaml"] = strings.Replace(kustomization("docs", "deploy", "namePrefix: more-"), "name: flux-system}\n", "name: lib}\n", 1)
	o := access(server, nil)
	o.Remotes.CacheDir = t.TempDir()
	first := expanded(t, state, o, "s")
	object(t, first, "ConfigMap x/more-lib-two")
	if n := infoRequests(server); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	repo.Commit(map[string]string{"deploy/cm.yaml": cm("lib-three")})
	if moved := expanded(t, state, o, "s"); moved.Digest == first.Digest || moved.Sources[0].Revision == second {
		t.Errorf("without pins: %+v", moved.Sources)
	}
	o.Remotes.Pins = first.Sources
	again := expanded(t, state, o, "s")
	if again.Digest != first.Digest || !slices.Equal(again.Sources, first.Sources) {
		t.Errorf("with pins: %+v, want %+v", again.Sources, first.Sources)
	}
	server.Hang()
	if kept := expanded(t, state, o, "s"); kept.Digest != first.Digest {
		t.Error("a pinned commit in the cache needs the remote")
	}
	o.Remotes.CacheDir, o.Remotes.Pins[0].Revision = t.TempDir(), strings.Repeat("e", 40)
	server.Instead(nil)
	refused(t, state, o, "s", "GitRepository.source.toolkit.fluxcd.io flux-system/lib", strings.Repeat("e", 40), "is not in repository "+url)
}

func TestCredentialsGoOnlyWhereTheyWereGiven(t *testing.T) {
	server, repo, _, second := serveLib(t)
	server.RequireBasic("reader", canary)
	url := server.URL("team/lib.git")
	state, o := fromLib(url, "ref: {branch: main}"), access(server, map[string]string{"username": "reader", "password": canary})
	r := expanded(t, state, o, "s")
	if r.Sources[0].Revision != second {
		t.Errorf("sources %+v", r.Sources)
	}
	for _, text := range append(slices.Clone(r.Warnings), r.Sources[0].URL, r.Sources[0].Requested) {
		if strings.Contains(text, canary) {
			t.Errorf("%q holds a secret", text)
		}
	}

	t.Run("refused", func(t *testing.T) {
		refused(t, state, access(server, map[string]string{"username": "reader", "password": canary + "x"}), "s", url, "check the credentials")
		refused(t, state, access(server, nil), "s", url, "it was asked without any: add the Secret that holds them to the seeds")
		o := access(server, nil)
		o.Seeds = nil
		refused(t, state, o, "s", "is read with the credentials of Secret flux-system/lib", "add it to the seeds")
		refused(t, fromLib(strings.Replace(url, "https://", "https://reader:"+canary+"x@", 1), "ref: {branch: main}"), access(server, nil), "s", "check the credentials")
	})
	t.Run("another definition without them", func(t *testing.T) {
		// It names the same repository and comes second: what was fetched is not its own.
		state := state.with(files{"s/z.yaml": strings.Replace(kustomization("zz", "deploy", "namePrefix: zz-"), "name: flux-system}\n", "name: zz}\n", 1) +
			gitRepository("zz", url, "ref: {branch: main}", "secretRef: {name: trust}")})
		o := o
		o.Seeds = append(slices.Clone(o.Seeds), Seed{Kind: "Secret", Namespace: "flux-system", Name: "trust", Data: map[string][]byte{"caFile": server.CA()}})
		refused(t, state, o, "s", "Kustomization flux-system/zz", "asked without any")
	})
	t.Run("a redirect", func(t *testing.T) {
		elsewhere := gittest.NewServer(t, map[string]*gittest.Repo{"team/lib.git": repo})
		server.Instead(http.RedirectHandler(elsewhere.URL("team/lib.git/info/refs?service=git-upload-pack"), http.StatusMovedPermanently))
		defer server.Instead(nil)
		o := access(elsewhere, map[string]string{"username": "reader", "password": canary})
		o.Seeds[0].Data["ca.crt"] = append(slices.Clone(server.CA()), elsewhere.CA()...)
		if r := expanded(t, state, o, "s"); r.Sources[0].Revision != second {
			t.Errorf("sources %+v", r.Sources)
		}
		asked := elsewhere.Requests()
		if len(asked) == 0 {
			t.Error("the redirect was not followed: the test shows nothing")
		}
		for _, q := range asked {
			if q.Authorization != "" {
				t.Errorf("%s was asked with credentials", q.Path)
			}
		}
	})
	t.Run("a mirror", func(t *testing.T) {
		mirror := gittest.NewServer(t, map[string]*gittest.Repo{"m/lib.git": repo})
		for from, address := range map[string]string{
			"https://git.example.com/team": "https://git.example.com/team/lib.git", "ssh://git.example.com/team": "git@git.example.com:team/lib.git",
		} {
			o := o
			o.Helm.Mirrors = []ChartMirror{{From: from, To: mirror.URL("m"), Credentials: map[string][]byte{"ca.crt": mirror.CA()}}}
			if r := expanded(t, fromLib(address, "ref: {branch: main}"), o, "s"); r.Sources[0].Revision != second {
				t.Errorf("sources %+v", r.Sources)
			}
		}
		if len(mirror.Requests()) == 0 {
			t.Error("the mirror was not asked")
		}
		for _, q := range mirror.Requests() {
			if q.Authorization != "" {
				t.Errorf("the mirror was asked for %s with credentials of the state", q.Path)
			}
		}
	})
}

func TestRepositoriesThatCannotBeRead(t *testing.T) {
	server, _, _, _ := serveLib(t)
	url := server.URL("team/lib.git")
	o := access(server, nil)
	for name, c := range map[string]struct {
		state files
		wants []string
	}{
		"no such branch":  {fromLib(url, "ref: {branch: mein}"), []string{"s/all.yaml:", "Kustomization flux-system/lib", `no branch "mein": did you mean main`, "correct its spec.ref"}},
		"no such tag":     {fromLib(url, "ref: {tag: v1.0.9}"), []string{`no tag "v1.0.9": did you mean v1.0.0`, "correct its spec.ref"}},
		"no such version": {fromLib(url, "ref: {semver: 7.x}"), []string{`in the range "7.x"`, "the newest are v2.0.0-rc.1, v1.2.0"}},
		"no such name":    {fromLib(url, "ref: {name: refs/pull/8/head}"), []string{`no reference "refs/pull/8/head": did you mean pull/7/head`}},
		"no such place":   {fromLib(server.URL("team/gone.git"), "ref: {branch: main}"), []string{"not found", "check the address"}},
		"a file":          {fromLib("file:///etc", "ref: {branch: main}"), []string{"other repositories are not read from this machine"}},
		"a path":          {fromLib("/etc", "ref: {branch: main}"), []string{"other repositories are not read from this machine"}},
		"not signed":      {fromLib(url, "ref: {branch: main}", "verify: {mode: HEAD, secretRef: {name: keys}}"), []string{"is not signed"}},
		"signed somehow":  {fromLib(url, "ref: {branch: main}", "verify: {mode: Some, secretRef: {name: keys}}"), []string{`spec.verify.mode is "Some"`}},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Seeds = append(slices.Clone(o.Seeds), Seed{Kind: "Secret", Namespace: "flux-system", Name: "keys", Data: map[string][]byte{
				"signer": []byte(signer)}})
			refused(t, c.state, o, "s", c.wants...)
		})
	}
	t.Run("no reference and no master", func(t *testing.T) {
		repo := gittest.NewRepo(t)
		repo.Commit(map[string]string{"deploy/cm.yaml": cm("x")})
		server := gittest.NewServer(t, map[string]*gittest.Repo{"lib.git": repo})
		refused(t, fromLib(server.URL("lib.git")), access(server, nil), "s", `no branch "master"`, "its spec.ref is empty, and Flux reads master then")
	})
	t.Run("left to Flux offline", func(t *testing.T) {
		o := o
		o.Helm.Offline = true
		before := len(server.Requests())
		refused(t, fromLib(url), o, "s", "is another repository or another revision", "nothing is fetched here", "nothing in the state installs Flux")
		r := expanded(t, fromLib(url).with(files{"s/flux.yaml": installFlux()}), o, "s")
		if len(r.Skipped) != 1 || len(r.Sources) != 0 || len(server.Requests()) != before {
			t.Errorf("skipped %+v, sources %+v", r.Skipped, r.Sources)
		}
	})
}

func TestServersThatMisbehave(t *testing.T) {
	server, _, _, _ := serveLib(t)
	state := fromLib(server.URL("team/lib.git"), "ref: {branch: main}")
	o := access(server, map[string]string{"username": "reader", "password": canary})
	o.Remotes.Limits.Duration = 3 * time.Second
	later := func(t *testing.T, wants ...string) {
		t.Helper()
		started := time.Now()
		_, err := Expand(context.Background(), state.snapshot(), []string{"s"}, o)
		var unreachable *source.UnreachableError
		if !errors.As(err, &unreachable) {
			t.Fatalf("error %v is not one that may pass", err)
		}
		for _, want := range append(wants, "s/all.yaml:", "Kustomization flux-system/lib") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("error %q holds a secret", err)
		}
		if d := time.Since(started); d > 30*time.Second {
			t.Errorf("took %s", d)
		}
	}
	t.Run("hangs", func(t *testing.T) {
		server.Hang()
		later(t, "it did not answer within 3s")
	})
	t.Run("garbage", func(t *testing.T) {
		server.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("\x00\x01garbage " + canary)) }))
		later(t, "not what a Git server sends")
	})
	t.Run("only looked at", func(t *testing.T) {
		o := o
		o.Partial = true
		r := expanded(t, state.with(files{"s/cm.yaml": cm("a")}), o, "s")
		if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, "is left out: ") || strings.Contains(r.Skipped[0].Reason, canary) {
			t.Errorf("skipped %+v", r.Skipped)
		}
	})
	t.Run("much", func(t *testing.T) {
		server.Instead(nil)
		o.Remotes.Limits.PackBytes = 100
		refused(t, state, o, "s", "limit exceeded")
	})
}

func TestOtherRepositoriesAreCounted(t *testing.T) {
	server, _, _, _ := serveLib(t)
	state := files{}
	for i, ref := range []string{"branch: main", "tag: v1.0.0", "tag: v1.2.0"} {
		name := string(rune('a' + i))
		state["s/"+name+".yaml"] = strings.Replace(kustomization(name, "deploy", "namePrefix: "+name+"-"), "name: flux-system}\n", "name: "+name+"}\n", 1) +
			gitRepository(name, server.URL("team/lib.git"), "ref: {"+ref+"}", "secretRef: {name: lib}")
	}
	o := access(server, nil)
	if r := expanded(t, state, o, "s"); len(r.Sources) != 3 {
		t.Errorf("sources %+v", r.Sources)
	}
	o.Bounds.Repositories = 2
	refused(t, state, o, "s", "Kustomization flux-system/c", "more than 2 other repositories are named")
}

func TestAnotherRevisionOfTheRepositoryItself(t *testing.T) {
	server, _, first, _ := serveLib(t)
	server.RequireBasic("plan", canary)
	own := source.Options{URL: server.URL("team/lib.git"), Auth: source.Auth{Username: "plan", Password: canary, CABundle: server.CA()}}
	o := Options{Remotes: &RemoteOptions{Own: own}}
	o.Repository.URLs = []string{own.URL}
	state := fromLib("ssh://git@"+strings.TrimPrefix(own.URL, "https://"), "ref: {tag: v1.0.0}")
	state["s/all.yaml"] = strings.Replace(state["s/all.yaml"], "  secretRef: {name: lib}\n", "", 1)
	if r := expanded(t, state, o, "s"); len(r.Sources) != 1 || r.Sources[0].Revision != first {
		t.Errorf("sources %+v", r.Sources)
	}
	o.Remotes.Own.Verify = &source.Verify{Mode: source.VerifyCommit, SSHAllowedSigners: [][]byte{[]byte(signer)}}
	refused(t, state, o, "s", "is not signed")
}

func TestTheCommitThatWasFetchedLastStandsIn(t *testing.T) {
	server, _, _, second := serveLib(t)
	state, o := fromLib(server.URL("team/lib.git"), "ref: {branch: main}"), access(server, nil)
	o.Remotes.CacheDir, o.Remotes.AllowStale, o.Remotes.Limits.Duration = t.TempDir(), true, 2*time.Second
	expanded(t, state, o, "s")
	server.Hang()
	r := expanded(t, state, o, "s")
	if len(r.Sources) != 1 || r.Sources[0].Revision != second {
		t.Errorf("sources %+v", r.Sources)
	}
	warned(t, r, "remote unreachable: commit "+second[:12])
}

func TestTokensOfProvidersAreLeftToFlux(t *testing.T) {
	server, _, _, second := serveLib(t)
	state := fromLib(server.URL("team/lib.git"), "ref: {branch: main}", "provider: github").with(files{"s/flux.yaml": installFlux()})
	if r := expanded(t, state, access(server, nil), "s"); len(r.Sources) != 1 || r.Sources[0].Revision != second {
		t.Errorf("one that needs no token: %+v", r.Sources)
	}
	server.RequireBasic("token", canary)
	r := expanded(t, state, access(server, nil), "s")
	if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, "is read with tokens of github, which only the tool on the cluster gets") || len(r.Sources) != 0 {
		t.Errorf("skipped %+v, sources %+v", r.Skipped, r.Sources)
	}
}

func TestApplicationsFromOtherRepositories(t *testing.T) {
	server, repo, first, second := serveLib(t)
	repo.Commit(map[string]string{"deploy/cm.yaml": strings.Replace(cm("lib"), "namespace: x", "namespace: shop", 1)})
	third := repo.Git("rev-parse", "HEAD")
	server.RequireBasic("reader", canary)
	url := server.URL("team/lib.git")
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "https://"), ":")
	secret := func(kind, address string) Seed {
		return Seed{Kind: "Secret", Namespace: "argocd", Name: "lib", Labels: map[string]string{secretType: kind}, Data: map[string][]byte{
			"url": []byte(address), "username": []byte("reader"), "password": []byte(canary)}}
	}
	certs := Seed{Kind: "ConfigMap", Namespace: "argocd", Name: tlsCertsName, Data: map[string][]byte{host: server.CA()}}
	state := func(revision string) files {
		return guestbook().with(files{"argocd/else.yaml": strings.NewReplacer(fleet, url, "targetRevision: main", "targetRevision: "+revision).Replace(application("else", "deploy"))})
	}
	for revision, want := range map[string]string{
		"main": third, "HEAD": third, "v1.0.0": first, "1.x": second, first: first, "refs/pull/7/head": first, "refs/tags/v1.2.0": second,
	} {
		o := Options{Remotes: &RemoteOptions{}, Seeds: []Seed{certs, secret("repo-creds", strings.TrimSuffix(url, "/lib.git"))}}
		r := expanded(t, state(revision), o, "argocd")
		if len(r.Sources) != 1 || r.Sources[0] != (SourcePin{URL: url, Requested: "revision " + revision, Revision: want}) {
			t.Errorf("%s: sources %+v, want %s", revision, r.Sources, want)
		}
		o.Remotes.Pins = r.Sources
		before := infoRequests(server)
		if again := expanded(t, state(revision), o, "argocd"); again.Digest != r.Digest || infoRequests(server) != before+1 {
			t.Errorf("%s: with its pin it was asked %d times", revision, infoRequests(server)-before)
		}
	}
	o := Options{Remotes: &RemoteOptions{}, Seeds: []Seed{certs, secret("repository", url)}}
	expanded(t, state("main"), o, "argocd")
	refused(t, state("gone"), o, "argocd", "argocd/else (argocd/else.yaml:2)", `at "gone" cannot be fetched`, `no branch "gone"`)
	o.Seeds = o.Seeds[:1]
	refused(t, state("main"), o, "argocd", "argocd/else (argocd/else.yaml:2)", "asked without any: add the Secret that holds them to the seeds")
	o.Seeds = []Seed{certs, secret("repo-creds", "https://"+host)}
	refused(t, state("main"), o, "argocd", "asked without any") // another port is another server
}
