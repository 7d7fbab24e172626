package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/internal/charttest"
)

const (
	username = "reader"
	password = "canary-pa55+w/rd"
)

// versions serves demo in several versions, with any more files.
func versions(s *charttest.Server, versions ...string) {
	for _, v := range versions {
		s.Add(charttest.Pack(map[string]string{
			"Chart.yaml":       "apiVersion: v2\nname: demo\nversion: " + v + "\n",
			"templates/a.yaml": configMap + "data: {version: {{ .Chart.Version }}}\n",
		}))
	}
}

// both calls a test for the HTTP repository and for the registry.
func both(t *testing.T, test func(t *testing.T, s *charttest.Server, ref Ref)) {
	t.Run("http", func(t *testing.T) {
		s := charttest.New(t)
		test(t, s, Ref{Repository: s.Repository(), Name: "demo"})
	})
	t.Run("oci", func(t *testing.T) {
		s := charttest.New(t)
		test(t, s, Ref{Repository: s.OCI(), Name: "demo", PlainHTTP: true})
	})
}

func TestFetchPicksTheVersion(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		versions(s, "1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.10.1+build.5")
		for want, expected := range map[string]string{
			"": "1.10.1+build.5", "*": "1.10.1+build.5", "1.2.0": "1.2.0", "~1.2": "1.2.0", "1.x <1.10": "1.2.0",
			">=1.0.0-0": "2.0.0-rc.1", "2.0.0-rc.1": "2.0.0-rc.1", "1.10.1+build.5": "1.10.1+build.5",
		} {
			ref.Version = want
			f := &Fetcher{}
			got, err := f.Fetch(t.Context(), ref)
			if err != nil {
				t.Errorf("%q: %v", want, err)
				continue
			}
			if got.Pinned.Version != expected || got.Chart.Version != expected {
				t.Errorf("%q gives %s, not %s", want, got.Pinned.Version, expected)
			}
		}
	})
}

func TestAPinGivesTheSameAgain(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		versions(s, "1.0.0")
		f := &Fetcher{CacheDir: t.TempDir()}
		first, err := f.Fetch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if ref.PlainHTTP && first.Pinned.Manifest != s.ManifestDigest("demo", "1.0.0") {
			t.Errorf("manifest %s is pinned", first.Pinned.Manifest)
		}
		versions(s, "1.1.0")
		pin := first.Pinned.Ref(Auth{}, false)
		asked := len(s.Requests())
		again, err := f.Fetch(t.Context(), pin)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Requests()) != asked {
			t.Error("a pinned chart in the cache was fetched")
		}
		if diff := cmp.Diff(first.Pinned, again.Pinned); diff != "" {
			t.Errorf("the pin changed:\n%s", diff)
		}
		other, err := (&Fetcher{}).Fetch(t.Context(), pin) // without the cache
		if err != nil || other.Pinned != first.Pinned {
			t.Errorf("got %+v, %v", other, err)
		}
	})
}

func TestAReplacedChartIsRefused(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		versions(s, "1.0.0")
		first, err := (&Fetcher{}).Fetch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		s.Add(charttest.Pack(map[string]string{"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.0.0\ndescription: other\n"}))
		pin := first.Pinned.Ref(Auth{}, false)
		pin.Manifest = ""
		_, err = (&Fetcher{}).Fetch(t.Context(), pin)
		var digest *DigestError
		if !errors.As(err, &digest) || digest.Want != first.Pinned.Digest {
			t.Fatalf("got %v", err)
		}
	})
}

func TestTheIndexMustTellTheTruth(t *testing.T) {
	s := charttest.New(t)
	versions(s, "1.0.0")
	s.LieAboutDigests()
	_, err := (&Fetcher{CacheDir: t.TempDir()}).Fetch(t.Context(), Ref{Repository: s.Repository(), Name: "demo"})
	var digest *DigestError
	if !errors.As(err, &digest) {
		t.Fatalf("got %v", err)
	}
}

func TestADamagedCacheIsNotBelieved(t *testing.T) {
	s := charttest.New(t)
	versions(s, "1.0.0")
	f := &Fetcher{CacheDir: t.TempDir()}
	first, err := f.Fetch(t.Context(), Ref{Repository: s.Repository(), Name: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	file := f.cache().path(first.Pinned.Digest)
	if err := os.WriteFile(file, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := f.Fetch(t.Context(), first.Pinned.Ref(Auth{}, false))
	if err != nil || again.Pinned != first.Pinned {
		t.Fatalf("got %+v, %v", again, err)
	}
	if data, err := os.ReadFile(file); err != nil || digestOf(data) != first.Pinned.Digest {
		t.Errorf("the cache was not mended: %v", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	c := cache{dir: t.TempDir(), most: 250}
	old := time.Now().Add(-time.Hour)
	for i := range 5 {
		data := bytes.Repeat([]byte{byte(i)}, 100)
		if err := c.put(digestOf(data), data); err != nil {
			t.Fatal(err)
		}
		_ = os.Chtimes(c.path(digestOf(data)), old.Add(time.Duration(i)*time.Minute), old.Add(time.Duration(i)*time.Minute))
	}
	entries, err := filepath.Glob(filepath.Join(c.dir, "*"))
	if err != nil || len(entries) != 2 {
		t.Errorf("the cache holds %v, %v", entries, err)
	}
	newest := bytes.Repeat([]byte{4}, 100)
	if _, ok := c.get(digestOf(newest), 1000); !ok {
		t.Error("the newest one is gone")
	}
}

func TestCredentialsAreUsedAndNotShown(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		versions(s, "1.0.0")
		s.RequireBasic(username, password)
		_, err := (&Fetcher{}).Fetch(t.Context(), ref)
		var denied *DeniedError
		if !errors.As(err, &denied) || denied.Given {
			t.Errorf("without credentials: %v", err)
		}
		ref.Auth = Auth{Username: username, Password: "canary-wrong"}
		_, err = (&Fetcher{}).Fetch(t.Context(), ref)
		if !errors.As(err, &denied) || !denied.Given || strings.Contains(err.Error(), "canary") {
			t.Errorf("with wrong credentials: %v", err)
		}
		ref.Auth.Password = password
		got, err := (&Fetcher{}).Fetch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%+v", got.Pinned), "canary") {
			t.Errorf("the pin shows the password: %+v", got.Pinned)
		}
	})
}

func TestCredentialsInAnAddressAreHidden(t *testing.T) {
	s := charttest.New(t)
	versions(s, "1.0.0")
	s.RequireBasic(username, "canary-inline")
	address := strings.Replace(s.Repository(), "http://", "http://"+username+":canary-inline@", 1)
	got, err := (&Fetcher{}).Fetch(t.Context(), Ref{Repository: address, Name: "demo"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Pinned.Repository != s.Repository() {
		t.Errorf("the pin holds %s", got.Pinned.Repository)
	}
	s.Answer(http.StatusNotFound)
	_, err = (&Fetcher{}).Fetch(t.Context(), Ref{Repository: address + "?token=canary-token", Name: "demo"})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

func TestRedirectsNeverCarryCredentials(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		other := charttest.New(t)
		versions(s, "1.0.0")
		versions(other, "1.0.0")
		s.RequireBasic(username, password)
		s.RedirectArchives(other.URL())
		ref.Auth = Auth{Username: username, Password: password}
		ref.PassCredentials = true // does not extend to redirects
		if _, err := (&Fetcher{}).Fetch(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		requests := other.Requests()
		if len(requests) == 0 {
			t.Fatal("the redirect was not followed")
		}
		for _, r := range requests {
			if r.Authorization != "" {
				t.Errorf("%s got credentials", r.Path)
			}
		}
	})
}

func TestPassCredentials(t *testing.T) {
	for _, pass := range []bool{false, true} {
		s, other := charttest.New(t), charttest.New(t)
		versions(s, "1.0.0")
		versions(other, "1.0.0")
		s.RequireBasic(username, password)
		s.ArchivesAt(other.Repository())
		ref := Ref{Repository: s.Repository(), Name: "demo", Auth: Auth{Username: username, Password: password}, PassCredentials: pass}
		if _, err := (&Fetcher{}).Fetch(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if got := other.Requests()[0].Authorization != ""; got != pass {
			t.Errorf("PassCredentials %v: credentials sent %v", pass, got)
		}
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		versions(s, "1.0.0", "1.1.0")
		ref.Version = "2.x"
		_, err := (&Fetcher{}).Fetch(t.Context(), ref)
		var missing *NotFoundError
		if !errors.As(err, &missing) || Temporary(err) {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), `no version of chart demo that satisfies "2.x"`, "1.1.0, 1.0.0")
		ref.Version = "1.1.1"
		if _, err = (&Fetcher{}).Fetch(t.Context(), ref); !errors.As(err, &missing) {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "1.1.0")
		ref.Name, ref.Version = "demmo", ""
		if _, err = (&Fetcher{}).Fetch(t.Context(), ref); !errors.As(err, &missing) {
			t.Fatalf("got %v", err)
		}
		if !ref.PlainHTTP {
			contains(t, err.Error(), "has no chart demmo: there is demo")
		}
	})
}

func TestOnlyPrereleases(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		versions(s, "1.0.0-beta.1")
		_, err := (&Fetcher{}).Fetch(t.Context(), ref)
		var missing *NotFoundError
		if !errors.As(err, &missing) || !missing.Prerelease {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "only prereleases come close (1.0.0-beta.1)")
	})
}

func TestABusyRepositoryIsTriedAgainLater(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		s.Answer(http.StatusServiceUnavailable)
		_, err := (&Fetcher{}).Fetch(t.Context(), ref)
		if !Temporary(err) {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "503 Service Unavailable")
		if n := len(s.Requests()); n < 2 {
			t.Errorf("it was asked %d times", n)
		}
		s.Close()
		if _, err = (&Fetcher{}).Fetch(t.Context(), ref); !Temporary(err) {
			t.Fatalf("nobody listens: %v", err)
		}
	})
}

func TestASilentRepositoryDoesNotHoldARunUp(t *testing.T) {
	both(t, func(t *testing.T, s *charttest.Server, ref Ref) {
		s.Hang()
		_, err := (&Fetcher{Limits: Limits{FetchTime: 100 * time.Millisecond}}).Fetch(t.Context(), ref)
		if !Temporary(err) {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "it did not answer in time")
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		timer := time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
		defer timer.Stop()
		if _, err = (&Fetcher{}).Fetch(ctx, ref); !errors.Is(err, enough) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestTrustIsConfigured(t *testing.T) {
	s := charttest.NewTLS(t)
	versions(s, "1.0.0")
	ref := Ref{Repository: s.Repository(), Name: "demo"}
	_, err := (&Fetcher{}).Fetch(t.Context(), ref)
	if !Temporary(err) {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "certificate")
	ref.Auth.CABundle = s.CA()
	if _, err := (&Fetcher{}).Fetch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	ref.Repository = s.OCI()
	if _, err := (&Fetcher{}).Fetch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	plain := charttest.New(t)
	versions(plain, "1.0.0")
	s.RedirectArchives(plain.URL())
	if _, err := (&Fetcher{}).Fetch(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "without encryption") {
		t.Errorf("a redirect to plain HTTP: %v", err)
	}
}

func TestTheIndexIsReadOnce(t *testing.T) {
	s := charttest.New(t)
	versions(s, "1.0.0", "1.1.0")
	f := &Fetcher{}
	for _, v := range []string{"1.0.0", "1.1.0", "1.x"} {
		if _, err := f.Fetch(t.Context(), Ref{Repository: s.Repository(), Name: "demo", Version: v}); err != nil {
			t.Fatal(err)
		}
	}
	read := 0
	for _, r := range s.Requests() {
		if strings.HasSuffix(r.Path, "index.yaml") {
			read++
		}
	}
	if read != 1 {
		t.Errorf("the index was read %d times", read)
	}
}
