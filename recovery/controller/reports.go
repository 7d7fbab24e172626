package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// annotationFinishedAt marks a final report and is the time that its run finished.
const annotationFinishedAt = "refloat.dev/finished-at"

// storeInterim keeps what long work found before the status moves on: it would be
// lost with the process. It reports whether there was anything to keep.
func (r *Reconciler) storeInterim(ctx context.Context, o recovery.Observation) (bool, error) {
	current := recovery.Current(o.Run)
	if current == nil {
		return false, nil
	}
	key := phaseKey(o.Run.UID, current.Name)
	objects, noObjects := outcome[[]report.Object](r.work, key)
	compared, noVerdict := outcome[*comparison](r.work, key)
	found, noFindings := outcome[*findings](r.work, key)
	previewed := noFindings == nil && found != nil && found.loss != (recovery.LossFound{})
	if noObjects != nil && noVerdict != nil && !previewed && len(found.drilled()) == 0 {
		return false, nil
	}
	return true, r.store(ctx, o.Run, func(earlier *report.Report) {
		if noObjects == nil {
			earlier.Waves = report.WavesOf(objects)
		}
		if noVerdict == nil {
			earlier.Verification, earlier.Certificate = compared.verification, compared.certificate
		}
		if m, err := outcome[*materials](r.work, materialsKey(o.Run.UID)); err == nil {
			earlier.Notes, earlier.Drilled = m.notes(), m.rendered.Drilled
		}
		if previewed {
			earlier.Loss = found.loss.Preview
		}
		if noVerdict == nil && compared.note != "" {
			earlier.Notes = append(earlier.Notes, compared.note)
		}
	})
}

// drilled is what a preflight found that the profile of a drill changes.
func (f *findings) drilled() []quarantine.Change {
	if f == nil || f.materials == nil {
		return nil
	}
	return f.materials.rendered.Drilled
}

// storeFinal stores the report as of the run's end, which is now, with its place in the chain
// of the plan's reports. One that is stored already gets another place at most: its
// successor in the chain may have been made meanwhile.
func (r *Reconciler) storeFinal(ctx context.Context, o recovery.Observation) error {
	held, err := r.heldReport(ctx, o.Run)
	if err != nil {
		return err
	}
	// Read after the report: whoever changed the plan before has seen that report, too.
	plan, err := r.chainOf(ctx, o.Run)
	if err != nil {
		return err
	}
	var place *report.Chain
	if plan != nil {
		if report.LinkOf(plan, o.Run.UID) != nil {
			if held != nil && finalSince(held) != "" {
				return nil // what was linked is not written any more
			}
			return fmt.Errorf("the report of run %s is in the chain of plan %s, and its ConfigMap %s is gone", o.Run.Name, plan.Name, recovery.ReportName(o.Run))
		}
		place = report.NextIn(plan)
	}
	if held != nil && finalSince(held) != "" {
		final, err := report.FromConfigMap(held)
		if err != nil {
			return err
		}
		if plan == nil && final.Chain == nil || plan != nil && final.Chain.Follows(plan) {
			return nil
		}
		final.Chain = place
		return r.write(ctx, o.Run, held, final, finalSince(held))
	}
	run := o.Run.DeepCopy()
	recovery.RecordFinish(run, o.Now)
	earlier := earlierIn(held)
	earlier.History, earlier.Chain = r.history(ctx, run), place
	return r.write(ctx, run, held, report.Build(run, earlier), run.Status.FinishedAt.Format(time.RFC3339Nano))
}

// store writes the report of the run as it stands, on top of what is there.
func (r *Reconciler) store(ctx context.Context, run *v1alpha1.RecoveryRun, add func(*report.Report)) error {
	held, err := r.heldReport(ctx, run)
	if err != nil {
		return err
	}
	if held != nil && finalSince(held) != "" {
		return fmt.Errorf("the report of run %s is final; another process ended the run", run.Name)
	}
	earlier := earlierIn(held)
	add(earlier)
	return r.write(ctx, run, held, report.Build(run, earlier), "")
}

// heldReport is the ConfigMap with the run's report, nil when there is none.
func (r *Reconciler) heldReport(ctx context.Context, run *v1alpha1.RecoveryRun) (*corev1.ConfigMap, error) {
	key := client.ObjectKey{Namespace: run.Namespace, Name: recovery.ReportName(run)}
	held := &corev1.ConfigMap{}
	err := r.Reader.Get(ctx, key, held)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read ConfigMap %s: %w", key, err)
	case !metav1.IsControlledBy(held, run):
		return nil, fmt.Errorf("ConfigMap %s is not the report of this run; remove it", key)
	}
	return held, nil
}

// finalSince is when the run finished, of a final report; empty of an interim one.
func finalSince(held *corev1.ConfigMap) string { return held.Annotations[annotationFinishedAt] }

// earlierIn a ConfigMap, as far as it can be read.
func earlierIn(held *corev1.ConfigMap) *report.Report {
	if held != nil {
		if old, err := report.FromConfigMap(held); err == nil {
			return old
		}
	}
	return &report.Report{}
}

// write a report in place of what is held. The API server refuses it when that changed.
func (r *Reconciler) write(ctx context.Context, run *v1alpha1.RecoveryRun, held *corev1.ConfigMap, content *report.Report, finishedAt string) error {
	raw, err := content.Compress()
	if err != nil {
		return err
	}
	write := r.Client.Create
	cm := &corev1.ConfigMap{}
	if held != nil {
		cm, write = held.DeepCopy(), func(ctx context.Context, o client.Object, _ ...client.CreateOption) error {
			return r.Client.Update(ctx, o)
		}
	}
	cm.Namespace, cm.Name = run.Namespace, recovery.ReportName(run)
	cm.OwnerReferences = []metav1.OwnerReference{ownerOf(run)}
	cm.BinaryData = map[string][]byte{report.ConfigMapKey: raw}
	cm.Annotations = map[string]string{}
	if finishedAt != "" {
		cm.Annotations[annotationFinishedAt] = finishedAt
	}
	if err := write(ctx, cm); err != nil {
		return fmt.Errorf("store the report in ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	return nil
}

// informPlan writes the result into the plan's status, for those who look at plans.
func (r *Reconciler) informPlan(ctx context.Context, o recovery.Observation) error {
	plan, s := o.Plan.DeepCopy(), o.Run.Status
	plan.Status.LastRun = &v1alpha1.LastRun{
		Name: o.Run.Name, UID: o.Run.UID, Operation: o.Run.Spec.Operation, Result: recovery.ResultOf(o.Run), Outcome: s.Outcome, FinishedAt: metav1.NewTime(s.FinishedAt.Time),
	}
	if took := recovery.RecoveryTime(o.Run); took > 0 {
		plan.Status.LastRun.RecoveryTime = took.Round(100 * time.Millisecond).String()
	}
	if s.Pinned.Infrastructure != "" && !recovery.FailsOver(o.Run) {
		plan.Status.Infrastructure = s.Pinned.Infrastructure
	}
	if proof := recovery.LastDrill(plan); proof != nil {
		plan.Status.LastDrill = proof.DeepCopy()
	}
	recovery.RecordPlanReady(plan, o.Run, o.Now)
	err := r.Client.Status().Update(ctx, plan)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("record the result in plan %s: %w", plan.Name, err)
	}
	return nil
}
