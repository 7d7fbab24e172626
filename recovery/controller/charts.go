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

// pinnedCharts for the record.
func pinnedCharts(charts []expand.ChartPin) []v1alpha1.PinnedChart {
	var out []v1alpha1.PinnedChart
	for _, c := range charts {
		out = append(out, v1alpha1.PinnedChart(c))
	}
	return out
}

// chartPins of a record.
func chartPins(charts []v1alpha1.PinnedChart) []expand.ChartPin {
	var out []expand.ChartPin
	for _, c := range charts {
		out = append(out, expand.ChartPin(c))
	}
	return out
}

// pinnedSources for the record.
func pinnedSources(sources []expand.SourcePin) []v1alpha1.PinnedSource {
	var out []v1alpha1.PinnedSource
	for _, s := range sources {
		out = append(out, v1alpha1.PinnedSource(s))
	}
	return out
}

// sourcePins of a record.
func sourcePins(sources []v1alpha1.PinnedSource) []expand.SourcePin {
	var out []expand.SourcePin
	for _, s := range sources {
		out = append(out, expand.SourcePin(s))
	}
	return out
}
