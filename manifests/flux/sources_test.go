package flux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests/source"
)

const thing = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"

func git(name string, spec ...string) string {
	return "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: " + name + ", namespace: flux-system}\nspec:\n  " +
		strings.Join(spec, "\n  ") + "\n"
}

func from(name string, spec ...string) string {
	return define("kustomize.toolkit.fluxcd.io/v1", "Kustomization", append([]string{"path: app", "sourceRef: {kind: GitRepository, name: " + name + "}"}, spec...)...)
}

func TestWhichGitRepositoryIsThisOne(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ref  string
		own  bool
	}{
		"the same URL, written otherwise": {from("x") + git("x", "url: ssh://git@GIT.example.com:22/acme/fleet.git"), "", true},
		"as scp writes it":                {from("x") + git("x", "url: git@git.example.com:acme/fleet.git"), "", true},
		"a mirror that was named":         {from("x") + git("x", "url: https://mirror.example.com/f"), "", true},
		"another URL":                     {from("x") + git("x", "url: https://git.example.com/acme/other"), "", false},
		"another branch":                  {from("x") + git("x", "url: https://git.example.com/acme/fleet", "ref: {branch: old}"), "", false},
		"the branch":                      {from("x") + git("x", "url: https://git.example.com/acme/fleet", "ref: {branch: main}"), "", true},
		"a tag":                           {from("x") + git("x", "url: https://git.example.com/acme/fleet", "ref: {tag: v1}"), "", false},
		"a range":                         {from("x") + git("x", "url: https://git.example.com/acme/fleet", "ref: {semver: '>1'}"), "", false},
		"a tag of an unknown ref":         {from("x") + git("x", "url: https://git.example.com/acme/fleet", "ref: {tag: v1}"), "HEAD", true},
		"bootstrap with another URL":      {from("flux-system") + git("flux-system", "url: https://fork.example.com/f", "ref: {branch: prod}"), "", true},
		"no bootstrap object":             {from("flux-system"), "", true},
		"bootstrap among others": {from("flux-system") + git("flux-system", "url: https://fork.example.com/f") +
			git("x", "url: https://git.example.com/acme/fleet"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			e := expander(files{"app/a.yaml": fmt.Sprintf(thing, "a")})
			e.Repository.URLs = []string{"https://mirror.example.com/f.git"}
			if c.ref != "" {
				e.Snapshot.Ref = c.ref
			}
			_, err := expand(t, e, c.text)
			if skipped := (*SkippedError)(nil); c.own != (err == nil) || !c.own && (!errors.As(err, &skipped) || skipped.Meant) {
				t.Errorf("error %v", err)
			}
		})
	}
	err := fails(t, expander(nil), from("gone"), "names GitRepository.source.toolkit.fluxcd.io flux-system/gone, which nothing in the state defines")
	if missing := (*NotYetError)(nil); !errors.As(err, &missing) || !missing.Theirs {
		t.Errorf("error %#v", err)
	}
}

// fetcher is another repository.
type fetcher struct {
	files
	asked *GitRequest
}

func (f fetcher) Fetch(_ context.Context, r GitRequest) (*source.Snapshot, error) {
	*f.asked = r
	return &source.Snapshot{FS: f.fs(), Commit: strings.Repeat("d", 40)}, nil
}

func TestAnotherRepositoryIsFetched(t *testing.T) {
	e := expander(files{"mine.yaml": "x"})
	asked := GitRequest{}
	e.Git = fetcher{files{"app/a.yaml": fmt.Sprintf(thing, "a")}, &asked}
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: token, namespace: flux-system}\nstringData: {password: " + canary + "}\n"
	definition := from("x") + git("x", "url: https://user:"+canary+"@other.example.com/x", "ref: {semver: '>=1'}", "secretRef: {name: token}")
	x := expands(t, e, definition+secret)
	if got := x.Objects[0].Origin.String(); got != "https://other.example.com/x@dddddddddddd:app/a.yaml:1" {
		t.Errorf("origin %s", got)
	}
	if asked.SemVer != ">=1" || string(asked.Credentials["password"]) != canary {
		t.Errorf("asked for %s", asked.URL)
	}
	e.trees = nil
	fails(t, e, definition, "is read with the credentials of Secret flux-system/token", "add it to the seeds")
}

func TestWhatASourceLeavesOut(t *testing.T) {
	repo := files{
		"app/a.yaml": fmt.Sprintf(thing, "a"), "app/.sops.yaml": "creation_rules: []\n", "app/x/skip.yaml": "not: one\n", "other/b.yaml": fmt.Sprintf(thing, "b"),
		"app/kept.yaml": fmt.Sprintf(thing, "kept"), ".github/workflow.yaml": "on: push\n",
	}
	fails(t, expander(repo), from("flux-system"), "app/x/skip.yaml")
	x := expands(t, expander(repo), from("flux-system")+git("flux-system", "url: u", `ignore: "x/\n.sops.yaml"`))
	if got := strings.Join(names(x), " "); got != "ConfigMap a ConfigMap kept" {
		t.Errorf("with spec.ignore: %s", got)
	}
	repo["app/.sourceignore"] = "# comment\n/x\nkept.yaml\n.sops.yaml\n"
	if got := strings.Join(names(expands(t, expander(repo), from("flux-system"))), " "); got != "ConfigMap a" {
		t.Errorf("with .sourceignore: %s", got)
	}
	if got := strings.Join(names(expands(t, expander(repo), strings.Replace(from("flux-system"), "path: app", "path: .", 1)+
		git("flux-system", "url: u", "sparseCheckout: [other]"))), " "); got != "ConfigMap b" {
		t.Errorf("with sparseCheckout: %s", got)
	}
}

func TestSignaturesOfThisRepositoryAreThePlansMatter(t *testing.T) {
	text := from("flux-system") + git("flux-system", "url: https://git.example.com/acme/fleet", "verify: {mode: HEAD, secretRef: {name: keys}}")
	e := expander(files{"app/a.yaml": fmt.Sprintf(thing, "a")})
	const said = "asks for signatures of this repository (spec.verify), and none were checked here: say in spec.source.verify of the plan"
	if x := expands(t, e, text); !strings.Contains(strings.Join(x.Warnings, " "), said) {
		t.Errorf("warnings %q", x.Warnings)
	}
	e.Snapshot.SignedBy = []source.Signature{{}}
	if x := expands(t, e, text); strings.Contains(strings.Join(x.Warnings, " "), said) {
		t.Errorf("warnings %q although the plan had it checked", x.Warnings)
	}
}

func TestIncludedRepositories(t *testing.T) {
	e := expander(files{"lib/l.yaml": fmt.Sprintf(thing, "l"), "app/a.yaml": fmt.Sprintf(thing, "a")})
	url := "url: https://git.example.com/acme/fleet"
	x := expands(t, e, from("x")+git("x", url, "include: [{repository: {name: lib}, fromPath: lib, toPath: app/lib}]")+git("lib", url))
	if got := strings.Join(names(x), " "); got != "ConfigMap a ConfigMap l" {
		t.Errorf("included %s", got)
	}
	fails(t, e, from("x")+git("x", url, "include: [{repository: {name: x}}]"), "leads to a source made from itself")
}

func TestArtifactGenerator(t *testing.T) {
	repo := files{
		"apps/base/b.yaml": "b", "apps/base/deep/d.yaml": "d", "apps/staging/s.yaml": "s", "apps/staging/README.md": "r", "one.yaml": "1",
	}
	generator := func(copies string) string {
		return define("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "path: .", "sourceRef: {kind: ExternalArtifact, name: out}") +
			"---\napiVersion: source.extensions.fluxcd.io/v1beta1\nkind: ArtifactGenerator\nmetadata: {name: g, namespace: flux-system}\nspec:\n" +
			"  sources: [{alias: repo, kind: GitRepository, name: flux-system}]\n  artifacts: [{name: out, copy: [" + copies + "]}]\n"
	}
	for copies, want := range map[string]string{
		`{from: "@repo/apps/**", to: "@artifact/"}`:                                                           "base/b.yaml base/deep/d.yaml staging/README.md staging/s.yaml",
		`{from: "@repo/apps/base/**", to: "@artifact/base/"}`:                                                 "base/b.yaml base/deep/d.yaml",
		`{from: "@repo/apps/base", to: "@artifact/x"}`:                                                        "x/base/b.yaml x/base/deep/d.yaml",
		`{from: "@repo/**/*.yaml", to: "@artifact/"}`:                                                         "apps/base/b.yaml apps/base/deep/d.yaml apps/staging/s.yaml one.yaml",
		`{from: "@repo/apps/**/deep/*", to: "@artifact/"}`:                                                    "apps/base/deep/d.yaml",
		`{from: "@repo/apps/**/*.{md,yml}", to: "@artifact/", exclude: ["none"]}`:                             "apps/staging/README.md",
		`{from: "@repo/one.yaml", to: "@artifact/two.yaml"}`:                                                  "two.yaml",
		`{from: "@repo/one.yaml", to: "@artifact/dir/"}`:                                                      "dir/one.yaml",
		`{from: "@repo/apps/*/*.yaml", to: "@artifact/"}`:                                                     "apps/base/b.yaml apps/staging/s.yaml",
		`{from: "@repo/apps/**", to: "@artifact/", exclude: ["**/*.md", "base/**"]}`:                          "staging/s.yaml",
		`{from: "@repo/no/**", to: "@artifact/", optional: true}, {from: "@repo/one.yaml", to: "@artifact/"}`: "one.yaml",
	} {
		e := expander(repo)
		w := parsed(t, generator(copies))
		r := &reader{def: w[0], state: w[1:]}
		got, err := e.source(context.Background(), r, "spec.sourceRef", reference{Kind: "ExternalArtifact", Name: "out"})
		if err != nil {
			t.Errorf("%s: %v", copies, err)
			continue
		}
		if list := strings.Join(got.files.(interface{ Names() []string }).Names(), " "); list != want {
			t.Errorf("%s gives %s, want %s", copies, list, want)
		}
	}
	for copies, want := range map[string]string{
		`{from: "@repo/gone", to: "@artifact/"}`:                      "does not exist",
		`{from: "@repo/gone/**", to: "@artifact/"}`:                   "matches no file",
		`{from: "@repo/**/**/**/**/**/**/x", to: "@artifact/"}`:       "more than 5 **",
		`{from: "@other/x", to: "@artifact/"}`:                        "names no source of the generator",
		`{from: "x", to: "@artifact/"}`:                               "is not of the form @alias/pattern",
		`{from: "@repo/one.yaml", to: "@artifact/../../x"}`:           "not below @artifact/",
		`{from: "@repo/one.yaml", to: "/etc"}`:                        "not below @artifact/",
		`{from: "@repo/one.yaml", to: "@artifact/", strategy: Merge}`: "only Overwrite is supported",
		`{from: "@repo/apps/**", to: "@artifact/", exclude: ["{a,"]}`: "no valid pattern",
		`{from: "@repo/../../etc/passwd", to: "@artifact/"}`:          "does not exist",
	} {
		fails(t, expander(repo), generator(copies), want)
	}
	self := strings.Replace(generator(`{from: "@repo/x", to: "@artifact/"}`), "kind: GitRepository, name: flux-system", "kind: ExternalArtifact, name: out", 1)
	fails(t, expander(repo), self, "leads to a source made from itself")
	fails(t, expander(repo), strings.Replace(self, "artifacts: [{name: out", "artifacts: [{name: other", 1), "which no ArtifactGenerator in the state makes")
}
