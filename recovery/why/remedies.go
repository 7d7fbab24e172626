package why

import (
	"fmt"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// again is the last step of most remedies.
func (by adviser) again(run *v1alpha1.RecoveryRun) string {
	if f, target := run.Status.Failure, run.Status.Target; f != nil && target != nil && target.UID != "" && run.Spec.Operation == v1alpha1.OperationRebuild && goesOn(f) {
		return fmt.Sprintf("then go on with the cluster that is there: %s; or make it anew: %s", by.refloat("retry", run.Name), by.refloat("rebuild", run.Spec.PlanRef.Name))
	}
	if recovery.FailsOver(run) {
		return "then order it again: " + by.takeover(run)
	}
	return "then order another run: " + by.refloat(strings.ToLower(string(run.Spec.Operation)), run.Spec.PlanRef.Name)
}

// goesOn tells failures that a retry on the same cluster may mend.
func goesOn(f *v1alpha1.Failure) bool {
	switch f.Phase {
	case v1alpha1.PhaseBootstrap, v1alpha1.PhaseSeed, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify:
		return !slices.Contains([]string{"IdentityChanged", "ClusterVanished", "ClusterDeleted", "ManagementCluster", "OlderCluster", "StaleKubeconfig"}, f.Reason)
	}
	return false
}

// remedies of a failure, by its reason.
func (by adviser) remedies(run *v1alpha1.RecoveryRun) []string {
	f := run.Status.Failure
	if do := by.orderAgain(run); do != nil {
		return do
	}
	fix := func(what ...string) []string { return append(what, by.again(run)) }
	switch f.Reason {
	case "PlanNotFound":
		return fix("create the plan: kubectl apply -f PLAN.yaml")
	case "RepositoryUnusable":
		return fix("make the repository reachable: spec.source.url, ref and secretRef of the plan")
	case "StateInvalid", "NothingToApply":
		return fix("correct the repository where the message says; check it without a cluster: refloat plan and refloat lint")
	case "ClusterManifestsInvalid", "BadClusterManifests":
		return fix("correct the Cluster API manifests where the message says: spec.cluster.path of the plan")
	case "SecretNotFound", "SeedEmpty", "SeedInvalid", "SigningKeyInvalid":
		return fix("create or correct the Secret in namespace " + run.Namespace)
	case "TeardownForbidden":
		return []string{"if the cluster may be deleted, set spec.teardown.policy of the plan to Allowed or NeedsApproval", by.again(run)}
	case "Held":
		return []string{"wait until the hold ends, or ask who made it: kubectl get holds -n " + run.Namespace, by.again(run) + " (with --override-holds and a --reason, if you must)"}
	case "WouldLose", "LossUnknown", "LeftoverCollides", "BudgetExceeded", "BudgetInvalid", "BudgetUnknown":
		return fix(by.beforeDeletion(run)...)
	case "ForeignCluster", "ClusterExists":
		return fix(`if Refloat may delete that Cluster, annotate it with refloat.dev/adopt: "true"`)
	case "ClusterPaused":
		return fix("unpause the Cluster: spec.paused and the annotation cluster.x-k8s.io/paused")
	case "IdentityChanged", "ClusterVanished", "ClusterDeleted", "OlderCluster", "StaleKubeconfig":
		return fix("find out who else changes this cluster; Refloat left it alone")
	case "ManagementCluster":
		return []string{"correct the kubeconfig Secret or the endpoint: it leads to the management cluster, which is never a target"}
	case "LockLost", "LockUnreadable":
		return fix("leave the Leases refloat-… alone: they keep two runs from working on one cluster")
	case "InternalError":
		return []string{"report the defect with the message above and the report: " + by.refloat("report", run.Name)}
	}
	return by.byPhase(run, f)
}

// orderAgain is advice about runs that ended for reasons of their own, where nothing is to be
// mended first.
func (by adviser) orderAgain(run *v1alpha1.RecoveryRun) []string {
	if do := by.withdrawn(run); do != nil {
		return do
	}
	again := strings.TrimPrefix(by.again(run), "then ")
	switch run.Status.Failure.Reason {
	case "RunDeleted", "Cancelled", "Interrupted":
		return []string{"if it is still wanted, " + again}
	case "NotStarted", "PlanChanged", "RenderChanged", "FrozenStateLost", "NameTaken", "UnknownPhase", "CannotRetry":
		return []string{again}
	}
	return nil
}

// withdrawn is advice about a run that a failover policy ordered and that ended because its
// cluster lives, or because somebody stopped it: another run could delete what is healthy.
func (by adviser) withdrawn(run *v1alpha1.RecoveryRun) []string {
	p := run.Spec.Proposal
	if p == nil || !slices.Contains([]string{"Cancelled", "OutageOver", "RunDeleted", "AutomationStopped"}, run.Status.Failure.Reason) {
		return nil
	}
	return []string{"nothing, if the cluster answers", "see what the policy that ordered the run says now: " + by.refloat("get", "policies "+p.PolicyRef.Name)}
}

// beforeDeletion is what to do about reasons for which a cluster was left alone.
func (by adviser) beforeDeletion(run *v1alpha1.RecoveryRun) []string {
	plan := run.Spec.PlanRef.Name
	switch reason := run.Status.Failure.Reason; reason {
	case "LeftoverCollides":
		return []string{"give back by hand what the message names, and list it with a reason in spec.teardown.drain.settled of plan " + plan}
	case "BudgetExceeded":
		return []string{"see who has the slots: " + by.refloat("get", "budgets"), "wait for one, or change the budget: spec.maxPerHour, maxDown and waitFor"}
	case "BudgetInvalid", "BudgetUnknown":
		return []string{"correct or delete the budget that the message names: kubectl get teardownbudgets -n " + run.Namespace}
	default:
		return by.aboutLoss(reason, plan)
	}
}

// aboutLoss is what to do about things that would go with a cluster.
func (by adviser) aboutLoss(reason, plan string) []string {
	if reason == "LossUnknown" {
		return []string{"make the cluster readable, and look: " + by.refloat("loss", plan),
			"if it is dead and only a rebuild is wanted, set spec.teardown.loss.unreachable of the plan to AllowRebuild"}
	}
	return []string{"see what, and who wrote it: " + by.refloat("loss", plan),
		"write it down for the repository and commit it: " + by.refloat("adopt", plan, "--dir DIR"),
		"or take the loss: spec.teardown.loss.waivers of the plan, or, with policy RefuseIfNew, " + by.refloat("loss", plan, "--accept --reason …")}
}

// byPhase is what to do about reasons that say less than the place.
func (by adviser) byPhase(run *v1alpha1.RecoveryRun, f *v1alpha1.Failure) []string {
	if do := by.ofTakeover(run); do != nil {
		return do
	}
	target := ""
	if run.Status.Target != nil {
		target = run.Status.Target.Name
	}
	switch f.Phase {
	case v1alpha1.PhaseApproval:
		return []string{strings.TrimPrefix(by.again(run), "then "), "and have it approved in time: " + by.refloat("approve", "RUN")}
	case v1alpha1.PhaseTeardown, v1alpha1.PhaseCleanup:
		return []string{"see what holds the deletion up: kubectl get clusters,machines -n " + run.Namespace + " and the finalizers that the message names", by.again(run)}
	case v1alpha1.PhaseProvision, v1alpha1.PhaseBootstrap:
		return []string{"see what Cluster API says: clusterctl describe cluster " + target + " -n " + run.Namespace, by.again(run)}
	case v1alpha1.PhaseSeed, v1alpha1.PhaseWaves:
		return []string{"see every object and its message: " + by.refloat("report", run.Name), "correct the repository, or what the object needs", by.again(run)}
	case v1alpha1.PhaseVerify:
		return []string{"see what differs: " + by.refloat("report", run.Name), "correct the repository, or declare what another controller writes", by.again(run)}
	case v1alpha1.PhasePreflight:
		if f.Reason == "DrillRefused" || f.Reason == "DrillProfileInvalid" {
			return []string{"see what a drill makes of the state: " + by.refloat("plan", run.Spec.PlanRef.Name, "--drill"),
				"say in spec.drill of the plan what becomes of the objects that the message names", by.again(run)}
		}
	}
	return []string{"correct what the message names", by.again(run)}
}

// advice to those whose run waits, by what it waits for.
func (by adviser) advice(run *v1alpha1.RecoveryRun, waiting string) []string {
	phase := v1alpha1.Phase("")
	if n := len(run.Status.Phases); n > 0 {
		phase = run.Status.Phases[n-1].Name
	}
	if do := by.duringTakeover(run, phase); do != nil {
		return do
	}
	has := func(text string) bool { return strings.Contains(waiting, text) }
	switch {
	case phase == v1alpha1.PhaseApproval:
		return []string{"approve it as somebody else: " + by.refloat("approve", run.Name), by.orEnd(run)}
	case has("a slot of TeardownBudget"):
		return []string{"see who has the slots: " + by.refloat("get", "budgets"), "or change the budget: spec.maxPerHour, maxDown and waitFor"}
	case has("is paused"), has("to be unpaused"):
		return []string{"unpause the Cluster: spec.paused and the annotation cluster.x-k8s.io/paused"}
	case has(" to be released"):
		return []string{"make the controller of the object finish, or remove its finalizer if you know that nothing is left outside",
			"or do nothing: the cluster is deleted when the limit of the drain (spec.teardown.drain.timeout) has passed, and what is left is named in the run"}
	case has("held by"):
		return []string{"make its controller finish; remove the finalizer only if you know that nothing is left outside"}
	case has("minReadyNodes"):
		return []string{"if the pod network comes with the state, set spec.cluster.ready.minReadyNodes of the plan to 0 and order another run"}
	case has("to succeed, tried again"), has("again after:"):
		return []string{"repair what the message says; it is tried again by itself"}
	case phase == v1alpha1.PhaseProvision, phase == v1alpha1.PhaseBootstrap:
		return []string{"see what Cluster API says: clusterctl describe cluster " + run.Status.Target.Name + " -n " + run.Namespace}
	case phase == v1alpha1.PhaseTeardown, phase == v1alpha1.PhaseCleanup:
		return []string{"see what is left: kubectl get clusters,machines -n " + run.Namespace}
	case phase == v1alpha1.PhaseWaves:
		return []string{"look at the object on the cluster; it is waited for until it is ready or its limit passes"}
	}
	return nil
}
