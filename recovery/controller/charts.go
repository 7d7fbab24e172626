package controller

import (
	"context"
	"fmt"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/expand"
)

// mostCharts that a run can pin in its status.
const mostCharts = 256

// seedData is what the seeds of the plan hold, for definitions that take values or keys
// from them.
func (r *Reconciler) seedData(ctx context.Context, run *v1alpha1.RecoveryRun) ([]expand.Seed, error) {
	seeds, err := r.seeds(ctx, run)
	if err != nil {
		return nil, err
	}
	var out []expand.Seed
	for _, s := range seeds {
		out = append(out, expand.Seed{
			Kind: "Secret", Namespace: s.Namespace, Name: s.Secret.Name, Data: s.Secret.Data,
			// As they will be on the cluster, so that tools there see what was rendered with.
			Labels: seedLabels(s.Secret), Annotations: seedAnnotations(s.Secret),
		})
	}
	return out, nil
}

// chartMirrors of the plan, with the credentials for each.
func (r *Reconciler) chartMirrors(ctx context.Context, run *v1alpha1.RecoveryRun) ([]expand.ChartMirror, error) {
	var out []expand.ChartMirror
	for i, m := range run.Status.Pinned.Plan.ChartMirrors {
		mirror := expand.ChartMirror{From: m.From, To: m.To}
		if m.SecretRef != nil {
			s, err := r.secret(ctx, run, m.SecretRef.Name, fmt.Sprintf("spec.chartMirrors[%d].secretRef", i))
			if err != nil {
				return nil, err
			}
			mirror.Credentials = s.Data
		}
		out = append(out, mirror)
	}
	return out, nil
}

// each converts a list, for what is the same in a record and in an expansion.
func each[A, B any](list []A, convert func(A) B) []B {
	var out []B
	for _, item := range list {
		out = append(out, convert(item))
	}
	return out
}

func pinnedChart(c expand.ChartPin) v1alpha1.PinnedChart    { return v1alpha1.PinnedChart(c) }
func chartPin(c v1alpha1.PinnedChart) expand.ChartPin       { return expand.ChartPin(c) }
func pinnedSource(s expand.SourcePin) v1alpha1.PinnedSource { return v1alpha1.PinnedSource(s) }
func sourcePin(s v1alpha1.PinnedSource) expand.SourcePin    { return expand.SourcePin(s) }
