package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// target is what to read: a commit, a reference, a range of versions, or the default branch.
type target struct {
	commit plumbing.Hash
	ref    plumbing.ReferenceName
	semver *versionRange
	// byTag means that even a pinned commit must be reached through its tag, because
	// the tag's signature is asked for.
	byTag bool
}

func (t target) String() string {
	if !t.commit.IsZero() {
		return "commit"
	}
	return t.key()
}

// key names what was asked for, apart from a pinned commit.
func (t target) key() string {
	switch {
	case t.ref != "":
		return t.ref.String()
	case t.semver != nil:
		return "semver " + t.semver.text
	}
	return "HEAD"
}

// acceptsTag says whether a tag of this name is one that was asked for.
func (t target) acceptsTag(name string) bool {
	if t.semver != nil {
		return t.semver.holds(name)
	}
	return t.ref.IsTag() && t.ref.Short() == name
}

func (o Options) want() (target, error) {
	given := 0
	for _, s := range []string{o.Branch, o.Tag, o.SemVer, o.Name} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		return target{}, fmt.Errorf("of branch %q, tag %q, version range %q and name %q more than one is given: choose one", o.Branch, o.Tag, o.SemVer, o.Name)
	}
	var (
		t   target
		err error
	)
	switch {
	case o.Branch != "":
		t.ref = plumbing.NewBranchReferenceName(strings.TrimPrefix(o.Branch, "refs/heads/"))
	case o.Tag != "":
		t.ref = plumbing.NewTagReferenceName(strings.TrimPrefix(o.Tag, "refs/tags/"))
	case o.Name != "":
		if !strings.HasPrefix(o.Name, "refs/") {
			return target{}, fmt.Errorf("reference %q: give its full name, such as refs/heads/main", o.Name)
		}
		t.ref = plumbing.ReferenceName(o.Name)
	case o.SemVer != "":
		if t.semver, err = parseRange(o.SemVer); err != nil {
			return target{}, err
		}
	}
	if t.ref != "" {
		if err := t.ref.Validate(); err != nil {
			return target{}, fmt.Errorf("%q is not a valid reference name", t.ref)
		}
	}
	if o.Commit != "" {
		if !plumbing.IsHash(o.Commit) || len(o.Commit) != 40 {
			return target{}, fmt.Errorf("commit %q: give the full hash of 40 hexadecimal digits", o.Commit)
		}
		t.commit = plumbing.NewHash(o.Commit)
		if t.commit.IsZero() {
			return target{}, errors.New("commit 000…0 names nothing")
		}
	}
	return t, o.Verify.suits(&t)
}

// maxCompared bounds the work for a helpful message on a remote with very many references.
const maxCompared = 20_000

// near lists up to five names that resemble the wanted one, most alike first.
func near(want string, names []string) []string {
	type scored struct {
		name string
		cost int
	}
	if len(names) > maxCompared {
		names = names[:maxCompared]
	}
	var alike []scored
	for _, n := range names {
		if len(n) > 250 {
			continue
		}
		cost := distance(want, n)
		if strings.Contains(n, want) || strings.Contains(want, n) {
			cost = min(cost, 2)
		}
		if cost <= max(2, len(want)/2) {
			alike = append(alike, scored{n, cost})
		}
	}
	slices.SortFunc(alike, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), strings.Compare(a.name, b.name))
	})
	var best []string
	for _, s := range alike[:min(5, len(alike))] {
		best = append(best, s.name)
	}
	return best
}

// distance is the number of single-character edits between two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		previous := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := previous
			if a[i-1] != b[j-1] {
				cost++
			}
			previous = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
