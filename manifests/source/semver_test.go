package source

import (
	"strings"
	"testing"
)

func TestVersionRanges(t *testing.T) {
	tags := []string{"v1.0.0", "1.2.0", "v1.10.0", "v1.11.0-rc.1", "v2.0.0", "v2.1.0+build.1", "v2.1.0+build.2", "v1", "1.99", "app/v1.50.0", "nightly", "v01.2.3"}
	refs := []string{"refs/heads/v9.9.9"}
	for _, tag := range tags {
		refs = append(refs, "refs/tags/"+tag)
	}
	all := func(string) bool { return true }
	for text, want := range map[string]string{
		"1.x":                      "v1.10.0", // not 1.99, which is no version, and not the pre-release
		">=1.11.0-0 <2.0.0-0":      "v1.11.0-rc.1",
		"~1.2":                     "1.2.0",
		"^1.0.0":                   "v1.10.0",
		"*":                        "v2.1.0+build.2",
		"=1.0.0":                   "v1.0.0",
		"1.0.0 - 1.5.0":            "1.2.0",
		">1.2.0 <1.10.0 || =2.0.0": "v2.0.0",
	} {
		r, err := parseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.newest("x", refs, all); err != nil || got != "refs/tags/"+want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"banana", ">>1", "1.2.3.4.5", strings.Repeat("1", 1000)} {
		if _, err := parseRange(bad); err == nil || !strings.Contains(err.Error(), "version range") {
			t.Errorf("%.20s: %v", bad, err)
		}
	}
}

func TestFetchOfAVersionRange(t *testing.T) {
	r, first, second, _ := history(t)
	r.git("tag", "-a", "v1.2.0", "-m", "release", first)
	r.git("tag", "v1.10.0", second)
	r.git("tag", "v2.0.0-rc.1", first)
	for _, url := range []string{r.dir, serve(t, gitHandler(t, r.dir)) + "/repo.git"} {
		for text, want := range map[string]string{"1.x": "v1.10.0", "<1.5": "v1.2.0", ">=2.0.0-0": "v2.0.0-rc.1"} {
			snap := fetchOK(t, Options{URL: url, SemVer: text})
			if snap.Ref != "refs/tags/"+want || snap.Commit != r.git("rev-parse", want+"^{commit}") {
				t.Errorf("%s: got %+v", text, snap)
			}
		}
		err := fetchFails(t, Options{URL: url, SemVer: "3.x"}, `"3.x"`, "the newest are v2.0.0-rc.1, v1.10.0, v1.2.0")
		mustAs[*RefNotFoundError](t, err)
		fetchFails(t, Options{URL: url, SemVer: "1.x", Branch: "main"}, "choose one")
		fetchFails(t, Options{URL: url, SemVer: "ooh"}, `"ooh" is malformed`)
	}
	none := newRepo(t)
	none.commit(map[string]string{"a": "b"})
	fetchFails(t, Options{URL: none.dir, SemVer: "1.x"}, "no tag there is a version")
}
