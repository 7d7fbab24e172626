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

func getPolicies(ctx context.Context, t terminal, c client.Client, o getOptions) error {
	list := &v1alpha1.FailoverPolicyList{}
	if err := c.List(ctx, list, client.InNamespace(o.namespace)); err != nil {
		return explain(err, "list failover policies")
	}
	items, err := pick(list.Items, o, func(p v1alpha1.FailoverPolicy) string { return p.Name })
	if err != nil {
		return err
	}
	for i := range items {
		items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FailoverPolicy"))
	}
	if o.output.structured() {
		return writeObjects(t, o, items)
	}
	return printRows(t, o, "NAME\tPLAN\tMODE\tCLUSTER\tARMED\tRUN", items, func(p v1alpha1.FailoverPolicy) (string, string) {
		run := ""
		if p.Status.Outage != nil {
			run = p.Status.Outage.Run
		}
		return p.Namespace, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", p.Name, p.Spec.PlanRef.Name, p.Spec.Mode,
			reasonOf(&p, v1alpha1.ConditionClusterHealthy), armedOf(&p), cmp.Or(run, "<none>"))
	})
}

// reasonOf a condition: what a person wants to know of it.
func reasonOf(p *v1alpha1.FailoverPolicy, kind string) string {
	c := meta.FindStatusCondition(p.Status.Conditions, kind)
	if c == nil {
		return "<unknown>"
	}
	return c.Reason
}

func armedOf(p *v1alpha1.FailoverPolicy) string {
	c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionArmed)
	switch {
	case c == nil:
		return "<unknown>"
	case c.Status == metav1.ConditionTrue:
		return "yes"
	}
	return "no (" + c.Reason + ")"
}
