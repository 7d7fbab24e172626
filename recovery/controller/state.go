package controller

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// renderRequest for a plan's copy.
func renderRequest(plan v1alpha1.RecoveryPlanSpec, namespace, cluster, commit string, access Access) RenderRequest {
	request := RenderRequest{
		Source: plan.Source, Access: access, Commit: commit,
		ClusterPath: plan.Cluster.Path, ClusterName: cluster, Namespace: namespace,
	}
	request.PathNamespaces = map[string]string{}
	for _, s := range plan.State {
		request.StatePaths = append(request.StatePaths, s.Path)
		request.PathNamespaces[s.Path] = s.Namespace
	}
	for _, k := range plan.KnownKinds {
		if request.KnownKinds == nil {
			request.KnownKinds = KnownKinds{}
		}
		request.KnownKinds[schema.GroupKind{Group: k.Group, Kind: k.Kind}] = !k.ClusterScoped
	}
	if a := plan.ArgoCD; a != nil {
		request.ArgoCD.Namespace = a.Namespace
		for _, c := range a.Clusters {
			request.ArgoCD.Clusters = append(request.ArgoCD.Clusters, argocd.ClusterName(c))
		}
	}
	for _, s := range plan.Seeds {
		request.SeedNamespaces = append(request.SeedNamespaces, s.Namespace)
	}
	for _, p := range plan.Waves.Optional {
		request.Optional = append(request.Optional, manifests.Pattern{Group: p.Group, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name})
	}
	return request
}

// beginApply starts the waves. After a restart it starts them again; what was applied
// before is found and not written twice. A run that goes on with the cluster of a failed
// one writes what that one wrote otherwise.
func (r *Reconciler) beginApply(run *v1alpha1.RecoveryRun) error {
	m, err := outcome[*materials](r.work, materialsKey(run.UID))
	if err != nil {
		return err
	}
	plan := run.Status.Pinned.Plan
	limits := ApplyLimits{Timeout: recovery.WaveTimeout(plan), Concurrency: int(plan.Waves.Concurrency), Inherited: run.Status.Retried != nil}
	if point := plan.Objective.RecoveryPoint; point != nil {
		limits.RecoveryPoint = point.Duration
	}
	if most := plan.Waves.MaxFailures; most != nil {
		limits.MaxFailures = int(*most)
	}
	r.work.begin(phaseKey(run.UID, v1alpha1.PhaseWaves), client.ObjectKeyFromObject(run), func(ctx context.Context, tell func(advance)) (any, error) {
		target, err := r.target(ctx, run)
		if err != nil {
			return nil, err
		}
		return r.Engine.Apply(ctx, m.rendered, target, limits, func(p ApplyProgress) {
			tell(advance{progress: p.Progress, waiting: p.Waiting, since: p.Since, until: p.Until})
		})
	})
	return nil
}

func (r *Reconciler) recordWaves(ctx context.Context, o recovery.Observation) error {
	objects, err := outcome[[]report.Object](r.work, phaseKey(o.Run.UID, v1alpha1.PhaseWaves))
	if err != nil {
		return err
	}
	if _, err := r.storeInterim(ctx, o); err != nil {
		return err
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: recovery.ReportName(run)}
		recovery.RecordAdvance(run, fmt.Sprintf("%d objects applied and settled", len(objects)), now)
	})
}

// beginVerify compares, and compares again while what does not match may come to.
func (r *Reconciler) beginVerify(run *v1alpha1.RecoveryRun) error {
	m, err := outcome[*materials](r.work, materialsKey(run.UID))
	if err != nil {
		return err
	}
	key := phaseKey(run.UID, v1alpha1.PhaseVerify)
	before, err := outcome[*comparison](r.work, key)
	if err != nil {
		before = nil // this is the first
	}
	r.work.begin(key, client.ObjectKeyFromObject(run), func(ctx context.Context, tell func(advance)) (any, error) {
		target, err := r.verifiable(ctx, run)
		if err != nil {
			return nil, err
		}
		settings, note, err := r.verifySettings(ctx, run)
		if err != nil {
			return nil, err
		}
		v, err := r.Engine.Verify(ctx, m.rendered, target, settings, func(p ApplyProgress) {
			tell(advance{progress: p.Progress, waiting: p.Waiting, since: p.Since, until: p.Until})
		})
		if err != nil {
			return nil, err
		}
		return compared(before, v, note, int(run.Status.Pinned.Objects), r.Clock.Now())
	})
	return nil
}

// recordVerification stores the comparison and then its verdict.
func (r *Reconciler) recordVerification(ctx context.Context, o recovery.Observation) error {
	c, err := outcome[*comparison](r.work, phaseKey(o.Run.UID, v1alpha1.PhaseVerify))
	if err != nil {
		return err
	}
	v := c.verification
	if _, err := r.storeInterim(ctx, o); err != nil {
		return err
	}
	var failure *v1alpha1.Failure
	err = r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: recovery.ReportName(run)}
		run.Status.Verification = &v1alpha1.VerificationSummary{
			Rendered: int32(v.Rendered), Matched: int32(v.Matched), Missing: int32(v.Missing), Changed: int32(v.Changed),
			Extra: int32(v.Extra), Healthy: int32(v.Healthy), NotProvable: int32(v.NotProvable),
			Skipped: int32(v.Skipped), Exempt: int32(v.Exempt), Weak: int32(v.Weak),
			CertificateKeyID: keyOf(c.certificate),
		}
		if v.StableSeconds > 0 {
			run.Status.Verification.StableFor = &metav1.Duration{Duration: recovery.StableFor(run.Status.Pinned.Plan)}
		}
		if complete := v.Rendered == int(run.Status.Pinned.Objects); complete && v.Matches() {
			recovery.RecordVerified(run, now)
			return
		}
		failure = &v1alpha1.Failure{Phase: v1alpha1.PhaseVerify, Reason: "NotMatching", Message: mismatch(v, int(run.Status.Pinned.Objects))}
		recovery.RecordFailure(run, *failure, now)
	})
	if err == nil && failure != nil {
		r.event(o.Run, "Failed", "%s: %s", failure.Phase, failure.Message)
	}
	return err
}
