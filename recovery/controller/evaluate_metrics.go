package controller

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/recoverability"
)

// What the alerts in deploy/alerts are about.
var (
	planRecoverable = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_plan_recoverable", Help: "1 when the last evaluation found nothing in the way of a rebuild, 0 when it found a blocker; absent when it is not known.",
	}, []string{"namespace", "plan"})
	planBlockers = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_plan_blockers", Help: "How many blockers and warnings the last evaluation found.",
	}, []string{"namespace", "plan", "severity"})
)

func init() { //nolint:gochecknoinits // the registry of controller-runtime is global
	metrics.Registry.MustRegister(planRecoverable, planBlockers)
}

// observePlan shows what is known of a plan.
func observePlan(plan *v1alpha1.RecoveryPlan, now time.Time) {
	status, _ := recoverability.Standing(plan, now)
	switch status {
	case metav1.ConditionTrue:
		planRecoverable.WithLabelValues(plan.Namespace, plan.Name).Set(1)
	case metav1.ConditionFalse:
		planRecoverable.WithLabelValues(plan.Namespace, plan.Name).Set(0)
	default:
		planRecoverable.DeleteLabelValues(plan.Namespace, plan.Name)
	}
	if plan.Status.Recoverability == nil {
		return
	}
	for _, severity := range []v1alpha1.BlockerSeverity{v1alpha1.SeverityBlocker, v1alpha1.SeverityWarning} {
		planBlockers.WithLabelValues(plan.Namespace, plan.Name, string(severity)).Set(float64(recoverability.Count(plan.Status.Recoverability.Blockers, severity)))
	}
}

// unobservePlan that is gone.
func unobservePlan(plan types.NamespacedName) {
	planRecoverable.DeleteLabelValues(plan.Namespace, plan.Name)
	planBlockers.DeletePartialMatch(prometheus.Labels{"namespace": plan.Namespace, "plan": plan.Name})
}
