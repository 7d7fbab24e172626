package assets

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	clocktesting "k8s.io/utils/clock/testing"
)

// tiny is a recipe that builds in a second. It has a version of its own because a
// main module has none.
func tiny(source string) recipe {
	return recipe{
		name: "tiny", target: ".", module: "example.com/tiny", version: "(devel)", cost: "a second",
		files: map[string][]byte{
			"go.mod":  []byte("module example.com/tiny\n\ngo 1.26.0\n"),
			"main.go": []byte(source),
		},
	}
}

const works = "package main\n\nfunc main() {}\n"

// bench is a cache in which one recipe can be asked for.
type bench struct {
	options Options
	command *goCommand
	mu      sync.Mutex
	lines   []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{}
	b.options = Options{
		Cache: t.TempDir(),
		Clock: clocktesting.NewFakeClock(time.Unix(0, 0)),
		Progress: func(line string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lines = append(b.lines, line)
		},
	}
	var err error
	if b.command, err = findGo(b.options); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) get(ctx context.Context, r recipe) (string, error) {
	return cached(ctx, b.options, b.command, r, "test")
}

func (b *bench) builds() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, l := range b.lines {
		if strings.HasPrefix(l, "Built ") {
			n++
		}
	}
	return n
}

// left lists the names in the cache, but for locks.
func (b *bench) left(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(b.options.Cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestTwoAtOnceBuildOnce(t *testing.T) {
	b := newBench(t)
	var group sync.WaitGroup
	paths, errs := make([]string, 3), make([]error, 3)
	for i := range paths {
		group.Go(func() { paths[i], errs[i] = b.get(t.Context(), tiny(works)) })
	}
	group.Wait()
	for i := range paths {
		if errs[i] != nil || paths[i] != paths[0] {
			t.Fatalf("caller %d: %q, %v; the first got %q", i, paths[i], errs[i], paths[0])
		}
	}
	if n := b.builds(); n != 1 {
		t.Fatalf("built %d times, want once", n)
	}
	if names := b.left(t); len(names) != 1 {
		t.Fatalf("cache holds %q, want one entry", names)
	}
}

func TestDamagedProgramIsBuiltAgain(t *testing.T) {
	b := newBench(t)
	path, err := b.get(t.Context(), tiny(works))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not a program"), 0o700); err != nil { //nolint:gosec // It must be executable.
		t.Fatal(err)
	}
	if _, err := b.get(t.Context(), tiny(works)); err != nil {
		t.Fatal(err)
	}
	if n := b.builds(); n != 2 {
		t.Fatalf("built %d times, want twice", n)
	}
	if err := checkVersion(t.Context(), tiny(works), path); err != nil {
		t.Fatal(err)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx    context.Context
		source string
		want   string
	}{
		"compile error": {t.Context(), "package main\n\nfunc main() { undefined() }\n", "undefined: undefined"},
		"interrupted":   {cancelled, works, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			_, err := b.get(test.ctx, tiny(test.source))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if names := b.left(t); len(names) != 0 {
				t.Fatalf("cache holds %q, want nothing", names)
			}
			if _, err := b.get(t.Context(), tiny(works)); err != nil {
				t.Fatalf("the next build: %v", err)
			}
		})
	}
}

func TestLeftoversOfKilledBuildsAreRemoved(t *testing.T) {
	b := newBench(t)
	r := tiny(works)
	left := filepath.Join(b.options.Cache, workPrefix(string(r.name)+"-"+r.key("test"))+"1")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := b.get(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the leftover is still there: %v", err)
	}
}

func TestKeyChangesWithWhatIsBuilt(t *testing.T) {
	base := tiny(works)
	stamped := tiny(works)
	stamped.stamps = map[string]string{"main.version": "v1"}
	if base.key("a") != tiny(works).key("a") {
		t.Error("the same recipe has two keys")
	}
	for name, other := range map[string]string{
		"toolchain": base.key("b"),
		"source":    tiny(works + "// more\n").key("a"),
		"stamps":    stamped.key("a"),
	} {
		if other == base.key("a") {
			t.Errorf("%s: the key did not change", name)
		}
	}
}

func TestPrebuiltProgramsMustFit(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, string(Kwok)), []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[Name]string{
		Kwok:           "is not an executable file",
		ClusterAPICore: "no such file",
		"another":      "there is no program called",
	} {
		_, err := Get(t.Context(), Options{Dir: dir, Only: []Name{name}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, string(Kubernetes))); err != nil {
		t.Fatal(err)
	}
	_, err = Get(t.Context(), Options{Dir: dir, Only: []Name{Kubernetes}})
	if err == nil || !strings.Contains(err.Error(), "is needed") {
		t.Errorf("another program: got %v, want an error about its version", err)
	}
}

func TestRecipesPinTheirVersions(t *testing.T) {
	for _, r := range all {
		file, err := modfile.Parse("go.mod", r.files["go.mod"], nil)
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, require := range file.Require {
			if require.Mod.Path == r.module {
				found = require.Mod.Version
			}
		}
		if found != r.version {
			t.Errorf("%s: go.mod pins %s, the recipe says %s", r.name, found, r.version)
		}
	}
}

// TestPrograms gets the real programs, as a user would.
func TestPrograms(t *testing.T) {
	b, err := Get(t.Context(), Options{Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{b.Kubernetes, b.ClusterAPICore, b.Kwok} {
		if !filepath.IsAbs(path) {
			t.Errorf("%q is not absolute", path)
		}
	}
}
