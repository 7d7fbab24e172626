package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/refloat-dev/refloat/manifests"
)

// benchTakeover compares the wall time of a failover, from one cluster to another that is
// made meanwhile, with the time that its parts need by themselves: the end of the old
// control plane, and the start, the requests and the workloads of the new one.
func benchTakeover(ctx context.Context, out io.Writer, s settings) (err error) {
	box, err := startSandbox(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.stop(context.WithoutCancel(ctx))) }()
	objects := overheadObjects()
	var over, percent []float64
	for round := range s.rounds {
		bare, err := bareParts(ctx, objects)
		if err != nil {
			return fmt.Errorf("the parts by themselves: %w", err)
		}
		report, err := box.takeover(ctx, fmt.Sprintf("takeover-%d", round), objects)
		if err != nil {
			return err
		}
		wall, alone := report.FinishedAt.Sub(report.StartedAt), bare.total()
		fmt.Fprintf(os.Stderr, "round %d: failover %.1f s %v, its parts by themselves %.1f s %+v\n", round+1, wall.Seconds(), report.Phases, alone.Seconds(), bare)
		over = append(over, (wall - alone).Seconds())
		percent = append(percent, 100*float64(wall-alone)/float64(alone))
	}
	figure(out, "failover.overhead_seconds", median(over), "s")
	figure(out, "failover.overhead_percent", median(percent), "%")
	return nil
}

// takeover makes a cluster, lets another one take over, and deletes that.
func (s *sandbox) takeover(ctx context.Context, name string, objects []manifests.Object) (drillReport, error) {
	var r drillReport
	primary, err := s.plan(ctx, name, objects)
	if err != nil {
		return r, err
	}
	spare, err := s.plan(ctx, name+"-spare", objects)
	if err != nil {
		return r, err
	}
	for _, args := range [][]string{
		{"rebuild", "-f", primary, "--confirm", name},
		{"teardown", "-f", spare, "--confirm", name + "-spare"}, // there is nothing to delete: this creates the plan
	} {
		if _, err := s.run(ctx, args...); err != nil {
			return r, err
		}
	}
	out, err := s.run(ctx, "failover", name, "-n", "default", "--to", name+"-spare", "--confirm", name, "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		return r, err
	}
	_, err = s.run(ctx, "teardown", name+"-spare", "-n", "default", "--confirm", name+"-spare", "--timeout", (5 * time.Minute).String(),
		"--override-holds", "--reason", "the measurement is over") // it serves
	return r, err
}
