package main

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func getSchedules(ctx context.Context, t terminal, c client.Client, o getOptions) error {
	list := &v1alpha1.RecoveryScheduleList{}
	if err := c.List(ctx, list, client.InNamespace(o.namespace)); err != nil {
		return explain(err, "list schedules")
	}
	items, err := pick(list.Items, o, func(s v1alpha1.RecoverySchedule) string { return s.Name })
	if err != nil {
		return err
	}
	for i := range items {
		items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RecoverySchedule"))
	}
	if o.output.structured() {
		return writeObjects(t, o, items)
	}
	return printRows(t, o, "NAME\tZONE\tREADY\tPLANS\tNEXT TEARDOWN\tNEXT REBUILD\tNEXT DRILL\tLAST", items, func(s v1alpha1.RecoverySchedule) (string, string) {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		state := statusOf(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady), ready != nil)
		if ready != nil && ready.Status != metav1.ConditionTrue {
			state += " (" + ready.Reason + ")"
		}
		return s.Namespace, fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s", s.Name, s.Spec.TimeZone, state, s.Status.PlanCount,
			clockOf(s.Status.NextTeardown), clockOf(s.Status.NextRebuild), clockOf(s.Status.NextDrill), cmp.Or(s.Status.Last, "<none>"))
	})
}

func clockOf(t *metav1.Time) string {
	if t == nil {
		return "<none>"
	}
	return t.UTC().Format("2006-01-02T15:04Z")
}
