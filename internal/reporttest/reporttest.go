// Package reporttest makes reports for tests and benchmarks: of as many objects as wanted,
// with times that are the same each time.
package reporttest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/report"
)

// T0 is when the run of every report begins.
var T0 = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// perWave objects.
const perWave = 400

// Report of a rebuild that succeeded with so many objects, some of which needed more than one
// attempt.
func Report(objects int) *report.Report {
	random := rand.New(rand.NewPCG(1, 2))
	at := func(seconds float64) time.Time { return T0.Add(time.Duration(seconds * float64(time.Second))) }
	to := func(t time.Time) *time.Time { return &t }
	waves := max(1, (objects+perWave-1)/perWave)
	end := 160 + float64(waves)*12
	r := &report.Report{
		Result: v1alpha1.ResultSucceeded, Operation: v1alpha1.OperationRebuild, Plan: "shop", Namespace: "fleet", Run: "shop-rebuild-7", Cluster: "shop-eu",
		Reason: "the nodes' image was replaced", RequestedBy: "ada@example.com", OrderedAt: to(at(-4)), StartedAt: to(T0), FinishedAt: to(at(end + 21)),
		Approval: &report.Approval{RequestedAt: at(3), By: "grace@example.com", At: to(at(40)), Reason: "seen in the weekly review"},
		Commit:   strings.Repeat("4f2a", 10), CommitTime: to(at(-7200)), RenderDigest: strings.Repeat("9c", 32),
		Origin: &report.Origin{From: "https://git.example.com/fleet.git", Ref: "refs/heads/main", FetchedAt: to(at(1)), SignedBy: []string{"commit signed by ada@example.com (SSH)"}},
		Waves:  wavesOf(random, objects, at),
		Phases: []report.Phase{
			phase(v1alpha1.PhasePreflight, 0, 3, "objects, waves and seeds are there", at), phase(v1alpha1.PhaseApproval, 3, 40, "approved by grace@example.com", at),
			phase(v1alpha1.PhaseTeardown, 40, 75, "Cluster shop-eu and what belonged to it are gone", at), phase(v1alpha1.PhaseProvision, 75, 140, "Cluster shop-eu has a control plane", at),
			phase(v1alpha1.PhaseBootstrap, 140, 158, "the API server answers, 3 nodes are Ready", at), phase(v1alpha1.PhaseSeed, 158, 160, "2 Secrets", at),
			phase(v1alpha1.PhaseWaves, 160, end, "applied and settled", at), phase(v1alpha1.PhaseVerify, end, end+20, "all objects match, stable for 15s", at),
		},
		Verification: &report.Verification{Rendered: objects, Matched: objects, Healthy: objects, StableSeconds: 15},
		Chain:        &report.Chain{PlanUID: "plan-uid", Sequence: 1},
	}
	took, age, cleaned := end+20, 7200.0, true
	r.RecoveryTimeSeconds, r.CommitAgeSeconds, r.CleanedUp = &took, &age, &cleaned
	r.Objective = &report.Objective{RecoveryTimeSeconds: 1800, Met: took <= 1800}
	r.CriticalPath, r.Deviations = report.PathOf(r), report.DeviationsOf(r)
	return r
}

func phase(name v1alpha1.Phase, from, to float64, message string, at func(float64) time.Time) report.Phase {
	end := at(to)
	return report.Phase{Name: name, StartedAt: at(from), FinishedAt: &end, Seconds: to - from, Message: message}
}

// wavesOf objects, each wave of which begins when the one before it is healthy.
func wavesOf(random *rand.Rand, objects int, at func(float64) time.Time) []report.Wave {
	kinds := []string{"apps/Deployment", "Service", "ConfigMap", "networking.k8s.io/NetworkPolicy", "ServiceAccount"}
	var all []report.Object
	for i := range objects {
		wave := i / perWave
		start := 160 + 12*float64(wave) + 2*random.Float64()
		applied := start + 0.05 + random.Float64()/4
		ready := applied
		if i%len(kinds) == 0 {
			ready += 1 + 8*random.Float64()
		}
		started, appliedAt, readyAt := at(start), at(applied), at(ready)
		o := report.Object{
			ID: fmt.Sprintf("%s shop-%03d/component-%05d", kinds[i%len(kinds)], i%97, i), Origin: fmt.Sprintf("clusters/shop-eu/state/component-%05d.yaml:%d", i, 1+i%40),
			Status: report.StatusHealthy, StartedAt: &started, AppliedAt: &appliedAt, ReadyAt: &readyAt, Seconds: ready - start, Attempts: 1, Wave: wave + 1,
		}
		if i%500 == 7 {
			o.Attempts, o.Message = 3, "the webhook of the policy controller did not answer yet"
		}
		all = append(all, o)
	}
	return report.WavesOf(all)
}
