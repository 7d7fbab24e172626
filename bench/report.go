package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/internal/reporttest"
	"github.com/refloat-dev/refloat/recovery/report/html"
)

// benchReport measures a report of many objects as one HTML file.
func benchReport(_ context.Context, out io.Writer, s settings) error {
	r := reporttest.Report(s.reportObjects)
	var took []float64
	size := 0
	for range max(s.rounds, 1) {
		var b bytes.Buffer
		begin := time.Now()
		if err := html.Write(&b, r, ""); err != nil {
			return err
		}
		took = append(took, time.Since(begin).Seconds())
		size = b.Len()
	}
	if size == 0 {
		return fmt.Errorf("the report is empty")
	}
	slices.Sort(took)
	figure(out, "report.10k_seconds", took[len(took)/2], "s")
	figure(out, "report.10k_mib", float64(size)/(1<<20), "MiB")
	return nil
}
