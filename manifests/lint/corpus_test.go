package lint_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

const corpus = "testdata/corpus"

// canary is the password of a Secret in the corpus.
const canary = "canary-7f"

// expected reads one repository of the corpus: its findings, its seeds and release,
// and how many findings are ignored.
func expected(t *testing.T, name string) (want []string, in lint.Input, ignored int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, name, "expect"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		want = append(want, strings.TrimSpace(line))
	}
	options, err := os.ReadFile(filepath.Join(corpus, name, "options"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(options)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "seed":
			namespace, secret, _ := strings.Cut(value, "/")
			in.Seeds = append(in.Seeds, manifests.ID{Kind: "Secret", Namespace: namespace, Name: secret})
		case "release":
			in.Release = value
		case "ignored":
			if ignored, err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("%s: unknown option %q", name, key)
		}
	}
	return want, in, ignored
}

// rendered fills in the objects of a directory, or the faults of its files.
func rendered(t *testing.T, dir string, in lint.Input) lint.Input {
	t.Helper()
	found := renderedPath(t, dir, ".")
	in.Objects, in.Faults = found.Objects, found.Faults
	return in
}

func renderedPath(t *testing.T, dir, path string) (in lint.Input) {
	t.Helper()
	snapshot, err := source.Directory(dir)
	if err != nil {
		t.Fatal(err)
	}
	result, err := render.Render(context.Background(), snapshot, []string{path}, render.Options{Decrypt: lint.Closed{}})
	if err == nil {
		in.Objects = result.Objects
	} else if in.Faults = lint.FaultsOf(err); len(in.Faults) == 0 {
		t.Fatal(err)
	}
	return in
}

// Every repository of the corpus gives exactly the findings it expects: one too many
// is as wrong as one too few.
func TestCorpus(t *testing.T) {
	entries, err := os.ReadDir(corpus)
	if err != nil {
		t.Fatal(err)
	}
	broken, healthy, used := 0, 0, map[string]bool{}
	for _, e := range entries {
		want, in, ignored := expected(t, e.Name())
		if len(want) == 0 {
			healthy++
		} else {
			broken++
		}
		for _, line := range want {
			rule, _, _ := strings.Cut(line, " ")
			used[rule] = true
		}
		t.Run(e.Name(), func(t *testing.T) {
			report, err := lint.Run(rendered(t, filepath.Join(corpus, e.Name(), "repo"), in))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range report.Findings {
				about := f.Object.String()
				if (f.Object == manifests.ID{}) {
					about = f.Origin.String()
				}
				got = append(got, f.Rule+" "+about)
				complete(t, f)
			}
			slices.Sort(got)
			if got := slices.Compact(got); !slices.Equal(got, want) {
				t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			if len(report.Ignored) != ignored {
				t.Errorf("%d findings ignored, want %d", len(report.Ignored), ignored)
			}
		})
	}
	if broken < 36 || healthy < 12 {
		t.Errorf("the corpus has %d broken and %d healthy repositories, want at least 36 and 12", broken, healthy)
	}
	// The other tests break these; order-fault is what no rule foresees.
	for _, other := range []string{"order-fault", "nondeterministic-render", "object-too-large", "last-applied-too-large"} {
		used[other] = true
	}
	for _, r := range lint.Rules() {
		if !used[r.ID] {
			t.Errorf("no repository of the corpus breaks rule %s", r.ID)
		}
	}
}

// complete findings have a place and say what, why and how to mend it.
func complete(t *testing.T, f lint.Finding) {
	t.Helper()
	if !lint.Known(f.Rule) {
		t.Errorf("%s is no rule of the table", f.Rule)
	}
	if f.Origin.File == "" || f.Origin.Line == 0 {
		t.Errorf("%s: no place: %q", f.Rule, f.Origin)
	}
	if f.Message == "" || f.Why == "" || f.Fix == "" || f.Fingerprint == "" || strings.Contains(f.Message, "{}") {
		t.Errorf("incomplete: %+v", f)
	}
	if strings.Contains(fmt.Sprintf("%+v", f), canary) {
		t.Errorf("%s quotes the content of a Secret", f.Rule)
	}
}
