// Command chaos runs the fault harness; see docs/chaos.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/refloat-dev/refloat/internal/chaos"
)

func main() { os.Exit(run()) }

func run() int {
	if was, err := chaos.Process(); was {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	o := chaos.Options{Out: os.Stdout, Log: os.Stderr}
	flag.IntVar(&o.Lanes, "lanes", 4, "points that run side by side")
	flag.BoolVar(&o.Full, "full", false, "every fault at every write")
	flag.StringVar(&o.Only, "point", "", "only these points, such as Rebuild:kill-after:17, with commas between them")
	flag.StringVar(&o.Faults, "faults", "", "only these faults, with commas between them")
	bugs := flag.Bool("bugs", false, "build with the seeded bugs and show that each is caught")
	find := flag.Bool("find-bugs", false, "what a build with the seeded bugs is started with")
	root := flag.String("root", ".", "top of the repository, for the seeded bugs")
	onlyBugs := flag.String("only-bugs", "", "only these bugs, with commas between them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := chaos.Chaos
	switch {
	case *bugs:
		o.Only = *onlyBugs
		work = func(ctx context.Context, o chaos.Options) error { return chaos.Seeded(ctx, *root, o) }
	case *find:
		o.Only = *onlyBugs
		work = func(ctx context.Context, o chaos.Options) error { return chaos.FindBugs(ctx, *root, o) }
	}
	if err := work(ctx, o); err != nil {
		if !errors.Is(err, chaos.ErrFailed) {
			fmt.Fprintln(os.Stderr, err)
		}
		return 1
	}
	return 0
}
