package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/order"
)

const (
	// lossObjects are live, and so many of each hundred are not in the repository.
	lossObjects = 5000
	strangers   = 2
)

// benchLoss previews what would be lost with a cluster of many objects.
func benchLoss(ctx context.Context, out io.Writer, s settings) (err error) {
	p, err := planetest.Start(ctx, planetest.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	all := planetest.Mixed(lossObjects, "loss")
	g, err := order.Build(all, order.Options{Simulated: true})
	if err != nil {
		return err
	}
	if _, err := apply.Run(ctx, g, apply.Options{Config: p.Config, Simulated: true}); err != nil {
		return err
	}
	// What the repository has is applied as somebody else would have, where it is unknown.
	known, unknown := split(all)
	for i := range unknown {
		unknown[i].Rules = &manifests.Rules{Manager: "somebody"}
	}
	if g, err = order.Build(unknown, order.Options{Simulated: true, ExistingNamespace: func(string) bool { return true }}); err != nil {
		return err
	}
	if _, err := apply.Run(ctx, g, apply.Options{Config: p.Config, Simulated: true}); err != nil {
		return err
	}
	var seconds []float64
	for range max(s.rounds, 1) {
		started := time.Now()
		preview, err := loss.Inspect(ctx, known, loss.Options{Config: p.Config, Rules: loss.Rules{Now: time.Now(), Simulated: true}})
		if err != nil {
			return err
		}
		seconds = append(seconds, time.Since(started).Seconds())
		if preview.Live < lossObjects || preview.Total != len(unknown) {
			return fmt.Errorf("of %d live objects %d would be lost, want %d", preview.Live, preview.Total, len(unknown))
		}
		fmt.Fprintf(os.Stderr, "looked at %d live objects in %s\n", preview.Live, time.Since(started))
	}
	figure(out, "loss.5k_seconds", median(seconds), "s")
	return nil
}

// split off some ConfigMaps, as if the repository did not have them.
func split(all []manifests.Object) (known, unknown []manifests.Object) {
	for _, o := range all {
		if o.GetKind() == "ConfigMap" && len(unknown) < lossObjects*strangers/100 {
			unknown = append(unknown, o)
			continue
		}
		known = append(known, o)
	}
	return known, unknown
}
