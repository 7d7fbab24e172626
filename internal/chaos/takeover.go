package chaos

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/witness"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/controller"
)

const (
	// standbyPlan and standbyCluster are the other side of a failover.
	standbyPlan    = "standby"
	standbyCluster = "spare"
	hookSecret     = "hooks"
	// usersName is the ConfigMap that leads users to a cluster, by a directory.
	usersName  = "users"
	hookCanary = "canary-of-the-hook-55d0"
)

// sides of an operation: the cluster that is there before it and the one that it makes, and
// their plans. They are the same but in a failover.
type sides struct{ fromPlan, from, toPlan, to string }

func sidesOf(operation v1alpha1.Operation) sides {
	switch operation {
	case v1alpha1.OperationFailover:
		return sides{planName, clusterName, standbyPlan, standbyCluster}
	case v1alpha1.OperationFailback:
		return sides{standbyPlan, standbyCluster, planName, clusterName}
	}
	return sides{planName, clusterName, planName, clusterName}
}

func takesOver(operation v1alpha1.Operation) bool {
	return operation == v1alpha1.OperationFailover || operation == v1alpha1.OperationFailback
}

// foundEpoch is that of the serving record before the operation.
func foundEpoch(operation v1alpha1.Operation) int64 {
	if operation == v1alpha1.OperationFailback {
		return 1
	}
	return 0
}

// policy of the failovers: the old side is deleted, and users are sent on by a hook and by a
// directory.
func policyOf(r *receiver) *v1alpha1.PlanFailover {
	return &v1alpha1.PlanFailover{
		Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceDelete},
		Switch: []v1alpha1.SwitchHook{
			{Name: "dns", URL: r.url("dns"), SecretRef: &v1alpha1.LocalSecretReference{Name: hookSecret}},
			{Name: usersName, Apply: &v1alpha1.SwitchDirectory{Path: "names"}},
		},
	}
}

// prepareSides makes what a failover needs beside the primary plan: the receiver, the plan of
// the other side and, before a failback, the record that it serves.
func (t *trial) prepareSides(ctx context.Context, clusters *capi.Clusters, plan *v1alpha1.RecoveryPlan) error {
	operation := t.point.Operation
	if !takesOver(operation) {
		return nil
	}
	var err error
	if t.receiver, err = t.startReceiver(); err != nil {
		return err
	}
	other := plan.DeepCopy()
	other.Name, other.Spec.Cluster.Name = standbyPlan, standbyCluster
	plan.Spec.Failover = policyOf(t.receiver)
	authorities := t.management.Authorities()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: hookSecret},
		StringData: map[string]string{"key": hookCanary, "token": hookCanary, "ca.crt": string(authorities.CA.Cert)}}
	for _, o := range []client.Object{other, secret} {
		if err := t.client.Create(ctx, o); err != nil {
			return fmt.Errorf("create %T: %w", o, err)
		}
	}
	users := corev1apply.ConfigMap(usersName, t.namespace).WithData(map[string]string{"cluster": sidesOf(operation).from})
	if err := t.client.Apply(ctx, users, client.FieldOwner("refloat-switch")); err != nil { // as an earlier switch did
		return fmt.Errorf("lead users to the cluster that serves: %w", err)
	}
	if operation == v1alpha1.OperationFailback {
		return t.prepareServing(ctx, clusters)
	}
	return nil
}

// prepareServing records that the other side serves, as a failover does.
func (t *trial) prepareServing(ctx context.Context, clusters *capi.Clusters) error {
	obs, err := clusters.Observe(ctx, t.namespace, standbyCluster)
	if err != nil {
		return err
	}
	clusters.Destroyer = t.client
	if err := clusters.MarkServing(ctx, obs.Incarnation, 1, true); err != nil {
		return err
	}
	at := metav1.NewMicroTime(time.Now())
	return t.client.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.namespace, Name: recovery.ServingName(planName), Annotations: map[string]string{
			"refloat.dev/serving-cluster": standbyCluster, "refloat.dev/serving-uid": string(obs.UID), "refloat.dev/serving-run": earlier, "refloat.dev/serving-run-uid": earlier}},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: ptr.To(standbyPlan), LeaseTransitions: ptr.To[int32](1), AcquireTime: &at},
	})
}

// again orders a failover that failed once more, which has to complete it: after a failure
// nothing may be left that stands in the way.
func (t *trial) again(ctx context.Context, failed *v1alpha1.RecoveryRun) ([]witness.Breach, error) {
	if !takesOver(t.point.Operation) || failed.Status.FinishedAt == nil || failed.Status.Failure == nil || t.point.Fault.OwnSource {
		return nil, nil
	}
	t.clock.offset.Store(0) // the API server dates the order, by its own clock
	if err := t.startProcess(ctx); err != nil {
		return nil, err
	}
	defer t.stopAll()
	run := orderOf(t.namespace, runName+"-again", t.point.Operation)
	if err := t.client.Create(ctx, run); err != nil {
		return nil, fmt.Errorf("order the failover again: %w", err)
	}
	breach := func(format string, args ...any) []witness.Breach {
		what := fmt.Sprintf("the run failed (%s: %s) and was ordered again: ", failed.Status.Failure.Reason, failed.Status.Failure.Message)
		return []witness.Breach{{Rule: completes, What: what + fmt.Sprintf(format, args...)}}
	}
	done, err := t.await(ctx, run)
	if err != nil {
		return breach("%v", err), nil
	}
	if f := done.Status.Failure; f != nil {
		return breach("it failed in %s with %s: %s", f.Phase, f.Reason, f.Message), nil
	}
	s, err := controller.ServingOf(ctx, t.client, t.namespace, planName)
	if err != nil {
		return nil, err
	}
	side := sidesOf(t.point.Operation)
	if s == nil || s.Plan != side.toPlan || s.Pending != "" || s.Epoch <= foundEpoch(t.point.Operation) {
		return breach("it succeeded, and the record says %+v", s), nil
	}
	obs, err := (&capi.Clusters{Client: t.client, Reader: t.client, Clock: t.clock}).Observe(ctx, t.namespace, side.from)
	if err == nil && obs.Exists {
		return breach("it succeeded, and Cluster %s is still there", obs.Incarnation), nil
	}
	return nil, err
}
