package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// previewKey of the repeated look at what would be lost. The phase itself has no other work
// under its name, so that what a failed look found gets into the report.
func previewKey(run types.UID) workKey { return phaseKey(run, v1alpha1.PhaseTeardown) }

// previewAgain does what the end of the preflight did, against the render that is pinned,
// and keeps what came of it.
func (r *Reconciler) previewAgain(ctx context.Context, o recovery.Observation, step recovery.Action) error {
	key := previewKey(o.Run.UID)
	if step == recovery.PreviewLoss {
		m, err := outcome[*materials](r.work, materialsKey(o.Run.UID))
		if err != nil {
			return err
		}
		r.work.begin(key, client.ObjectKeyFromObject(o.Run), func(ctx context.Context, _ func(advance)) (any, error) {
			f := &findings{materials: m, previous: o.Run.Status.Previous, lookedAt: r.Clock.Now()}
			if recovery.FailsOver(o.Run) {
				return f, r.lossOfOld(ctx, o.Run, f)
			}
			return f, r.lossBefore(ctx, o.Run, f)
		})
		return nil
	}
	f, err := outcome[*findings](r.work, key)
	if err != nil {
		return err
	}
	stored, err := r.storeInterim(ctx, o)
	if err != nil {
		return err
	}
	err = r.update(ctx, o, func(run *v1alpha1.RecoveryRun, _ time.Time) {
		if stored {
			run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: recovery.ReportName(run)}
		}
		recovery.RecordLossAgain(run, f.loss, f.lookedAt)
	})
	if err != nil {
		return err
	}
	r.work.used(key)
	for _, note := range f.notes {
		r.event(o.Run, "Warning", "%s", note)
	}
	return nil
}
