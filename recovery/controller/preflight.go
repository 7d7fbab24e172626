package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// materials are the rendered inputs of a run, in memory.
type materials struct {
	rendered *Rendered
	cluster  *capi.Manifests
}

// findings of a preflight.
type findings struct {
	materials *materials
	previous  *v1alpha1.Incarnation
	// target and retried, when the run goes on with the cluster of a failed one; standby,
	// when the target needs nothing but to be verified again.
	target  *v1alpha1.Incarnation
	retried *v1alpha1.RetriedRun
	standby bool
	// loss of the previous incarnation, when it was looked for, and what people should know
	// about it.
	loss     recovery.LossFound
	lookedAt time.Time
	notes    []string
}

func (r *Reconciler) beginPreflight(run *v1alpha1.RecoveryRun) {
	r.work.begin(phaseKey(run.UID, v1alpha1.PhasePreflight), client.ObjectKeyFromObject(run), func(ctx context.Context, _ func(advance)) (any, error) {
		return r.preflight(ctx, run)
	})
}

// preflight proves that the order can be carried out, and destroys nothing. It has to
// end well even before a mere teardown: no cluster goes that cannot be made again.
func (r *Reconciler) preflight(ctx context.Context, run *v1alpha1.RecoveryRun) (*findings, error) {
	// What makes the run impossible whatever the repository says comes first.
	if run.Spec.RetryOf != "" {
		return r.preflightRetry(ctx, run)
	}
	if recovery.FailsOver(run) {
		return r.preflightFailover(ctx, run)
	}
	f, err := r.possible(ctx, run)
	if err != nil {
		return nil, err
	}
	if f.materials, err = r.render(ctx, run, ""); err != nil {
		return nil, err
	}
	if run.Spec.Operation == v1alpha1.OperationDrill {
		if err := r.unnamed(ctx, run); err != nil {
			return nil, err
		}
		if err := r.isolated(ctx, run, f.materials); err != nil {
			return nil, err
		}
	}
	if err := r.Clusters.Preflight(ctx, f.materials.cluster); err != nil {
		return nil, err
	}
	if err := r.Clusters.Obstacles(ctx, f.materials.cluster); err != nil {
		return nil, err
	}
	if err := r.identityKeepable(ctx, run, f); err != nil {
		return nil, err
	}
	if err := r.leftBehind(ctx, run, f); err != nil {
		return nil, err
	}
	// Last, since it takes longest, and as near to the deletion as can be.
	return f, r.lossBefore(ctx, run, f)
}

// possible finds what the order is about, and what it needs besides the repository.
func (r *Reconciler) possible(ctx context.Context, run *v1alpha1.RecoveryRun) (*findings, error) {
	plan := recovery.DoomedPlan(run)
	f := &findings{}
	var err error
	if run.Spec.Operation != v1alpha1.OperationDrill {
		if f.previous, err = r.previous(ctx, run, plan); err != nil {
			return nil, err
		}
	}
	if run.Spec.KeepExisting && f.previous != nil && f.previous.UID != "" {
		return nil, recovery.Faultf("ClusterExists", "Cluster %s/%s exists and the run was ordered to leave it alone; nothing was deleted: order a rebuild that replaces it, if that is wanted",
			run.Namespace, plan.Cluster.Name)
	}
	if _, err = r.seeds(ctx, run); err != nil {
		return nil, err
	}
	if run.Spec.Operation != v1alpha1.OperationTeardown {
		if _, err = r.signingKey(ctx, run); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// unnamed makes sure that nothing has the throw-away name of a drill.
func (r *Reconciler) unnamed(ctx context.Context, run *v1alpha1.RecoveryRun) error {
	name := recovery.TargetName(run, run.Status.Pinned.Plan.Cluster.Name)
	obs, err := r.Clusters.Observe(ctx, run.Namespace, name)
	if err != nil || !obs.Exists {
		return err
	}
	return recovery.Faultf("NameTaken", "Cluster %s/%s exists, and that is the throw-away name of this drill; it was left alone: delete it if nobody needs it, or order another drill, which has another name",
		run.Namespace, name)
}

// isolated makes sure that nothing of a drill's cluster reaches for the live one.
func (r *Reconciler) isolated(ctx context.Context, run *v1alpha1.RecoveryRun, m *materials) error {
	live, err := r.Clusters.Observe(ctx, run.Namespace, run.Status.Pinned.Plan.Cluster.Name)
	if err != nil {
		return err
	}
	return m.cluster.Isolated(live.Endpoint)
}

// render the commit as it is pinned, or what the plan refers to now when it is empty.
func (r *Reconciler) render(ctx context.Context, run *v1alpha1.RecoveryRun, commit string) (*materials, error) {
	if commit == "" {
		return r.renderFrozen(ctx, run, "", nil)
	}
	frozen, err := r.thaw(ctx, run)
	if err != nil {
		return nil, err
	}
	return r.renderFrozen(ctx, run, commit, frozen)
}

// renderFrozen renders a commit with the pins of the run and what charts made up before.
func (r *Reconciler) renderFrozen(ctx context.Context, run *v1alpha1.RecoveryRun, commit string, frozen []expand.FrozenRelease) (*materials, error) {
	plan := run.Status.Pinned.Plan
	access, err := r.access(ctx, run, plan.Source)
	if err != nil {
		return nil, err
	}
	name := recovery.TargetName(run, plan.Cluster.Name)
	request := renderRequest(plan, run.Namespace, name, commit, access)
	request.Directories = recovery.Directories(run)
	if request.Seeds, err = r.seedData(ctx, run); err != nil {
		return nil, err
	}
	if request.ChartMirrors, err = r.chartMirrors(ctx, run); err != nil {
		return nil, err
	}
	if commit != "" {
		request.Frozen = frozen
		request.Charts = each(run.Status.Pinned.Charts, chartPin)
		request.Sources = each(run.Status.Pinned.Sources, sourcePin)
	}
	if request.Drill, err = drillOptions(run); err != nil {
		return nil, err
	}
	rendered, err := r.Engine.Render(ctx, request)
	if err != nil {
		return nil, err
	}
	if len(rendered.Charts) > mostCharts {
		return nil, recovery.Faultf("TooManyCharts", "commit %s needs %d charts; at most %d can be pinned: split the plan, or commit charts to the repository", rendered.Commit, len(rendered.Charts), mostCharts)
	}
	if len(rendered.State) == 0 {
		return nil, recovery.Faultf("NothingToApply", "commit %s has no object in the state paths; a cluster cannot be verified against nothing", rendered.Commit)
	}
	cluster, err := parse(rendered.Cluster, run, plan.Cluster.Name, name)
	if err != nil {
		return nil, err
	}
	return &materials{rendered: rendered, cluster: cluster}, nil
}

// parse the cluster's manifests. A drill's may be written with the plan's name or with
// ${CLUSTER_NAME}; either way nothing of it may share its name with a live object.
func parse(sources []capi.Source, run *v1alpha1.RecoveryRun, planned, name string) (*capi.Manifests, error) {
	m, err := capi.Parse(sources, name, run.Namespace)
	if run.Spec.Operation != v1alpha1.OperationDrill {
		return m, err
	}
	var misnamed *capi.NameError
	if errors.As(err, &misnamed) {
		m, err = capi.Parse(sources, planned, run.Namespace)
	}
	if err != nil {
		return nil, err
	}
	return m.Rename(name), nil
}

// previous finds the incarnation that the run has to delete, and refuses those that
// it may not. It is nil when there is none.
func (r *Reconciler) previous(ctx context.Context, run *v1alpha1.RecoveryRun, plan v1alpha1.RecoveryPlanSpec) (*v1alpha1.Incarnation, error) {
	obs, err := r.Clusters.Observe(ctx, run.Namespace, plan.Cluster.Name)
	if err != nil {
		return nil, err
	}
	if !obs.Exists {
		return r.remainder(ctx, obs.Incarnation)
	}
	goes := recovery.DeletesPrevious(run)
	switch {
	case goes && plan.Teardown.Policy == v1alpha1.TeardownForbidden:
		return nil, recovery.Faultf("TeardownForbidden", "Cluster %s exists and the plan forbids its teardown (spec.teardown.policy)", obs.Incarnation)
	case obs.Stamp.Run == "" && !obs.Adoptable:
		return nil, &capi.ForeignError{Object: "Cluster " + obs.Incarnation.String()}
	case goes && obs.Paused && obs.DeletingSince.IsZero():
		return nil, recovery.Faultf("ClusterPaused", "Cluster %s is paused, so its deletion would not go on; unpause it first", obs.Incarnation)
	}
	created := metav1.NewTime(obs.CreatedAt)
	inc := &v1alpha1.Incarnation{Name: obs.Name, UID: obs.UID, CreatedAt: &created}
	inc.KubeSystemUID, err = r.notOurselves(ctx, run, obs)
	return inc, err
}

// remainder of an earlier run that failed before it made a Cluster.
func (r *Reconciler) remainder(ctx context.Context, inc capi.Incarnation) (*v1alpha1.Incarnation, error) {
	items, err := r.Clusters.Contents(ctx, inc)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if item.Made || item.Goes() {
			return &v1alpha1.Incarnation{Name: inc.Name}, nil
		}
	}
	return nil, nil
}

// notOurselves refuses to delete the management cluster. It returns the identity of the
// cluster from inside, when it answers. What it cannot check, it does not let pass: only a
// Cluster without a kubeconfig never became a cluster that could be ours, unless it has our
// address.
func (r *Reconciler) notOurselves(ctx context.Context, run *v1alpha1.RecoveryRun, obs capi.Observation) (types.UID, error) {
	inc := obs.Incarnation
	if err := r.Clusters.RefuseHome(ctx, inc); err != nil {
		return "", err
	}
	config, err := r.Clusters.Connect(ctx, inc)
	var notReady *capi.NotReadyError
	if errors.As(err, &notReady) && notReady.Reason == "NoKubeconfig" {
		return "", r.Clusters.RefuseManagement(ctx, &rest.Config{Host: obs.Endpoint}, "")
	}
	if err != nil {
		return "", err
	}
	health, err := r.Clusters.Probe(ctx, config, 0)
	if err != nil {
		r.silence(run.UID, true)
		health = capi.Health{} // a dead cluster is what rebuilds are for
	}
	return health.KubeSystemUID, r.Clusters.RefuseManagement(ctx, config, health.KubeSystemUID)
}

func (r *Reconciler) recordPreflight(ctx context.Context, o recovery.Observation) error {
	f, err := outcome[*findings](r.work, phaseKey(o.Run.UID, v1alpha1.PhasePreflight))
	if err != nil {
		return err
	}
	rendered := f.materials.rendered
	if f.target != nil {
		// Stamped before it is touched. Nobody else works on it: this run has the lock.
		if err := r.Clusters.Fence(ctx, incarnation(o.Run, f.target), stampOf(o)); err != nil {
			return err
		}
	}
	frozen, err := r.freeze(ctx, o, rendered.Frozen)
	if err != nil {
		return err
	}
	r.work.put(materialsKey(o.Run.UID), f.materials)
	stored, err := r.storeInterim(ctx, o)
	if err != nil {
		return err
	}
	err = r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) {
		p := run.Status.Pinned
		p.Commit, p.RenderDigest, p.ClusterDigest = rendered.Commit, rendered.Digest, rendered.ClusterDigest
		p.Infrastructure, p.FrozenSecret = f.materials.cluster.Infrastructure(), frozen
		p.Origin, p.Charts, p.Sources = rendered.Origin, each(rendered.Charts, pinnedChart), each(rendered.Sources, pinnedSource)
		p.Objects, p.Waves = int32(len(rendered.State)), int32(rendered.Waves)
		if !rendered.CommitTime.IsZero() {
			at := metav1.NewTime(rendered.CommitTime)
			p.CommitTime = &at
		}
		run.Status.Previous = f.previous
		recovery.RecordLoss(run, f.loss)
		if stored {
			run.Status.ReportRef = &v1alpha1.LocalConfigMapReference{Name: recovery.ReportName(run)}
		}
		run.Status.Target, run.Status.Retried = f.target, f.retried
		if run.Status.Failover != nil {
			run.Status.Failover.Standby = f.standby
		}
		if f.target == nil && run.Spec.Operation != v1alpha1.OperationTeardown {
			run.Status.Target = &v1alpha1.Incarnation{Name: f.materials.cluster.Name}
		}
		recovery.RecordAdvance(run, fmt.Sprintf("%s at commit %s%s", recovery.Extent(p), short(p.Commit), provenance(p.Origin)), now)
	})
	if err != nil {
		return err
	}
	for _, note := range append(f.materials.notes(), f.notes...) {
		r.event(o.Run, "Warning", "%s", note)
	}
	return nil
}

// notes that a reader of the report should know.
func (m *materials) notes() []string {
	const enough = 50
	notes := append(append([]string{}, m.cluster.Notes...), m.rendered.Warnings...)
	return notes[:min(len(notes), enough)]
}

// beginPrepare renders the pinned commit again, after a restart.
func (r *Reconciler) beginPrepare(run *v1alpha1.RecoveryRun) {
	r.work.begin(materialsKey(run.UID), client.ObjectKeyFromObject(run), func(ctx context.Context, _ func(advance)) (any, error) {
		m, err := r.render(ctx, run, run.Status.Pinned.Commit)
		if err != nil {
			return nil, err
		}
		p := run.Status.Pinned
		if m.rendered.Digest != p.RenderDigest || m.rendered.ClusterDigest != p.ClusterDigest {
			return nil, recovery.Faultf("RenderChanged", "commit %s renders to something else than the run pinned (digest %s, not %s); was Refloat upgraded, or did a seed or a remote base change? start another run",
				p.Commit, short(m.rendered.Digest+"/"+m.rendered.ClusterDigest), short(p.RenderDigest+"/"+p.ClusterDigest))
		}
		return m, nil
	})
}

func short(hash string) string {
	const enough = 12
	return hash[:min(len(hash), enough)]
}
