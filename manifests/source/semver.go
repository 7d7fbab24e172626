package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// maxRangeBytes bounds a version range, which is parsed with regular expressions.
const maxRangeBytes = 256

// versionRange is a range of versions that tags are chosen from.
type versionRange struct {
	text  string
	rules *semver.Constraints
}

func parseRange(text string) (*versionRange, error) {
	if len(text) > maxRangeBytes {
		return nil, fmt.Errorf("the version range is longer than %d characters", maxRangeBytes)
	}
	rules, err := semver.NewConstraint(text)
	if err != nil {
		return nil, fmt.Errorf("version range %q is malformed: give one such as \"1.x\" or \">=1.2.0 <2.0.0\"", text)
	}
	return &versionRange{text: text, rules: rules}, nil
}

// versionOf reads a tag such as 1.2.3 or v1.2.3-rc.1. Tags that only look like a
// version, such as v1 or 1.2, commonly move and are not taken.
func versionOf(tag string) (*semver.Version, bool) {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
	return v, err == nil
}

func (r *versionRange) holds(tag string) bool {
	v, ok := versionOf(tag)
	return ok && r.rules.Check(v)
}

// newest chooses the reference of the highest version in the range among those that
// suit. Pre-releases count only when the range names one.
func (r *versionRange) newest(url string, refs []string, suits func(ref string) bool) (string, error) {
	type candidate struct {
		ref     string
		version *semver.Version
	}
	var all, within []candidate
	for _, ref := range refs {
		tag, ok := strings.CutPrefix(ref, "refs/tags/")
		if !ok {
			continue
		}
		v, ok := versionOf(tag)
		if !ok {
			continue
		}
		c := candidate{ref, v}
		if all = append(all, c); r.rules.Check(v) && suits(ref) {
			within = append(within, c)
		}
	}
	// Versions that differ only in what does not count are told apart by name.
	order := func(a, b candidate) int {
		return cmp.Or(b.version.Compare(a.version), strings.Compare(b.ref, a.ref))
	}
	slices.SortFunc(within, order)
	if len(within) > 0 {
		return within[0].ref, nil
	}
	slices.SortFunc(all, order)
	missing := &RefNotFoundError{URL: url, Ref: fmt.Sprintf("tag with a version in the range %q", r.text), versions: true}
	for _, c := range all[:min(5, len(all))] {
		missing.Near = append(missing.Near, strings.TrimPrefix(c.ref, "refs/tags/"))
	}
	return "", missing
}
