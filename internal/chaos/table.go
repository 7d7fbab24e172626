package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/witness"
)

// cell counts the points of one fault and operation.
type cell struct{ passed, failed, missed int }

func (c cell) String() string {
	s := fmt.Sprint(c.passed)
	if c.failed > 0 {
		s += fmt.Sprintf(", %d FAILED", c.failed)
	}
	if c.missed > 0 {
		s += fmt.Sprintf(" (%d missed)", c.missed)
	}
	return s
}

// table of faults and operations.
type table struct {
	points                 int
	passed, failed, missed int
	cells                  map[string]map[v1alpha1.Operation]cell
	breaches               map[string]int
	resumed                []time.Duration
}

func newTable(points []Point) *table {
	return &table{points: len(points), cells: map[string]map[v1alpha1.Operation]cell{}, breaches: map[string]int{}}
}

func (t *table) done() int { return t.passed + t.failed + t.missed }

// add a result. A point whose run ended before it came to the write proves nothing: it is
// missed, unless it failed.
func (t *table) add(r Result) {
	row := t.cells[r.Fault.Name]
	if row == nil {
		row = map[v1alpha1.Operation]cell{}
		t.cells[r.Fault.Name] = row
	}
	c := row[r.Operation]
	switch {
	case len(r.Breaches) > 0:
		c.failed++
		t.failed++
	case r.Hit == "":
		c.missed++
		t.missed++
	default:
		c.passed++
		t.passed++
	}
	row[r.Operation] = c
	if r.Resumed > 0 {
		t.resumed = append(t.resumed, r.Resumed)
	}
	for _, b := range r.Breaches {
		t.breaches[b.Rule]++
	}
}

func (t *table) print(out io.Writer, took time.Duration) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprint(w, "fault")
	for _, operation := range operations {
		fmt.Fprintf(w, "\t%s", operation)
	}
	fmt.Fprintln(w)
	for _, fault := range Faults() {
		row, ran := t.cells[fault.Name]
		if !ran {
			continue
		}
		fmt.Fprint(w, fault.Name)
		for _, operation := range operations {
			fmt.Fprintf(w, "\t%s", row[operation])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	fmt.Fprintf(out, "\n%d rules were checked at each point: ", len(witness.Rules())+3)
	if len(t.breaches) == 0 {
		fmt.Fprintln(out, "none was broken, and every end was that of a run without faults")
	} else {
		fmt.Fprintln(out, "broken were")
		for _, rule := range slices.Sorted(maps.Keys(t.breaches)) {
			fmt.Fprintf(out, "  %s: %d times\n", rule, t.breaches[rule])
		}
	}
	if t.missed > 0 {
		fmt.Fprintf(out, "%d points were missed: the run made fewer writes than without faults\n", t.missed)
	}
	if n := len(t.resumed); n > 0 {
		slices.Sort(t.resumed)
		fmt.Fprintf(out, "after a kill the next controller, started at once, made its first write within %s (median) and %s (longest of %d)\n",
			t.resumed[n/2].Round(10*time.Millisecond), t.resumed[n-1].Round(10*time.Millisecond), n)
	}
	fmt.Fprintf(out, "took %s\n%d passed, %d failed\n", took.Round(time.Second), t.passed, t.failed)
}
