package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/refloat-dev/refloat/internal/chaos/seeded"
)

// ErrMissed means that a seeded bug was not caught.
var ErrMissed = errors.New("seeded bugs were not caught")

// Seeded builds the command with the bugs of the repository in it and lets that find them.
func Seeded(ctx context.Context, root string, o Options) error {
	dir, err := os.MkdirTemp("", "chaos-seeded-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	program, err := BuildSeeded(ctx, root, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "built with the seeded bugs in %s\n", time.Since(began).Round(time.Second))
	cmd := exec.CommandContext(ctx, program, "-find-bugs", "-root", root, "-lanes", fmt.Sprint(o.Lanes), "-only-bugs", o.Only)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Stdout, cmd.Stderr = o.Out, o.Log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %w", ErrMissed, err)
	}
	return nil
}

// FindBugs runs the points of each bug, in a program that has them.
func FindBugs(ctx context.Context, root string, o Options) (err error) {
	if !seeded.Built {
		return errors.New("this program was built without the seeded bugs; start it without -find-bugs")
	}
	bugs, err := Bugs(root)
	if err != nil {
		return err
	}
	if o.Only != "" {
		names := strings.Split(o.Only, ",")
		bugs = slices.DeleteFunc(bugs, func(b Bug) bool { return !slices.Contains(names, b.Name) })
	}
	began := time.Now()
	w, err := NewWorld(ctx, o.Lanes, o.Log)
	defer func() { err = errors.Join(err, w.Close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	if _, err := w.learn(ctx); err != nil {
		return err
	}
	var points []Point
	for _, b := range bugs {
		points = append(points, b.Points...)
	}
	if err := w.locate(points); err != nil {
		return err
	}
	found := map[string][]Result{}
	w.Run(ctx, points, func(r Result) { found[r.Bug] = append(found[r.Bug], r) })
	if missed := printBugs(o.Out, bugs, found); missed > 0 {
		return ErrMissed
	}
	fmt.Fprintf(o.Log, "took %s\n", time.Since(began).Round(time.Second))
	return ctx.Err()
}

// caughtBy is the first of the rules that a bug has to be caught by which it broke, and where.
func caughtBy(b Bug, results []Result) (rule string, at Point, caught bool) {
	for _, rule := range b.Rules {
		for _, r := range results {
			for _, breach := range r.Breaches {
				if breach.Rule == rule {
					return rule, r.Point, true
				}
			}
		}
	}
	return "", Point{}, false
}

// rulesOf a result that were broken.
func rulesOf(r Result) string {
	names := map[string]bool{}
	for _, b := range r.Breaches {
		names[b.Rule] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), " ")
}

func printBugs(out io.Writer, bugs []Bug, found map[string][]Result) (missed int) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "seeded bug\tcaught by\tat\twhat it does")
	for _, b := range bugs {
		rule, at, caught := caughtBy(b, found[b.Name])
		if !caught {
			missed++
			fmt.Fprintf(w, "%s\tNOT CAUGHT\t\t%s\n", b.Name, b.What)
			for _, r := range found[b.Name] {
				fmt.Fprintf(w, "\t%s\t%s\thit: %s\n", rulesOf(r), r.Point, r.Hit)
			}
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", b.Name, rule, at, b.What)
	}
	_ = w.Flush()
	fmt.Fprintf(out, "\n%d seeded bugs caught, %d not caught\n", len(bugs)-missed, missed)
	return missed
}
