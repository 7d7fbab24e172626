package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// operations under test.
var operations = []v1alpha1.Operation{v1alpha1.OperationRebuild, v1alpha1.OperationTeardown, v1alpha1.OperationDrill, v1alpha1.OperationFailover, v1alpha1.OperationFailback}

// learn runs every operation without faults, twice: the second time shows that two runs
// end the same, so that a difference is one.
func (w *World) learn(ctx context.Context) ([]Result, error) {
	var out []Result
	for range 2 {
		for _, operation := range operations {
			r := w.lanes[0].run(ctx, Point{Operation: operation})
			if len(r.Breaches) > 0 {
				return append(out, r), fmt.Errorf("without faults, a %s breaks rules: %v\n%s", operation, r.Breaches, r.Log)
			}
			// The first run also makes what later ones find in the cluster that was there.
			w.references[string(operation)].writes = r.Writes
			out = append(out, r)
		}
	}
	return out, nil
}

// Writes of an operation without faults.
func (w *World) Writes(operation v1alpha1.Operation) int {
	if reference := w.references[string(operation)]; reference != nil {
		return len(reference.writes)
	}
	return 0
}

// Run points, those that bear company side by side, and tell of each when it is done.
func (w *World) Run(ctx context.Context, points []Point, tell func(Result)) {
	var together, alone []Point
	for _, p := range points {
		if p.Fault.Alone {
			alone = append(alone, p)
		} else {
			together = append(together, p)
		}
	}
	queue := make(chan Point)
	var mu sync.Mutex
	var working sync.WaitGroup
	for _, l := range w.lanes {
		working.Go(func() {
			for p := range queue {
				r := l.run(ctx, p)
				mu.Lock()
				if ctx.Err() == nil { // what was interrupted says nothing
					tell(r)
				}
				mu.Unlock()
			}
		})
	}
	for _, p := range together {
		select {
		case queue <- p:
		case <-ctx.Done():
		}
	}
	close(queue)
	working.Wait()
	for _, p := range alone {
		if r := w.lanes[0].run(ctx, p); ctx.Err() == nil {
			tell(r)
		}
	}
}

// Options of Chaos.
type Options struct {
	// Lanes that run points side by side.
	Lanes int
	// Full runs every fault at every write.
	Full bool
	// Only runs these points, such as Rebuild:kill-after:17, with commas between them.
	Only string
	// Faults runs only these faults, by name, with commas between them.
	Faults string
	Out    io.Writer
	Log    io.Writer
}

// ErrFailed means that a rule was broken.
var ErrFailed = errors.New("the fault harness found breaches")

// Chaos is the whole harness: reference runs, points, table.
func Chaos(ctx context.Context, o Options) (err error) {
	began := time.Now()
	w, err := NewWorld(ctx, o.Lanes, o.Log)
	defer func() {
		err = errors.Join(err, w.Close(context.WithoutCancel(ctx)))
	}()
	if err != nil {
		return err
	}
	references, err := w.learn(ctx)
	if err != nil {
		return err
	}
	for _, r := range references[len(operations):] {
		fmt.Fprintf(o.Log, "%s without faults: %d writes in %s\n", r.Operation, len(r.Writes), r.Took.Round(time.Millisecond))
		for i, write := range r.Writes {
			fmt.Fprintf(o.Log, "  %3d %s\n", i+1, write)
		}
	}
	points, err := w.choose(o)
	if err != nil {
		return err
	}
	t := newTable(points)
	w.Run(ctx, points, func(r Result) {
		t.add(r)
		if len(r.Breaches) > 0 {
			explain(o.Log, r)
		}
		if n := t.done(); n%50 == 0 {
			fmt.Fprintf(o.Log, "%d of %d points in %s\n", n, len(points), time.Since(began).Round(time.Second))
		}
	})
	t.print(o.Out, time.Since(began))
	if t.failed > 0 {
		return ErrFailed
	}
	return ctx.Err()
}

// choose the points that are asked for.
func (w *World) choose(o Options) ([]Point, error) {
	if o.Only != "" {
		var points []Point
		for _, text := range strings.Split(o.Only, ",") {
			p, err := ParsePoint(text)
			if err != nil {
				return nil, err
			}
			points = append(points, p)
		}
		return points, w.locate(points)
	}
	points := w.Matrix(o.Full)
	if o.Faults == "" {
		return points, nil
	}
	names := strings.Split(o.Faults, ",")
	for _, name := range names {
		if _, known := faultNamed(name); !known {
			return nil, fmt.Errorf("there is no fault %q", name)
		}
	}
	return slices.DeleteFunc(points, func(p Point) bool { return !slices.Contains(names, p.Fault.Name) }), nil
}

// explain a point that failed.
func explain(out io.Writer, r Result) {
	fmt.Fprintf(out, "FAILED %s\n  hit: %s\n", r.Point, r.Hit)
	for _, b := range r.Breaches {
		fmt.Fprintf(out, "  %s\n", b)
	}
	const lines = 15
	log := strings.Split(strings.TrimSpace(r.Log), "\n")
	for _, line := range log[max(0, len(log)-lines):] {
		fmt.Fprintf(out, "  | %s\n", brief(line, 400))
	}
	fmt.Fprintf(out, "  repeat it with: make chaos POINT=%s\n", r.Point)
}
