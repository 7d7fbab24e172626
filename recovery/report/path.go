package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Part of a run that its time is counted under.
type Part string

// The parts. A phase that has none of its own is a part by its name.
const (
	// PartEarlier is the attempt that this run goes on from.
	PartEarlier Part = "EarlierAttempt"
	// PartWaiting is for its turn, an approval, a slot of a budget, or to be resumed.
	PartWaiting   Part = "Waiting"
	PartPreflight Part = "Preflight"
	PartTeardown  Part = "Teardown"
	PartProvision Part = "Provision"
	// PartApply is spent on requests to the new cluster, PartGates until objects are healthy.
	PartApply   Part = "Apply"
	PartGates   Part = "Gates"
	PartVerify  Part = "Verify"
	PartCleanup Part = "Cleanup"
	// PartOther is between phases and at the end.
	PartOther Part = "Other"
)

// maxSteps that a critical path names: the longest.
const maxSteps = 40

// Path is what the run's time was spent on, one thing after the other. Whatever was done
// beside it would not have made the run shorter.
type Path struct {
	// From the order, or the start of the first attempt, to the end.
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
	// Parts of it, that add up to the whole.
	Parts []Share `json:"parts"`
	// Recovery are the parts of the recovery time alone.
	Recovery []Share `json:"recovery,omitempty"`
	// Steps in order of time. Those that are short may be left out: Shorter counts them.
	Steps          []Step  `json:"steps"`
	Shorter        int     `json:"shorter,omitempty"`
	ShorterSeconds float64 `json:"shorterSeconds,omitempty"`
}

// Share of a part in the whole. The percentages of all shares add up to 100.
type Share struct {
	Part    Part    `json:"part"`
	Seconds float64 `json:"seconds"`
	Percent float64 `json:"percent"`
}

// Step of a critical path.
type Step struct {
	Part      Part           `json:"part"`
	Phase     v1alpha1.Phase `json:"phase,omitempty"`
	What      string         `json:"what,omitempty"`
	StartedAt time.Time      `json:"startedAt"`
	Seconds   float64        `json:"seconds"`
}

// leg is a step while it is counted, without rounding.
type leg struct {
	part     Part
	phase    v1alpha1.Phase
	what     string
	from, to time.Time
}

// Path is the critical path as it is stored, or as it can be told from the rest.
func (r *Report) Path() *Path {
	if r.CriticalPath != nil {
		return r.CriticalPath
	}
	return PathOf(r)
}

// PathOf a run, nil when it took no time that is known.
func PathOf(r *Report) *Path {
	from, to := r.span()
	if !to.After(from) {
		return nil
	}
	w := &walk{at: from, end: to}
	if r.Retried != nil {
		until := to
		if r.StartedAt != nil {
			until = *r.StartedAt
		}
		if ordered := r.ordered(); ordered != nil && ordered.Before(until) {
			until = *ordered
		}
		w.until(until, PartEarlier, "", fmt.Sprintf("run %s, which failed in %s", r.Retried.Run, r.Retried.Phase))
	}
	if r.StartedAt != nil {
		w.until(*r.StartedAt, PartWaiting, "", "the run's turn")
	}
	for _, p := range r.Phases {
		w.until(p.StartedAt, PartOther, "", "between two phases")
		w.phase(p, r.Waves)
	}
	if r.StartedAt == nil {
		w.until(to, PartWaiting, "", "the run's turn, which did not come")
	}
	w.until(to, PartOther, "", "the end")
	path := &Path{From: from, To: to, Seconds: to.Sub(from).Seconds(), Parts: shares(w.legs, from, to)}
	path.Steps, path.Shorter, path.ShorterSeconds = steps(w.legs)
	if r.RecoveryTimeSeconds != nil && r.StartedAt != nil {
		began := *r.StartedAt
		if r.Retried != nil {
			began = r.Retried.StartedAt
		}
		path.Recovery = shares(w.legs, began, began.Add(time.Duration(*r.RecoveryTimeSeconds*float64(time.Second))))
	}
	return path
}

// span of the run: from its order, or the first attempt, until the last that is known.
func (r *Report) span() (from, to time.Time) {
	for _, t := range []*time.Time{r.ordered(), r.StartedAt} {
		if t != nil && (from.IsZero() || t.Before(from)) {
			from = *t
		}
	}
	if r.Retried != nil && !from.IsZero() && r.Retried.StartedAt.Before(from) {
		from = r.Retried.StartedAt
	}
	if r.FinishedAt != nil {
		return from, *r.FinishedAt
	}
	for _, p := range r.Phases {
		to = p.StartedAt
		if p.FinishedAt != nil {
			to = *p.FinishedAt
		}
	}
	return from, to
}

// ordered is when the run was ordered at the latest: the API server cuts the time to whole
// seconds, and what was cut off is no wait.
func (r *Report) ordered() *time.Time {
	if r.OrderedAt == nil {
		return nil
	}
	t := r.OrderedAt.Add(time.Second)
	return &t
}

// walk goes through the run from its beginning to its end and leaves no time out.
type walk struct {
	at, end time.Time
	legs    []leg
}

func (w *walk) until(t time.Time, part Part, phase v1alpha1.Phase, what string) {
	if t.After(w.end) {
		t = w.end
	}
	if t.After(w.at) {
		w.legs = append(w.legs, leg{part: part, phase: phase, what: what, from: w.at, to: t})
		w.at = t
	}
}

func (w *walk) phase(p Phase, waves []Wave) {
	end := w.end
	if p.FinishedAt != nil {
		end = *p.FinishedAt
	}
	if p.StoodStillSeconds > 0 {
		// When it stood still is not recorded, only for how long.
		still := w.at.Add(time.Duration(p.StoodStillSeconds * float64(time.Second)))
		if still.After(end) {
			still = end
		}
		w.until(still, PartWaiting, p.Name, "suspended, or a slot of a budget")
	}
	if p.Name == v1alpha1.PhaseWaves && w.at.Before(end) {
		for _, l := range waveChain(waves, w.at, end) {
			w.until(l.to, l.part, p.Name, l.what)
		}
	}
	w.until(end, partOf(p.Name), p.Name, firstLine(p.Message))
}

// partOf a phase as a whole.
func partOf(phase v1alpha1.Phase) Part {
	switch phase {
	case v1alpha1.PhaseApproval:
		return PartWaiting
	case v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap:
		return PartProvision
	case v1alpha1.PhaseSeed, v1alpha1.PhaseWaves:
		return PartApply
	}
	return Part(phase)
}

// shares of the parts within a time, which they fill.
func shares(legs []leg, from, to time.Time) []Share {
	var order []Part
	sums := map[Part]time.Duration{}
	var whole time.Duration
	for _, l := range legs {
		begin, end := l.from, l.to
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		if d := end.Sub(begin); d > 0 {
			if _, known := sums[l.part]; !known {
				order = append(order, l.part)
			}
			sums[l.part] += d
			whole += d
		}
	}
	out := make([]Share, 0, len(order))
	for _, part := range order {
		out = append(out, Share{Part: part, Seconds: sums[part].Seconds()})
	}
	fillPercent(out, func(i int) time.Duration { return sums[order[i]] }, whole)
	return out
}

// fillPercent gives every share its tenths of a percent so that they add up to 100: what
// rounding down left over goes to those that lost most by it.
func fillPercent(out []Share, of func(int) time.Duration, whole time.Duration) {
	if whole <= 0 {
		return
	}
	const all = 1000
	type lost struct {
		i    int
		rest float64
	}
	given, rests := 0, make([]lost, len(out))
	tenths := make([]int, len(out))
	for i := range out {
		exact := all * (float64(of(i)) / float64(whole))
		tenths[i] = int(exact)
		given += tenths[i]
		rests[i] = lost{i, exact - float64(tenths[i])}
	}
	slices.SortStableFunc(rests, func(a, b lost) int { return cmp.Compare(b.rest, a.rest) })
	for n := 0; n < len(rests) && given < all; n++ {
		tenths[rests[n].i]++
		given++
	}
	for i := range out {
		out[i].Percent = float64(tenths[i]) / 10
	}
}

// steps keeps the longest legs, and says how many others there are.
func steps(legs []leg) (kept []Step, shorter int, seconds float64) {
	byLength := make([]int, len(legs))
	for i := range byLength {
		byLength[i] = i
	}
	slices.SortStableFunc(byLength, func(a, b int) int {
		return cmp.Compare(legs[b].to.Sub(legs[b].from), legs[a].to.Sub(legs[a].from))
	})
	for _, i := range byLength[min(maxSteps, len(byLength)):] {
		shorter++
		seconds += legs[i].to.Sub(legs[i].from).Seconds()
	}
	longest := byLength[:min(maxSteps, len(byLength))]
	slices.Sort(longest)
	for _, i := range longest {
		l := legs[i]
		kept = append(kept, Step{Part: l.part, Phase: l.phase, What: l.what, StartedAt: l.from, Seconds: l.to.Sub(l.from).Seconds()})
	}
	return kept, shorter, seconds
}

// maxWhat bounds what a step says.
const maxWhat = 300

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return shortened(s, maxWhat)
}

// shortened to a number of bytes, without half a character at the end.
func shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
