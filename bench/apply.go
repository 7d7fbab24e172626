package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
)

// contender applies objects to a fresh cluster and tells how long it took until the
// last of them was accepted.
type contender struct {
	name    string
	objects int
	rounds  int
	apply   func(ctx context.Context, p *planetest.Plane, objects []manifests.Object) (time.Duration, error)
}

// afterwards looks at what was applied, on the same control plane.
type afterwards func(ctx context.Context, p *planetest.Plane, objects []manifests.Object, took time.Duration) error

func contenders(s settings) []contender {
	out := []contender{
		{"roofline", s.objects, s.rounds, applyBare},
		{"refloat", s.objects, s.rounds, applyRefloat},
		{"flux", s.objects, s.rounds, applyFlux},
	}
	if _, err := exec.LookPath("kubectl"); err == nil {
		out = append(out, contender{"kubectl", s.kubectlObjects, 1, applyKubectl})
	}
	return out
}

func benchApply(ctx context.Context, out io.Writer, s settings) error {
	rates := map[string][]float64{}
	all := contenders(s)
	var verified verifications
	after := map[string]afterwards{"refloat": verified.measure}
	for round := range s.rounds {
		for _, c := range all {
			if round >= c.rounds {
				continue
			}
			rate, err := turn(ctx, c, after[c.name])
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d: %s applied %d objects at %.0f objects/s\n", round+1, c.name, c.objects, rate)
			rates[c.name] = append(rates[c.name], rate)
		}
	}
	for _, c := range all {
		figure(out, "apply."+c.name+"_rate", median(rates[c.name]), "objects/s")
		if c.name != "refloat" {
			figure(out, "apply."+c.name+"_ratio", median(ratios(rates["refloat"], rates[c.name])), "x")
		}
	}
	verified.print(out)
	return nil
}

// turn of one contender on a fresh control plane, and what is done with the outcome.
func turn(ctx context.Context, c contender, after afterwards) (rate float64, err error) {
	plane, err := planetest.Start(ctx, planetest.Options{Nodes: 1})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, plane.Stop(context.WithoutCancel(ctx))) }()
	objects := planetest.Mixed(c.objects, "bench")
	took, err := c.apply(ctx, plane, objects)
	if err != nil {
		return 0, err
	}
	if after != nil {
		if err := after(ctx, plane, objects, took); err != nil {
			return 0, err
		}
	}
	return float64(len(objects)) / took.Seconds(), nil
}

// ratios compares turns of the same round, which had the machine in a similar state.
func ratios(ours, theirs []float64) []float64 {
	out := make([]float64, len(theirs))
	for round, rate := range theirs {
		out[round] = ours[round] / rate
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}
