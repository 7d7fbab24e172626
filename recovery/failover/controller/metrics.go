package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/failover"
)

var (
	clusterDead = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_failover_cluster_dead", Help: "1 while the cluster of a policy counts as dead.",
	}, []string{"namespace", "policy"})
	policyArmed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_failover_armed", Help: "1 while an outage would be followed by a run.",
	}, []string{"namespace", "policy"})
	runsOrdered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "refloat_failover_runs_total", Help: "Runs that policies proposed or ordered.",
	}, []string{"namespace", "policy"})
)

func init() { //nolint:gochecknoinits // the registry of controller-runtime is global
	metrics.Registry.MustRegister(clusterDead, policyArmed, runsOrdered)
}

// unobserve a policy that is gone.
func unobserve(namespace, name string) {
	clusterDead.DeleteLabelValues(namespace, name)
	policyArmed.DeleteLabelValues(namespace, name)
	runsOrdered.DeleteLabelValues(namespace, name)
}

func observe(policy *v1alpha1.FailoverPolicy, d failover.Decision) {
	set := func(g *prometheus.GaugeVec, on bool) {
		value := 0.0
		if on {
			value = 1
		}
		g.WithLabelValues(policy.Namespace, policy.Name).Set(value)
	}
	set(clusterDead, failover.Current(policy) != nil)
	set(policyArmed, meta.IsStatusConditionTrue(policy.Status.Conditions, v1alpha1.ConditionArmed))
	if d.Action == failover.Order {
		runsOrdered.WithLabelValues(policy.Namespace, policy.Name).Inc()
	}
}
