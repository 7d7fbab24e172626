package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Held is one report to check, as it is stored.
type Held struct {
	// Name for people: of a run or a file.
	Name string
	Raw  []byte
	// Err says why it could not be read.
	Err error
}

// State of a chain.
type State string

// The states.
const (
	// Intact: every report that is there is what it was, and none is missing in between.
	Intact State = "Intact"
	// Broken: at least one was edited, removed, or put there by somebody else.
	Broken State = "Broken"
	// Unknown: there is nothing to check, or nothing to check it against.
	Unknown State = "Unknown"
)

// Problem kinds.
const (
	Edited     = "Edited"
	Removed    = "Removed"
	Gone       = "Gone" // with its run, which is no break
	Stray      = "Stray"
	Unreadable = "Unreadable"
	Unproven   = "Unproven" // nothing holds its digest, which is no break
	Unlinked   = "Unlinked" // by an older version, or without its plan, which is no break
)

// Problem with one report, or a remark about it.
type Problem struct {
	Kind     string `json:"kind"`
	Sequence int64  `json:"sequence,omitempty"`
	Run      string `json:"run,omitempty"`
	What     string `json:"what"`
}

// Verdict on a chain.
type Verdict struct {
	State State `json:"state"`
	// Length is how many reports there were, Proven how many are there and proven to be
	// what they were.
	Length int64 `json:"length"`
	Proven int   `json:"proven"`
	// Head is the digest of the last report.
	Head string `json:"head,omitempty"`
	// Problems that break the chain, and Remarks that do not.
	Problems []Problem `json:"problems,omitempty"`
	Remarks  []Problem `json:"remarks,omitempty"`
}

// CheckChain holds reports of one plan against each other and, if there is one, against the
// plan itself. runs are the UIDs of those that exist; nil when nobody knows.
func CheckChain(plan *v1alpha1.RecoveryPlan, held []Held, runs map[types.UID]bool) *Verdict {
	c := &checking{verdict: &Verdict{}, runs: runs, want: map[int64]Link{}, at: map[int64][]checked{}, doubted: map[int64]bool{}}
	c.read(plan, held)
	c.compare()
	v := c.verdict
	switch {
	case len(v.Problems) > 0:
		v.State = Broken
	case v.Length == 0, plan == nil && v.Proven == 0: // of files alone, each proves only the one before it
		v.State = Unknown
	default:
		v.State = Intact
	}
	return v
}

// checked is a report that could be read.
type checked struct {
	name, run, digest string
	chain             *Chain
}

type checking struct {
	verdict *Verdict
	runs    map[types.UID]bool
	// recorded tells whether the plan holds the head.
	recorded bool
	// want is what is known of each place, at what is there.
	want map[int64]Link
	at   map[int64][]checked
	// doubted places are known only from a report that was edited.
	doubted map[int64]bool
}

func (c *checking) problem(kind string, sequence int64, run, what string, args ...any) {
	c.verdict.Problems = append(c.verdict.Problems, Problem{Kind: kind, Sequence: sequence, Run: run, What: fmt.Sprintf(what, args...)})
}

func (c *checking) remark(kind string, sequence int64, run, what string, args ...any) {
	c.verdict.Remarks = append(c.verdict.Remarks, Problem{Kind: kind, Sequence: sequence, Run: run, What: fmt.Sprintf(what, args...)})
}

// read sorts the reports by their places.
func (c *checking) read(plan *v1alpha1.RecoveryPlan, held []Held) {
	var uid types.UID
	if plan != nil {
		uid = plan.UID
		if head := plan.Status.Reports; head != nil {
			c.recorded, c.verdict.Length = true, head.Sequence
			for _, l := range head.Recent {
				c.want[l.Sequence] = Link{Run: l.Run, UID: l.UID, Digest: l.Digest}
			}
		}
	}
	for _, h := range held {
		one, unfinished, err := readHeld(h)
		switch {
		case err != nil:
			c.problem(Unreadable, 0, h.Name, "the report in %s cannot be read: %v", h.Name, err)
		case unfinished:
		case one.chain == nil:
			c.remark(Unlinked, 0, one.run, "the report of run %s is in no chain: it is of an older version, or its plan was gone", one.run)
		case uid != "" && one.chain.PlanUID != uid:
			c.remark(Unlinked, one.chain.Sequence, one.run, "the report of run %s belongs to the chain of another plan that had this name (UID %s)", one.run, one.chain.PlanUID)
		default:
			if uid == "" {
				uid = one.chain.PlanUID // files without a plan: the first says which chain
			}
			c.place(one)
		}
	}
}

func readHeld(h Held) (one checked, unfinished bool, err error) {
	if h.Err != nil {
		return one, false, h.Err
	}
	r := &Report{}
	if one.digest, err = Digest(h.Raw); err != nil {
		return one, false, err
	}
	if err := json.Unmarshal(h.Raw, r); err != nil {
		return one, false, err
	}
	one.name, one.run, one.chain = h.Name, r.Run, r.Chain
	if r.Chain != nil && (r.Chain.Sequence < 1 || (r.Chain.Previous == nil) != (r.Chain.Sequence == 1)) {
		return one, false, fmt.Errorf("its place in the chain makes no sense")
	}
	return one, r.FinishedAt == nil, nil
}

func (c *checking) place(one checked) {
	n := one.chain.Sequence
	if c.recorded && n > c.verdict.Length {
		if next, known := c.want[c.verdict.Length]; n == c.verdict.Length+1 && known && *one.chain.Previous == next {
			c.remark(Unlinked, n, one.run, "the report of run %s is not linked yet", one.run)
			return
		}
		c.problem(Stray, n, one.run, "the report of run %s says that it is number %d, and the plan knows of %d", one.run, n, c.verdict.Length)
		return
	}
	c.at[n] = append(c.at[n], one)
}

// compare goes from the last place to the first: each report that is proven proves the one
// before it.
func (c *checking) compare() {
	last := c.verdict.Length
	for n := range c.at {
		last = max(last, n)
	}
	c.verdict.Length = last
	if last == 0 {
		return
	}
	c.verdict.Head = c.want[last].Digest
	if c.verdict.Head == "" && len(c.at[last]) == 1 {
		c.verdict.Head = c.at[last][0].digest
	}
	var missing []int64
	// Only places that something is known of are looked at: numbers may be made up.
	for _, n := range slices.Backward(c.places()) {
		if !c.judge(n) {
			missing = append(missing, n)
		}
	}
	c.absent(missing)
}

// places that reports or links are known of, with those that are named by reports.
func (c *checking) places() []int64 {
	known := map[int64]bool{}
	for n, all := range c.at {
		known[n] = true
		for _, one := range all {
			if one.chain.Previous != nil {
				known[n-1] = true
			}
		}
	}
	for n := range c.want {
		known[n] = true
	}
	return slices.Sorted(maps.Keys(known))
}

// judge the reports at one place; false when there is none.
func (c *checking) judge(n int64) bool {
	want, known := c.want[n]
	all := c.at[n]
	if len(all) == 0 {
		return false
	}
	slices.SortFunc(all, func(a, b checked) int { return cmp.Compare(a.name, b.name) })
	var genuine *checked
	for i := range all {
		one := &all[i]
		switch {
		case !known && genuine == nil, known && one.digest == want.Digest:
			genuine = one
		case known && one.run == want.Run:
			c.problem(Edited, n, one.run, "the report of run %s was edited: its digest is %s, and it was %s", one.run, one.digest, want.Digest)
		case genuine != nil && one.digest == genuine.digest:
			// the same report twice
		default:
			c.problem(Stray, n, one.run, "the report of run %s says that it is number %d, which is another's", one.run, n)
		}
	}
	if genuine == nil {
		// What an edited report says of its predecessor is better than nothing.
		c.before(n, &all[0], true)
		return true
	}
	switch {
	case known && !c.doubted[n]:
		c.verdict.Proven++
	case known:
		c.remark(Unproven, n, genuine.run, "the report of run %s is only proven by one that was edited", genuine.run)
	default:
		c.remark(Unproven, n, genuine.run, "nothing holds the digest of the report of run %s: keep %s to prove it later", genuine.run, genuine.digest)
	}
	c.before(n, genuine, c.doubted[n])
	return true
}

// before takes what a report says of the one before it.
func (c *checking) before(n int64, one *checked, doubted bool) {
	previous := one.chain.Previous
	if previous == nil {
		return
	}
	recorded, known := c.want[n-1]
	switch {
	case !known:
		c.want[n-1], c.doubted[n-1] = *previous, doubted
	case doubted:
		// the plan knows better
	case recorded.Digest != previous.Digest:
		c.problem(Edited, n-1, recorded.Run, "the plan's status and the report of run %s do not agree on the digest of number %d: one of them was edited", one.run, n-1)
	}
}

// absent tells reports that went with their runs, the oldest, from those that were taken
// out. What is missing comes in falling order.
func (c *checking) absent(missing []int64) {
	first := c.verdict.Length + 1
	for n := range c.at {
		first = min(first, n)
	}
	gone := 0
	for _, n := range missing {
		run := c.want[n].Run
		switch {
		case run == "" && n < first:
			gone++
		case c.runs != nil && c.runs[c.want[n].UID]:
			c.problem(Removed, n, run, "the report of run %s (number %d) was removed; the run is still there", run, n)
		case c.runs == nil && n > first:
			c.problem(Removed, n, run, "number %d, the report of run %s, is not among the files, though one before it is", n, run)
		case n > first || first > c.verdict.Length:
			c.problem(Removed, n, run, "number %d, the report of run %s, is missing, and so is its run, though it is not among the oldest: somebody removed it", n, run)
		default:
			gone++
			why := "went with its run"
			if c.runs == nil {
				why = "is not among the files"
			}
			c.remark(Gone, n, run, "number %d, the report of run %s, %s; a copy of it can still be proven: %s", n, run, why, c.want[n].Digest)
		}
	}
	if oldest := first - 1 - int64(gone); first <= c.verdict.Length && oldest > 0 {
		c.remark(Gone, oldest, "", "the oldest, up to number %d, are not there, and no digest of them is: nothing proves what they said", oldest)
	}
}
