package expand

import (
	"strings"
	"testing"
	"time"

	"github.com/refloat-dev/refloat/internal/gittest"
	"github.com/refloat-dev/refloat/manifests/source"
)

// ownFleet is a repository of Argo CD with an old tag, a branch and a hydrated branch.
func ownFleet(t *testing.T) (server *gittest.Server, own source.Options, old string) {
	t.Helper()
	repo := gittest.NewRepo(t)
	repo.Commit(map[string]string{"app/a.yaml": plainCM("old")})
	repo.Git("tag", "v1.0.0")
	repo.Git("tag", "stable")
	old = repo.Git("rev-parse", "HEAD")
	repo.Git("branch", "staging")
	repo.Git("checkout", "-q", "-b", "env/prod")
	repo.Commit(map[string]string{"out/h.yaml": plainCM("hydrated")})
	repo.Git("checkout", "-q", "main")
	repo.Commit(map[string]string{"app/a.yaml": plainCM("new"), "s/argo.yaml": installArgo()})
	server = gittest.NewServer(t, map[string]*gittest.Repo{"platform/fleet.git": repo})
	return server, source.Options{URL: server.URL("platform/fleet.git"), Branch: "main", Auth: source.Auth{CABundle: server.CA()}}, old
}

func TestAnotherRevisionOfTheRepositoryItselfForArgoCD(t *testing.T) {
	server, own, old := ownFleet(t)
	at := func(revision string) string {
		return strings.NewReplacer(fleet, own.URL, "targetRevision: main", "targetRevision: "+revision).Replace(application("app", "app"))
	}
	snap, err := source.Fetch(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	expand := func(text string, o Options) (*Result, error) {
		files := files{"s/app.yaml": text, "s/argo.yaml": installArgo(), "app/a.yaml": plainCM("new")}.snapshot()
		here := *snap
		here.FS = files.FS
		return Expand(t.Context(), &here, []string{"s"}, o)
	}
	o := Options{Remotes: &RemoteOptions{Own: own}}
	for revision, want := range map[string]string{
		"main": "new", "HEAD": "new", "v1.0.0": "old", "1.x": "old", "stable": "old", "refs/tags/v1.0.0": "old", old: "old", snap.Commit: "new",
		"staging": "new", "refs/heads/staging": "new", "gone": "new",
	} {
		t.Run(revision, func(t *testing.T) {
			r, err := expand(at(revision), o)
			if err != nil {
				t.Fatal(err)
			}
			made := object(t, r, "ConfigMap shop/"+want)
			if want == "old" && (len(r.Sources) != 1 || r.Sources[0].Revision != old || made.Origin.File != own.URL+"@"+old[:12]+":app/a.yaml") {
				t.Errorf("sources %+v, from %s", r.Sources, made.Origin)
			}
			branch := strings.Contains(revision, "staging") || revision == "gone"
			if said := strings.Contains(strings.Join(r.Warnings, " "), "it is rendered from commit"); said != branch {
				t.Errorf("warnings %q", r.Warnings)
			}
		})
	}
	// Nothing is fetched without the plan's access, and it is said.
	r, err := expand(at("v1.0.0"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	object(t, r, "ConfigMap shop/new")
	warned(t, r, `asks for the revision "v1.0.0" of this repository: it is rendered from commit`)

	hydrated := strings.Replace(at("main"), "source: {repoURL: "+own.URL+", path: app, targetRevision: main}",
		"sourceHydrator: {drySource: {repoURL: "+own.URL+", path: app}, syncSource: {targetBranch: env/prod, path: out}}", 1)
	if r, err = expand(hydrated, o); err != nil {
		t.Fatal(err)
	}
	object(t, r, "ConfigMap shop/hydrated")
	for text, want := range map[string]string{
		hydrated: "which a hydrator writes and which is not fetched here",
		strings.Replace(hydrated, "env/prod", "env/none", 1): "which does not exist before Argo CD's hydrator has written it",
	} {
		with := o
		if text == hydrated {
			with = Options{}
		}
		r, err := expand(text, with)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, want) {
			t.Errorf("skipped %+v, want %q", r.Skipped, want)
		}
	}
	server.Hang()
	o.Remotes.Limits.Duration = time.Second
	if _, err := expand(at("v1.0.0"), o); err == nil || !strings.Contains(err.Error(), `"v1.0.0" cannot be fetched`) {
		t.Errorf("without an answer: %v", err)
	}
	snap.Stale = true
	if r, err = expand(at("staging"), o); err != nil {
		t.Fatal(err)
	}
	object(t, r, "ConfigMap shop/new")
}

func TestTheBranchThatIsCheckedOutIsNoOtherRevision(t *testing.T) {
	snap := files{"s/app.yaml": installArgo() + application("app", "app"), "app/a.yaml": plainCM("a")}.snapshot()
	for ref, want := range map[string]bool{"HEAD (refs/heads/main)": false, "HEAD (refs/heads/other)": true, "HEAD (HEAD)": true} {
		snap.Ref = ref
		r, err := Expand(t.Context(), snap, []string{"s"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(strings.Join(r.Warnings, " "), `asks for the revision "main"`); said != want {
			t.Errorf("%s: warnings %q", ref, r.Warnings)
		}
	}
}
