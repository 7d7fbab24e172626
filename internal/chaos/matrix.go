package chaos

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/faultproxy"
)

// every says at which writes a fault happens by default: at each, or at every n-th,
// beginning with a write of its own, so that together they cover more.
type every struct {
	n, from int
}

// density of the default matrix. In a full one it is every write, except where a point
// takes the whole machine or its place hardly matters.
var density = map[string]struct{ usual, full every }{
	"drop-request":  {every{10, 2}, every{1, 1}},
	"drop-response": {every{6, 1}, every{1, 1}},
	"delay":         {every{20, 5}, every{3, 1}},
	"409":           {every{10, 3}, every{1, 1}},
	"429":           {every{20, 4}, every{2, 1}},
	"500":           {every{10, 4}, every{1, 1}},
	"cut-watches":   {every{14, 3}, every{1, 1}},
	"stale-watches": {every{20, 1}, every{2, 1}},
	"stale-reads":   {every{12, 5}, every{1, 1}},
	"kill-before":   {every{1, 1}, every{1, 1}},
	"kill-after":    {every{1, 1}, every{1, 1}},
	"freeze":        {every{6, 6}, every{1, 1}},
	"freeze-late":   {every{14, 7}, every{1, 1}},
	"freeze-leader": {every{25, 8}, every{3, 2}},
	"storm":         {every{20, 1}, every{1, 1}},
	"workload-gone": {every{20, 6}, every{2, 1}},
	"api-restart":   {every{50, 8}, every{8, 1}},
	"git-gone":      {every{25, 8}, every{3, 1}},
	"git-forced":    {every{25, 12}, every{3, 2}},
	"git-corrupt":   {every{25, 14}, every{3, 3}},
	"clock+1m":      {every{25, 9}, every{3, 1}},
	"clock-1m":      {every{25, 6}, every{3, 2}},
	"clock+1d":      {every{25, 10}, every{4, 1}},
	"cancel":        {every{20, 9}, every{1, 1}},
}

// rarer says by how much the points of an operation are rarer by default, those that kill and
// the others: most of a failover is a rebuild. Kills before a write and after it take turns.
var rarer = map[v1alpha1.Operation]struct{ kills, others int }{
	v1alpha1.OperationFailover: {2, 3}, v1alpha1.OperationFailback: {24, 24},
}

// usual density of a fault for an operation.
func usual(fault Fault, operation v1alpha1.Operation) every {
	step := density[fault.Name].usual
	less, known := rarer[operation]
	switch {
	case !known:
	case fault.Kind == faultproxy.KillBefore:
		return every{step.n * less.kills, step.from + less.kills/2}
	case fault.Kind == faultproxy.KillAfter:
		return every{step.n * less.kills, step.from}
	default:
		step.n *= less.others
	}
	return step
}

// Matrix of points, for the writes that runs without faults make.
func (w *World) Matrix(full bool) []Point {
	var points []Point
	for _, fault := range Faults() {
		for _, operation := range operations {
			step := usual(fault, operation)
			if full {
				step = density[fault.Name].full
			}
			for k := step.from; k <= w.Writes(operation); k += step.n {
				points = append(points, Point{Operation: operation, Fault: fault, At: k})
			}
		}
	}
	return points
}

// ParsePoint reads what Point.String writes.
func ParsePoint(text string) (Point, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Point{}, fmt.Errorf("point %q: want OPERATION:FAULT:WRITE, such as Rebuild:kill-after:17", text)
	}
	operation := v1alpha1.Operation(parts[0])
	fault, known := faultNamed(parts[1])
	at, err := strconv.Atoi(parts[2])
	if symbolic.MatchString(parts[2]) {
		at, err = 0, nil
	}
	switch {
	case !slices.Contains(operations, operation):
		return Point{}, fmt.Errorf("point %q: operation %q is none of %v", text, parts[0], operations)
	case !known:
		return Point{}, fmt.Errorf("point %q: there is no fault %q", text, parts[1])
	case err != nil || at < 1 && !symbolic.MatchString(parts[2]):
		return Point{}, fmt.Errorf("point %q: write %q is neither a number from 1 nor a kind of write, such as DELETE.clusters", text, parts[2])
	case at == 0:
		return Point{Operation: operation, Fault: fault, Where: parts[2]}, nil
	}
	return Point{Operation: operation, Fault: fault, At: at}, nil
}

var symbolic = regexp.MustCompile(`^[A-Z]+\.[a-z]+(/[a-z]+)?(\.[1-9][0-9]*)?$`)

// placed is a fault at the nth write of a kind.
type placed struct {
	kind             faultproxy.Kind
	method, resource string
	left             int // writes of the kind until it is this one
}

func newPlaced(p Point) *placed {
	parts := strings.Split(p.Where, ".")
	nth := 1
	if len(parts) == 3 {
		nth, _ = strconv.Atoi(parts[2]) // the pattern allows numbers only
	}
	return &placed{p.Fault.Kind, parts[0], parts[1], nth}
}

func (p *placed) here(write faultproxy.Request) bool {
	resource := write.Target.Resource
	if write.Target.Subresource != "" {
		resource += "/" + write.Target.Subresource
	}
	if write.Method != p.method || resource != p.resource {
		return false
	}
	p.left--
	return p.left == 0
}

// On implements faultproxy.Plan. A Sequence asks for one write after the other.
func (p *placed) On(k int, write faultproxy.Request) faultproxy.Verdict {
	if !p.here(write) {
		return faultproxy.Verdict{}
	}
	return faultproxy.Fault{Kind: p.kind, At: k}.On(k, write)
}

// locate gives points that name a kind of write its number.
func (w *World) locate(points []Point) error {
	for i, p := range points {
		if p.Where == "" {
			continue
		}
		plan := newPlaced(p)
		for k, write := range w.references[string(p.Operation)].writes {
			if plan.here(write) {
				points[i].At = k + 1
				break
			}
		}
		if points[i].At == 0 {
			return fmt.Errorf("point %s: a run without faults makes no such write", p)
		}
	}
	return nil
}
