package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/reporttest"
	"github.com/refloat-dev/refloat/recovery/report"
)

// writeReports puts three reports of one plan, in a chain, into a directory: report-1.json to
// report-3.json, each of a run that took longer than the one before.
func writeReports(dir string) error {
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "plan-uid"}}
	for n := 1; n <= 3; n++ {
		r := reporttest.Report(12)
		later := time.Duration(n) * 24 * time.Hour
		r.Run = fmt.Sprintf("shop-rebuild-%d", n)
		slower := float64(60 * (n - 1))
		took, started := *r.RecoveryTimeSeconds+slower, r.StartedAt.Add(later)
		finished := started.Add(time.Duration(took * float64(time.Second)))
		r.RecoveryTimeSeconds, r.FinishedAt = &took, &finished
		r.StartedAt, r.OrderedAt = &started, &started
		r.Phases = []report.Phase{{Name: v1alpha1.PhaseProvision, StartedAt: started, FinishedAt: &finished, Seconds: took}}
		r.CriticalPath, r.Chain = nil, report.NextIn(plan)
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		digest, err := report.Digest(raw)
		if err != nil {
			return err
		}
		run := &v1alpha1.RecoveryRun{ObjectMeta: metav1.ObjectMeta{Name: r.Run, UID: types.UID(r.Run)}}
		report.RecordLink(plan, run, r.Chain, digest)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("report-%d.json", n)), raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}
