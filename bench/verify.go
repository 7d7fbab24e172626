package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// verifications of what was just applied, as parts of the time that applying took.
type verifications struct {
	fast, thorough []float64
}

// measure both modes. A verification that finds a difference measures something else.
func (v *verifications) measure(ctx context.Context, p *planetest.Plane, objects []manifests.Object, took time.Duration) error {
	for _, mode := range []struct {
		name     string
		thorough bool
		percent  *[]float64
	}{{"fast", false, &v.fast}, {"thorough", true, &v.thorough}} {
		started := time.Now()
		r, err := verify.Verify(ctx, objects, verify.Options{Config: p.Config, Simulated: true, Thorough: mode.thorough})
		if err != nil {
			return err
		}
		if !r.Clean() {
			return fmt.Errorf("what was just applied does not verify: %d of %d match", r.Matched, r.Rendered)
		}
		*mode.percent = append(*mode.percent, 100*time.Since(started).Seconds()/took.Seconds())
		fmt.Fprintf(os.Stderr, "verified %d objects (%s) in %s\n", r.Rendered, mode.name, time.Since(started))
	}
	return nil
}

func (v *verifications) print(out io.Writer) {
	if len(v.fast) > 0 {
		figure(out, "verify.apply_percent", median(v.fast), "%")
		figure(out, "verify.thorough_apply_percent", median(v.thorough), "%")
	}
}
