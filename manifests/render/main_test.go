package render

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files is a repository by name and content.
type files map[string]string

func (f files) snapshot() *source.Snapshot {
	m := fstest.MapFS{}
	for name, content := range f {
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			m[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		m[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return &source.Snapshot{FS: m, URL: "test", Commit: strings.Repeat("c", 40)}
}

func render(t *testing.T, f files, o Options, paths ...string) *Result {
	t.Helper()
	res, err := Render(context.Background(), f.snapshot(), paths, o)
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	return res
}

func renderFails(t *testing.T, f files, o Options, wants ...string) {
	t.Helper()
	res, err := Render(context.Background(), f.snapshot(), nil, o)
	if err == nil {
		t.Fatalf("Render gave %d objects, want an error with %q", len(res.Objects), wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

// listing shows objects as ID @ origin.
func listing(objects []manifests.Object) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.ID().String()+" @ "+o.Origin.String())
	}
	return all
}

// cm is a ConfigMap document of five lines.
func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  namespace: x\n"
}
