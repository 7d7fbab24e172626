package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/order/text"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

// benchLarge repeats the comparison with many objects, which shows what grows faster
// than their number.
func benchLarge(ctx context.Context, out io.Writer, s settings) error {
	rates := map[string]float64{}
	for _, c := range contenders(s)[:3] {
		c.objects = s.largeObjects
		rate, err := turn(ctx, c, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s applied %d objects at %.0f objects/s\n", c.name, c.objects, rate)
		rates[c.name] = rate
	}
	thousands := s.largeObjects / 1000
	for _, other := range []string{"roofline", "flux"} {
		figure(out, fmt.Sprintf("apply.%s_ratio_%dk", other, thousands), rates["refloat"]/rates[other], "x")
	}
	return nil
}

// benchPlan reads, renders, orders and prints a large repository, without a cluster.
func benchPlan(ctx context.Context, out io.Writer, s settings) (err error) {
	dir, err := os.MkdirTemp("", "bench-plan-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writeFiles(dir, planetest.Mixed(s.largeObjects, "plan")); err != nil {
		return err
	}
	var seconds []float64
	for range s.rounds {
		started := time.Now()
		snapshot, err := source.Directory(dir)
		if err != nil {
			return err
		}
		rendered, err := render.Render(ctx, snapshot, []string{"."}, render.Options{})
		if err != nil {
			return err
		}
		g, err := order.Build(rendered.Objects, order.Options{})
		if err != nil {
			return err
		}
		if err := text.Write(io.Discard, g.View(), text.Options{}); err != nil {
			return err
		}
		seconds = append(seconds, time.Since(started).Seconds())
	}
	figure(out, fmt.Sprintf("plan.%dk_seconds", s.largeObjects/1000), median(seconds), "s")
	return nil
}

// perFile objects share a file, as in a repository.
const perFile = 5

func writeFiles(dir string, objects []manifests.Object) error {
	for n := 0; n < len(objects); n += perFile {
		var content []byte
		for _, o := range objects[n:min(n+perFile, len(objects))] {
			document, err := yaml.Marshal(o.Object)
			if err != nil {
				return err
			}
			content = append(append(content, "---\n"...), document...)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("objects-%05d.yaml", n)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
