// Bench measures Refloat against what else applies manifests, on control planes of
// this machine, and prints one figure a line: name, value, unit. Everything else goes
// to stderr. Contenders take turns, each on a fresh control plane, and medians count,
// so that a busy machine disturbs all of them alike.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

type settings struct {
	rounds, objects, kubectlObjects, memoryObjects, largeObjects, chainRounds, schedules, idleSchedules, reportObjects int
	only, fetch                                                                                                        string
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 3, "how often each contender has its turn")
	flag.IntVar(&s.objects, "objects", 2000, "objects that each contender applies")
	flag.IntVar(&s.kubectlObjects, "kubectl-objects", 400, "objects that kubectl applies, which takes long; rates are compared")
	flag.IntVar(&s.memoryObjects, "memory-objects", 10000, "objects while the peak memory is measured")
	flag.IntVar(&s.largeObjects, "large-objects", 10000, "objects of the comparisons with many")
	flag.IntVar(&s.chainRounds, "chain-rounds", 1, "how often kustomize-controller takes its chain, which lasts minutes; 0 leaves the chain out")
	flag.IntVar(&s.schedules, "schedules", 1000, "schedules that are due in the same second")
	flag.IntVar(&s.idleSchedules, "idle-schedules", 10000, "schedules that are not due while the use of a core is measured")
	flag.IntVar(&s.reportObjects, "report-objects", 10000, "objects of the report that is rendered")
	flag.StringVar(&s.only, "only", "", "measure only apply, waves, chain, large, plan, loss, schedule, report, overhead, takeover, detect, git or memory")
	flag.StringVar(&s.fetch, "fetch", "", "fetch this repository and say what it took, for the benchmark of sources")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, s settings) error {
	if s.fetch != "" {
		return fetchHere(ctx, out, s.fetch)
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context, io.Writer, settings) error
	}{
		{"apply", benchApply}, {"waves", benchWaves}, {"chain", benchChain}, {"large", benchLarge}, {"plan", benchPlan},
		{"loss", benchLoss}, {"schedule", benchSchedule}, {"report", benchReport}, {"overhead", benchOverhead}, {"takeover", benchTakeover}, {"detect", benchDetect},
		{"git", benchGit}, {"memory", benchMemory},
	} {
		if s.only != "" && s.only != part.name {
			continue
		}
		if err := part.measure(ctx, out, s); err != nil {
			return err
		}
	}
	return nil
}

// figure prints one result.
func figure(out io.Writer, name string, value float64, unit string) {
	fmt.Fprintf(out, "%s %.2f %s\n", name, value, unit)
}
