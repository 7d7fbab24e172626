package controller_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// shown are the values of a metric in the world's namespace, by plan.
func (w *world) shown(metric string) map[string]float64 {
	w.t.Helper()
	families, err := metrics.Registry.Gather()
	w.must(err)
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["namespace"] == w.ns {
				values[labels["plan"]] = m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// TestMetrics show what a schedule wants and what there is, and nothing of plans that it is
// not for any more.
func TestMetrics(t *testing.T) {
	w := newWorld(t)
	dev := map[string]string{"tier": "dev"}
	first := w.plan("first", dev)
	w.plan("second", dev)
	s := w.schedule("all", func(s *v1alpha1.RecoveryScheduleSpec) {
		s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{MatchLabels: dev}
	})
	w.down["second"] = true
	w.at("7:00", s)
	up, wanted := w.shown("refloat_schedule_plan_up"), w.shown("refloat_schedule_plan_wanted_up")
	if len(up) != 2 || up["first"] != 1 || up["second"] != 0 || len(wanted) != 2 || wanted["first"] != 0 {
		t.Errorf("up %v, wanted %v", up, wanted)
	}
	w.edit(first, func() { first.Labels = nil })
	w.at("7:01", s)
	if up := w.shown("refloat_schedule_plan_up"); len(up) != 1 {
		t.Errorf("after a label went: %v", up)
	}
	w.edit(s, func() { s.Spec.Suspend = true })
	w.at("7:02", s)
	if up := w.shown("refloat_schedule_plan_up"); len(up) != 0 {
		t.Errorf("of a suspended schedule: %v", up)
	}
}
