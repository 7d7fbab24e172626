package order_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests/order"
)

// limited is a namespace with so many Deployments that a barrier stands between them
// and what limits them.
func limited(policy, quota string) string {
	all := []string{
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: default, annotations: {" + policy + "}}\nspec: {podSelector: {}}\n",
		"apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few, namespace: default, annotations: {" + quota + "}}\n",
	}
	for i := range 70 {
		all = append(all, deployment(fmt.Sprintf("d%02d", i), "{}"))
	}
	return docs(all...)
}

// A member of a barrier that contradicts declared order is dropped alone.
func TestOnlyContradictingMembersOfABarrierAreDropped(t *testing.T) {
	const all = "is limited by it, as all of its namespace"
	tests := map[string]struct {
		objects string
		// afterQuota and afterPolicy are how many Deployments wait for either.
		afterQuota, afterPolicy int
		warnings                []string
	}{
		"nothing contradicts": {objects: limited("", ""), afterQuota: 70, afterPolicy: 70},
		"one limit in a later wave": {
			objects: limited(wave+": '1'", ""), afterQuota: 70,
			warnings: []string{"Deployment.apps default/d00 (f.yaml:3) and 69 more objects should wait for NetworkPolicy.networking.k8s.io default/deny (f.yaml:1), " +
				"because it " + all + "; but sync-waves 0 and 1 put it first: declared order wins"},
		},
		"both limits in a later wave": {
			objects: limited(wave+": '1'", wave+": '1'"),
			warnings: []string{
				"Deployment.apps default/d00 (f.yaml:3) and 69 more objects should wait for ResourceQuota default/few (f.yaml:2), " +
					"because it " + all + "; but sync-waves 0 and 1 put it first: declared order wins",
				"Deployment.apps default/d00 (f.yaml:3) and 69 more objects should wait for NetworkPolicy.networking.k8s.io default/deny (f.yaml:1), " +
					"because it " + all + "; but sync-waves 0 and 1 put it first: declared order wins",
			},
		},
		"a limit that declares to wait for one of them": {
			objects: limited(dependsOn+": apps/namespaces/default/Deployment/d07", ""), afterQuota: 70, afterPolicy: 69,
			warnings: []string{"Deployment.apps default/d07 (f.yaml:10) should wait for NetworkPolicy.networking.k8s.io default/deny (f.yaml:1), " +
				"because it " + all + "; but that closes a cycle, as NetworkPolicy.networking.k8s.io default/deny (f.yaml:1) declares that it depends on it: declared order wins"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := build(t, tt.objects, order.Options{})
			if got := deploymentsAfter(g, "ResourceQuota"); got != tt.afterQuota {
				t.Errorf("%d Deployments wait for the quota, want %d", got, tt.afterQuota)
			}
			if got := deploymentsAfter(g, "NetworkPolicy"); got != tt.afterPolicy {
				t.Errorf("%d Deployments wait for the policy, want %d", got, tt.afterPolicy)
			}
			if diff := cmp.Diff(tt.warnings, g.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// deploymentsAfter counts the Deployments that wait, directly or through barriers,
// for an object of a kind.
func deploymentsAfter(g *order.Graph, kind string) int {
	var waits func(n int) bool
	waits = func(n int) bool {
		return slices.ContainsFunc(g.Nodes[n].Needs, func(e order.Edge) bool {
			from := g.Nodes[e.From]
			return from.Virtual() && waits(e.From) || !from.Virtual() && from.Object.GetKind() == kind
		})
	}
	count := 0
	for i, n := range g.Nodes {
		if !n.Virtual() && strings.HasPrefix(n.Object.GetKind(), "Deployment") && waits(i) {
			count++
		}
	}
	return count
}
