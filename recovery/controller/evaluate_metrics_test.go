package controller

import (
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// shown are the values of a metric of the plan, by severity.
func (w *world) shown(metric string) map[string]float64 {
	w.t.Helper()
	families, err := metrics.Registry.Gather()
	w.must(err)
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == metric && labels["namespace"] == namespace && labels["plan"] == "plan" {
				values[labels["severity"]] = m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// TestPlanMetrics show what is known of a plan, after a restart too, and nothing of one that
// is gone.
func TestPlanMetrics(t *testing.T) {
	planRecoverable.Reset()
	planBlockers.Reset()
	w := newWorld(t)
	w.ready(nil)
	withoutSecret("age")(w)
	for _, when := range []string{"evaluated", "after a restart"} {
		w.evaluate()
		if is, n := w.shown("refloat_plan_recoverable"), w.shown("refloat_plan_blockers"); len(is) != 1 || is[""] != 0 || n["Blocker"] != 1 || n["Warning"] != 0 {
			t.Errorf("%s: recoverable %v, blockers %v", when, is, n)
		}
		planRecoverable.Reset()
		planBlockers.Reset()
	}
	w.evaluate()
	plan := w.planned()
	plan.Status.Conditions = nil
	observePlan(plan, w.clock.Now())
	if is := w.shown("refloat_plan_recoverable"); len(is) != 0 {
		t.Errorf("what is not known is shown as %v", is)
	}
	w.must(w.store.Store.Delete(t.Context(), &v1alpha1.RecoveryPlan{ObjectMeta: plan.ObjectMeta}))
	w.evaluate()
	if is, n := w.shown("refloat_plan_recoverable"), w.shown("refloat_plan_blockers"); len(is)+len(n) != 0 {
		t.Errorf("of a plan that is gone: %v, %v", is, n)
	}
}

// TestAlertsOfPlansAreAboutMetricsThatExist holds the shipped alerts against the names here.
func TestAlertsOfPlansAreAboutMetricsThatExist(t *testing.T) {
	rules, err := os.ReadFile("../../deploy/alerts/refloat.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	described := make(chan *prometheus.Desc, 8)
	planRecoverable.Describe(described)
	planBlockers.Describe(described)
	close(described)
	for d := range described {
		named[regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	used := regexp.MustCompile(`refloat_plan_[a-z_]+`).FindAllString(string(rules), -1)
	if len(used) == 0 {
		t.Fatal("no alert is about plans")
	}
	for _, name := range used {
		if !named[name] {
			t.Errorf("there is no metric %s", name)
		}
	}
}
