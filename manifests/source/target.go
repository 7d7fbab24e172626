package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// target is what to read: a commit, a reference, or the default branch.
type target struct {
	commit plumbing.Hash
	ref    plumbing.ReferenceName
}

func (t target) String() string {
	switch {
	case !t.commit.IsZero():
		return "commit"
	case t.ref != "":
		return t.ref.String()
	}
	return "HEAD"
}

func (o Options) want() (target, error) {
	if o.Branch != "" && o.Tag != "" {
		return target{}, fmt.Errorf("branch %q and tag %q are both given: choose one", o.Branch, o.Tag)
	}
	var t target
	switch {
	case o.Branch != "":
		t.ref = plumbing.NewBranchReferenceName(strings.TrimPrefix(o.Branch, "refs/heads/"))
	case o.Tag != "":
		t.ref = plumbing.NewTagReferenceName(strings.TrimPrefix(o.Tag, "refs/tags/"))
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
	return t, nil
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
