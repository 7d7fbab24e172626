package adopt_test

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/gittest"
	"github.com/refloat-dev/refloat/manifests/adopt"
)

// TestCommit lets git itself judge what was committed, and that nothing else changed.
func TestCommit(t *testing.T) {
	repo := gittest.NewRepo(t)
	base := repo.Commit(map[string]string{"state/kustomization.yaml": "resources:\n- a.yaml\n", "state/a.yaml": "a", "state.txt": "x", "chart/Chart.yaml": "name: x", "plain/b.yaml": "b"})
	files := []adopt.File{{Name: "mine.yaml", Content: []byte("mine")}}
	c := adopt.Commit{Repository: repo.Git("rev-parse", "--show-toplevel"), Branch: "adopted", Path: "state", Message: "Adopt\n", At: at}
	hash, err := c.To(files)
	if err != nil {
		t.Fatal(err)
	}
	repo.Git("fsck", "--strict")
	if got := repo.Git("rev-parse", "adopted"); got != hash || repo.Git("rev-parse", "adopted^") != base || repo.Git("rev-parse", "main") != base {
		t.Errorf("branch at %s, commit %s", got, hash)
	}
	if got := repo.Git("diff", "--name-status", "main", "adopted"); got != "M\tstate/kustomization.yaml\nA\tstate/mine.yaml" {
		t.Errorf("changed:\n%s", got)
	}
	if got := repo.Git("show", "adopted:state/kustomization.yaml"); !strings.HasSuffix(got, "- mine.yaml") {
		t.Errorf("kustomization:\n%s", got)
	}
	if got := repo.Git("status", "--porcelain"); got != "" {
		t.Errorf("the working tree changed:\n%s", got)
	}

	c.Path = "new/deep"
	if _, err := c.To(files); err != nil || repo.Git("show", "adopted:new/deep/mine.yaml") != "mine" || repo.Git("show", "adopted:state/mine.yaml") != "mine" {
		t.Errorf("a new directory on top: %v", err)
	}
	repo.Git("fsck", "--strict")
	for name, test := range map[string]struct {
		change func(*adopt.Commit)
		files  []adopt.File
		want   string
	}{
		"again":                     {nil, files, "holds all of it already"},
		"another content":           {nil, []adopt.File{{Name: "mine.yaml", Content: []byte("other")}}, "--force"},
		"checked out":               {func(c *adopt.Commit) { c.Branch = "main" }, files, "is checked out"},
		"bad branch":                {func(c *adopt.Commit) { c.Branch = "a..b" }, files, "name of a branch"},
		"out of the repository":     {func(c *adopt.Commit) { c.Path = "../x" }, files, "leads out"},
		"no repository":             {func(c *adopt.Commit) { c.Repository = t.TempDir() }, files, "open the repository"},
		"a file where a path leads": {func(c *adopt.Commit) { c.Path = "state.txt/x" }, files, "is no directory"},
		"a chart":                   {func(c *adopt.Commit) { c.Path = "chart" }, files, "Helm chart"},
		"unknown base":              {func(c *adopt.Commit) { c.Branch, c.Base = "other", strings.Repeat("a", 40) }, files, "fetch it first"},
	} {
		changed := c
		if test.change != nil {
			test.change(&changed)
		}
		if _, err := changed.To(test.files); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	c.Force = true
	if _, err := c.To([]adopt.File{{Name: "mine.yaml", Content: []byte("other")}}); err != nil || repo.Git("show", "adopted:new/deep/mine.yaml") != "other" {
		t.Errorf("forced: %v", err)
	}
	c.Branch, c.Base, c.Path = "from-base", base, "plain"
	if _, err := c.To(files); err != nil || repo.Git("diff", "--name-only", base, "from-base") != "plain/mine.yaml" {
		t.Errorf("from a commit: %v", err)
	}
}
