package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// benchMemory measures the peak resident memory of a process of its own that holds
// the rendered objects, orders, applies and verifies them, as the controller does.
func benchMemory(ctx context.Context, out io.Writer, s settings) (err error) {
	plane, err := planetest.Start(ctx, planetest.Options{Nodes: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop(context.WithoutCancel(ctx))) }()
	dir, err := os.MkdirTemp("", "bench-memory-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(kubeconfigOf(plane.Config), kubeconfig); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-memory-child", kubeconfig, fmt.Sprintf("-memory-objects=%d", s.memoryObjects))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd.Run()
}

func memoryChild(ctx context.Context, out io.Writer, kubeconfig string, count int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	objects := planetest.Mixed(count, "memory")
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		return err
	}
	if _, err := apply.Run(ctx, g, apply.Options{Config: config, Simulated: true}); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "peak memory after applying: %.0f MiB\n", peakMiB())
	r, err := verify.Verify(ctx, objects, verify.Options{Config: config, Simulated: true})
	if err != nil {
		return err
	}
	if !r.Clean() {
		return fmt.Errorf("verification of %d objects found differences: %d missing, %d changed, %d unhealthy",
			r.Rendered, len(r.Missing), len(r.Changed), len(r.Unhealthy))
	}
	figure(out, fmt.Sprintf("memory.controller_%dk_mib", count/1000), peakMiB(), "MiB")
	return nil
}

// peakMiB is the highest resident memory of this process, or what its runtime took
// from the system where the kernel does not tell.
func peakMiB() float64 {
	if f, err := os.Open("/proc/self/status"); err == nil {
		defer func() { _ = f.Close() }()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var kib float64
			if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
				if _, err := fmt.Sscan(rest, &kib); err == nil {
					return kib / 1024
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.Sys) / (1 << 20)
}
