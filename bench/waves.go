package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/order"
)

const (
	handoverWaves   = 20
	handoverObjects = 50 // in each wave
)

// benchWaves measures how long it takes from the moment the last gate of a wave is seen
// open until the first object of the next one is sent.
func benchWaves(ctx context.Context, out io.Writer, s settings) (err error) {
	plane, err := planetest.Start(ctx, planetest.Options{Nodes: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop(context.WithoutCancel(ctx))) }()
	var all []time.Duration
	for round := range s.rounds {
		g, err := order.Build(waves(fmt.Sprintf("waves-%d", round)), order.Options{Simulated: true})
		if err != nil {
			return err
		}
		started := time.Now()
		r, err := apply.Run(ctx, g, apply.Options{Config: plane.Config, Simulated: true})
		if err != nil {
			return err
		}
		found := handovers(g, r)
		fmt.Fprintf(os.Stderr, "round %d: %d waves in %s, the slowest hand-over %s\n", round+1, len(g.Waves), time.Since(started), slices.Max(found))
		all = append(all, found...)
	}
	slices.Sort(all)
	p99 := all[min(len(all)*99/100, len(all)-1)]
	figure(out, "wave.handover_p99_ms", float64(p99.Microseconds())/1000, "ms")
	return nil
}

func waves(namespace string) []manifests.Object {
	objects := []manifests.Object{planetest.Namespace(namespace)}
	for w := range handoverWaves {
		for n := range handoverObjects {
			o := planetest.ConfigMap(namespace, fmt.Sprintf("w%d-%d", w, n), "x")
			o.Rules = &manifests.Rules{Wave: w}
			objects = append(objects, o)
		}
	}
	return objects
}

// handovers are the times from the last object of each wave that became ready to the
// first of the next that was sent.
func handovers(g *order.Graph, r *apply.Result) []time.Duration {
	var out []time.Duration
	var ready time.Time // of all earlier waves
	for _, members := range g.Waves {
		first := r.Objects[members[0]].StartedAt
		for _, i := range members {
			if o := r.Objects[i]; o.StartedAt.Before(first) {
				first = o.StartedAt
			}
		}
		if !ready.IsZero() {
			out = append(out, first.Sub(ready))
		}
		for _, i := range members {
			if o := r.Objects[i]; o.ReadyAt.After(ready) {
				ready = o.ReadyAt
			}
		}
	}
	return out
}
