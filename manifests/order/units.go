package order

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/refloat-dev/refloat/manifests"
)

// units are what the repository is divided into, and which of them wait for which.
type units struct {
	list  []manifests.Unit
	index map[string]int
	// level is the longest chain of units before each.
	level []int
	// dependants of each.
	dependants [][]int
	// waits caches what each unit waits for, directly or not.
	waits []map[int]bool
}

// readUnits refuses units that cannot be told apart, that wait for one that does not
// exist, or for each other.
func readUnits(list []manifests.Unit) (*units, []error) {
	u := &units{list: list, index: make(map[string]int, len(list)), level: make([]int, len(list)),
		dependants: make([][]int, len(list)), waits: make([]map[int]bool, len(list))}
	var faults []error
	for i, unit := range list {
		if first, taken := u.index[unit.Name]; taken {
			faults = append(faults, fmt.Errorf("%s is declared twice: in %s and in %s; keep one of them", unit.Name, list[first].Origin, unit.Origin))
			continue
		}
		u.index[unit.Name] = i
	}
	if len(faults) > 0 {
		return nil, faults
	}
	links, faults := u.links()
	if len(faults) > 0 {
		return nil, faults
	}
	for _, path := range shortestCycles(len(list), links) {
		faults = append(faults, u.cycleError(path, links))
	}
	if len(faults) > 0 {
		return nil, faults
	}
	u.measure(links)
	return u, nil
}

func (u *units) links() (links []link, faults []error) {
	for i, unit := range u.list {
		for _, d := range unit.After {
			on, ok := u.index[d.Unit]
			switch {
			case !ok:
				faults = append(faults, fmt.Errorf("%s: %s names %s, which is not in the repository; add it, or remove the dependency", whereUnit(unit), d.Reason, d.Unit))
			case on == i:
				faults = append(faults, fmt.Errorf("%s: %s names the unit itself; remove the dependency", whereUnit(unit), d.Reason))
			default:
				links = append(links, link{from: on, to: i, gate: Ready, kind: Declared, reason: d.Reason})
				u.dependants[on] = append(u.dependants[on], i)
			}
		}
	}
	return links, faults
}

func whereUnit(unit manifests.Unit) string {
	if at := unit.Origin.String(); at != "" {
		return unit.Name + " (" + at + ")"
	}
	return unit.Name
}

func (u *units) cycleError(path []int, links []link) *CycleError {
	c := &CycleError{}
	for _, k := range path {
		unit := u.list[links[k].to]
		c.Steps = append(c.Steps, CycleStep{Barrier: unit.Name, Origin: unit.Origin, Kind: Declared, Gate: Ready, Reason: links[k].reason})
	}
	return c
}

// measure the level of each unit; the links are acyclic.
func (u *units) measure(links []link) {
	waiting := make([]int, len(u.list))
	for _, l := range links {
		waiting[l.to]++
	}
	var queue []int
	for i, n := range waiting {
		if n == 0 {
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, d := range u.dependants[i] {
			u.level[d] = max(u.level[d], u.level[i]+1)
			if waiting[d]--; waiting[d] == 0 {
				queue = append(queue, d)
			}
		}
	}
}

// rank orders units so that each comes after those that it waits for.
func (u *units) rank(name string) int {
	if i, ok := u.index[name]; ok {
		return u.level[i]
	}
	return 0
}

// after tells whether a unit waits for another one, directly or not.
func (u *units) after(name, other string) bool {
	i, ok := u.index[name]
	on, known := u.index[other]
	if !ok || !known || u.level[i] <= u.level[on] {
		return false
	}
	if u.waits[i] == nil {
		u.waits[i] = u.closure(i)
	}
	return u.waits[i][on]
}

func (u *units) closure(i int) map[int]bool {
	seen := map[int]bool{}
	queue := []int{i}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, d := range u.list[n].After {
			if on := u.index[d.Unit]; !seen[on] {
				seen[on] = true
				queue = append(queue, on)
			}
		}
	}
	return seen
}

// sorted lists the units, each after those that it waits for.
func (u *units) sorted() []manifests.Unit {
	out := slices.Clone(u.list)
	slices.SortStableFunc(out, func(a, b manifests.Unit) int {
		return cmp.Or(cmp.Compare(u.rank(a.Name), u.rank(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return out
}
