package chart

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// pick chooses a version as Helm and Flux do: the very string that was asked for, else
// the highest one in the range. Prereleases count only when the range asks for them.
// What is no semantic version is passed over. The second result is false when nothing fits.
func pick(versions []string, want string) (string, bool, error) {
	if want != "" && slices.Contains(versions, want) {
		return want, true, nil
	}
	if want == "" {
		want = "*"
	}
	inRange, err := semver.NewConstraint(want)
	if err != nil {
		return "", false, &InvalidError{Message: fmt.Sprintf("%q is neither a version nor a range of versions", printable(want))}
	}
	var best *semver.Version
	chosen := ""
	for _, text := range versions {
		v, err := semver.NewVersion(text)
		if err != nil || !inRange.Check(v) {
			continue
		}
		if best == nil || v.GreaterThan(best) {
			best, chosen = v, text
		}
	}
	return chosen, best != nil, nil
}

// shownNear is how many names or versions a message offers.
const shownNear = 5

// nearVersions are the highest versions, for a message. The second result is true when
// nothing but prereleases is there.
func nearVersions(versions []string) ([]string, bool) {
	var parsed []*semver.Version
	released := false
	for _, text := range versions {
		if v, err := semver.NewVersion(text); err == nil {
			parsed = append(parsed, v)
			released = released || v.Prerelease() == ""
		}
	}
	slices.SortFunc(parsed, func(a, b *semver.Version) int { return b.Compare(a) })
	near := make([]string, 0, shownNear)
	for _, v := range parsed[:min(shownNear, len(parsed))] {
		near = append(near, printable(v.Original()))
	}
	return near, len(parsed) > 0 && !released
}

// nearNames are the names that share most with a name that is not there.
func nearNames(names []string, name string) []string {
	type scored struct {
		name  string
		score int
	}
	var all []scored
	for _, n := range names {
		score := commonPrefix(n, name)
		if strings.Contains(n, name) || strings.Contains(name, n) {
			score += len(name)
		}
		if score >= 2 {
			all = append(all, scored{n, score})
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.name, b.name))
	})
	near := make([]string, 0, shownNear)
	for _, s := range all[:min(shownNear, len(all))] {
		near = append(near, printable(s.name))
	}
	return near
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// isExact is true for one version, as opposed to a range or a tag.
func isExact(version string) bool {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v"))
	return err == nil
}

// isRange is true for a range of versions, "" included.
func isRange(version string) bool {
	if version == "" {
		return true
	}
	_, err := semver.NewConstraint(version)
	return err == nil
}
