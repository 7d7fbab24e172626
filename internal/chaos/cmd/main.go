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
	flag.StringVar(&o.Only, "point", "", "one point only, such as Rebuild:kill-after:17")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := chaos.Chaos(ctx, o); err != nil {
		if !errors.Is(err, chaos.ErrFailed) {
			fmt.Fprintln(os.Stderr, err)
		}
		return 1
	}
	return 0
}
