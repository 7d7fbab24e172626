package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// benchMemory drills a large repository and reads the highest resident memory that the
// controller ever had. The controller of a sandbox is the local provider too, so the
// figure includes that.
func benchMemory(ctx context.Context, out io.Writer, s settings) (err error) {
	box, err := startSandbox(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.stop(context.WithoutCancel(ctx))) }()
	report, err := box.drill(ctx, "memory", planetest.Mixed(s.memoryObjects, "memory"))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "drill of %d objects: %.1f s %v\n", s.memoryObjects, report.FinishedAt.Sub(report.StartedAt).Seconds(), report.Phases)
	peak, err := box.controllerPeak(ctx)
	if err != nil {
		return err
	}
	figure(out, fmt.Sprintf("memory.controller_%dk_mib", s.memoryObjects/1000), peak, "MiB")
	return nil
}

// controllerPeak is the peak resident memory of the sandbox's controller in MiB.
func (s *sandbox) controllerPeak(ctx context.Context) (float64, error) {
	data, err := s.run(ctx, "sandbox", "status", "--dir", s.dir(), "-o", "json")
	if err != nil {
		return 0, err
	}
	var status struct {
		Components []struct {
			Name string
			PID  int
		}
	}
	if err := json.Unmarshal(data, &status); err != nil {
		return 0, err
	}
	for _, c := range status.Components {
		if c.Name == "controller" {
			return peakOf(c.PID)
		}
	}
	return 0, errors.New("no controller is running")
}

func peakOf(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			var kib float64
			_, err := fmt.Sscan(value, &kib)
			return kib / 1024, err
		}
	}
	return 0, errors.New("the kernel does not tell the peak memory of the controller")
}
