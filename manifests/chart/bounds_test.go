package chart

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/charttest"
)

func TestWhatIsFetchedIsBounded(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		s.Add(charttest.Pack(map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.0.0\n", "zeros.txt": strings.Repeat("0", 3<<20), "a": "", "b": "", "c": "",
		}))
		for name, limits := range map[string]Limits{
			"archive": {ArchiveBytes: 100}, "expanded": {ExpandedBytes: 1 << 20}, "files": {Files: 3},
		} {
			if _, err := (&Fetcher{Limits: limits}).Fetch(t.Context(), ref); !errors.Is(err, ErrLimit) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if !ref.PlainHTTP {
			if _, err := (&Fetcher{Limits: Limits{IndexBytes: 10}}).Fetch(t.Context(), ref); !errors.Is(err, ErrLimit) {
				t.Errorf("index: got %v", err)
			}
		}
		s.Add([]byte("this is no archive"))
		ref.Name = "broken"
		var invalid *InvalidError
		if _, err := (&Fetcher{}).Fetch(t.Context(), ref); !errors.As(err, &invalid) {
			t.Errorf("got %v", err)
		}
	})
}

// A chart packed in a chart packed in a chart, each ten times, is a bomb.
func TestArchivesInArchivesAreBounded(t *testing.T) {
	inner := charttest.Pack(map[string]string{"Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n", "zeros": strings.Repeat("0", 1<<20)})
	for range 4 {
		files := map[string]string{"Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n"}
		for i := range 10 {
			files[fmt.Sprintf("charts/x%d.tgz", i)] = string(inner)
		}
		inner = charttest.Pack(files)
	}
	if _, err := FromArchive(inner, Limits{}); !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
}

func TestReferencesAreChecked(t *testing.T) {
	for _, ref := range []Ref{
		{Repository: "file:///etc", Name: "x"},
		{Repository: "https://", Name: "x"},
		{Repository: "https://charts.test"},
		{Repository: "://canary-address", Name: "x"},
		{Repository: "https://charts.test", Name: "x", Digest: "sha256:../../etc/passwd"},
		{Repository: "oci://charts.test/UPPER", Name: "x"},
		{Repository: "oci://charts.test/x:1.0.0"},
	} {
		_, err := (&Fetcher{CacheDir: t.TempDir()}).Fetch(t.Context(), ref)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: got %v", ref, err)
		}
	}
}
