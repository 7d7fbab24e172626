package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
)

// What the alerts in deploy/alerts are about.
var (
	timesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "refloat_schedule_times_total", Help: "Times of schedules that were dealt with, by what came of them.",
	}, []string{"namespace", "schedule", "operation", "outcome"})
	lateness = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "refloat_schedule_lateness_seconds", Help: "How long after its time the run of a schedule was created.",
		Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 7200},
	})
	wanted = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_schedule_plan_wanted_up", Help: "1 when the schedule wants the plan's cluster up, 0 when it wants it down.",
	}, []string{"namespace", "schedule", "plan"})
	found = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_schedule_plan_up", Help: "1 when the plan's cluster is up as far as the controller knows, 0 otherwise.",
	}, []string{"namespace", "schedule", "plan"})
	held = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_schedule_plan_postponed", Help: "1 when a time of the plan waits for a hold, for another run or because the cluster is in use.",
	}, []string{"namespace", "schedule", "plan"})
	next = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "refloat_schedule_next_timestamp_seconds", Help: "When the schedule is due next.",
	}, []string{"namespace", "schedule", "operation"})
	savedSeconds = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "refloat_schedule_saved_seconds_total", Help: "For how long clusters of the schedule were down, counted when they come back.",
	}, []string{"namespace", "schedule"})
)

func init() {
	metrics.Registry.MustRegister(timesTotal, lateness, wanted, found, held, next, savedSeconds)
}

// observeDealt counts what came of a time.
func observeDealt(s *v1alpha1.RecoverySchedule, dealt schedules.Dealt) {
	timesTotal.WithLabelValues(s.Namespace, s.Name, string(dealt.Due.Operation), string(dealt.Outcome)).Inc()
	if !dealt.At.IsZero() {
		lateness.Observe(dealt.At.Sub(dealt.Due.Start).Seconds())
	}
}

// observePlan shows what the timetable wants of a plan, and what there is.
func (p *pass) observePlan(plan *v1alpha1.RecoveryPlan, seen schedules.Observed, postponed bool) {
	labels := []string{p.schedule.Namespace, p.schedule.Name, plan.Name}
	if want, ok := p.table.Holding(seen.Now, seen.Since, seen.Pace); ok {
		wanted.WithLabelValues(labels...).Set(flag(want == v1alpha1.DirectionRebuild))
	} else {
		wanted.DeleteLabelValues(labels...)
	}
	found.WithLabelValues(labels...).Set(flag(seen.State == schedules.Up))
	held.WithLabelValues(labels...).Set(flag(postponed))
}

func (u upcoming) observe(s *v1alpha1.RecoverySchedule) {
	for _, d := range []v1alpha1.Direction{v1alpha1.DirectionTeardown, v1alpha1.DirectionRebuild, v1alpha1.DirectionDrill} {
		if at := u[d]; at.IsZero() {
			next.DeleteLabelValues(s.Namespace, s.Name, string(d))
		} else {
			next.WithLabelValues(s.Namespace, s.Name, string(d)).Set(float64(at.Unix()))
		}
	}
}

// unobservePlan that the schedule is not for any more.
func unobservePlan(s *v1alpha1.RecoverySchedule, plan string) {
	for _, g := range []*prometheus.GaugeVec{wanted, found, held} {
		g.DeleteLabelValues(s.Namespace, s.Name, plan)
	}
}

// unobserve a schedule that is gone, or does nothing: what it showed last is not true for
// ever.
func unobserve(namespace, name string) {
	labels := prometheus.Labels{"namespace": namespace, "schedule": name}
	for _, g := range []*prometheus.GaugeVec{wanted, found, held, next} {
		g.DeletePartialMatch(labels)
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
