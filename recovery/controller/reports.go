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
	if noObjects != nil && noVerdict != nil && !previewed {
		return false, nil
	}
	return true, r.store(ctx, o.Run, "", func(earlier *report.Report) {
		if noObjects == nil {
			earlier.Waves = report.WavesOf(objects)
		}
		if noVerdict == nil {
			earlier.Verification, earlier.Certificate = compared.verification, compared.certificate
		}
		if m, err := outcome[*materials](r.work, materialsKey(o.Run.UID)); err == nil {
			earlier.Notes = m.notes()
		}
		if previewed {
			earlier.Loss = found.loss.Preview
		}
		if noVerdict == nil && compared.note != "" {
			earlier.Notes = append(earlier.Notes, compared.note)
		}
	})
}

// storeFinal stores the report as of the run's end, which is now.
func (r *Reconciler) storeFinal(ctx context.Context, o recovery.Observation) error {
	run := o.Run.DeepCopy()
	recovery.RecordFinish(run, o.Now)
	return r.store(ctx, run, run.Status.FinishedAt.Format(time.RFC3339Nano), func(*report.Report) {})
}

// store writes the report of the run into its ConfigMap, on top of what is there.
func (r *Reconciler) store(ctx context.Context, run *v1alpha1.RecoveryRun, finishedAt string, add func(*report.Report)) error {
	key := client.ObjectKey{Namespace: run.Namespace, Name: recovery.ReportName(run)}
	held := &corev1.ConfigMap{}
	err := r.Reader.Get(ctx, key, held)
	found := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read ConfigMap %s: %w", key, err)
	}
	earlier := &report.Report{}
	if found && metav1.IsControlledBy(held, run) {
		if old, err := report.FromConfigMap(held); err == nil {
			earlier = old
		}
	} else if found {
		return fmt.Errorf("ConfigMap %s is not the report of this run; remove it", key)
	}
	add(earlier)
	raw, err := report.Build(run, earlier).Compress()
	if err != nil {
		return err
	}
	held.Namespace, held.Name = key.Namespace, key.Name
	held.OwnerReferences = []metav1.OwnerReference{ownerOf(run)}
	held.BinaryData = map[string][]byte{report.ConfigMapKey: raw}
	held.Annotations = map[string]string{}
	if finishedAt != "" {
		held.Annotations[annotationFinishedAt] = finishedAt
	}
	if found {
		err = r.Client.Update(ctx, held)
	} else {
		err = r.Client.Create(ctx, held)
	}
	if err != nil {
		return fmt.Errorf("store the report in ConfigMap %s: %w", key, err)
	}
	return nil
}

// informPlan writes the result into the plan's status, for those who look at plans.
func (r *Reconciler) informPlan(ctx context.Context, o recovery.Observation) error {
	plan, s := o.Plan.DeepCopy(), o.Run.Status
	plan.Status.LastRun = &v1alpha1.LastRun{
		Name: o.Run.Name, UID: o.Run.UID, Operation: o.Run.Spec.Operation, Result: recovery.ResultOf(o.Run), FinishedAt: metav1.NewTime(s.FinishedAt.Time),
	}
	if took := recovery.RecoveryTime(o.Run); took > 0 {
		plan.Status.LastRun.RecoveryTime = took.Round(100 * time.Millisecond).String()
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
