package recovery

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
)

func stateOf(t *testing.T, text string) []manifests.Object {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return []manifests.Object{{Unstructured: u, Origin: manifests.Origin{File: "a.yaml", Line: 1}}}
}

func TestCollide(t *testing.T) {
	service := "{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web}, spec: {type: LoadBalancer, loadBalancerIP: 192.0.2.1}}"
	volume := "{apiVersion: v1, kind: PersistentVolume, metadata: {name: data}, spec: {csi: {driver: ebs, volumeHandle: vol-1}}}"
	ingress := "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {namespace: shop, name: web}, spec: {rules: [{host: shop.example.com}]}}"
	lb := v1alpha1.Leftover{Kind: "LoadBalancer", ID: "192.0.2.1", Object: "Service shop/old"}
	settled := func(id string, until time.Time) []v1alpha1.SettledLeftover {
		return []v1alpha1.SettledLeftover{{ID: id, Reason: "done", Until: metav1.NewTime(until)}}
	}
	for name, test := range map[string]struct {
		left    v1alpha1.Leftover
		state   string
		settled []v1alpha1.SettledLeftover
		want    string
	}{
		"address":                 {left: lb, state: service, want: "LoadBalancer 192.0.2.1, which Service shop/old of Cluster dev held and run r left behind at 2026-11-23T09:00:00Z, is what Service shop/web (a.yaml:1) asks for in spec.loadBalancerIP"},
		"of nobody":               {left: lb, state: ingress},
		"settled":                 {left: lb, state: service, settled: settled("192.0.2.1", t0.Add(time.Hour))},
		"settled, over":           {left: lb, state: service, settled: settled("192.0.2.1", t0), want: "192.0.2.1"},
		"another is settled":      {left: lb, state: service, settled: settled("192.0.2.2", t0.Add(time.Hour)), want: "192.0.2.1"},
		"volume that should go":   {left: v1alpha1.Leftover{Kind: "Volume", ID: "ebs vol-1", Object: "PersistentVolume pv"}, state: volume, want: "Volume ebs vol-1"},
		"volume kept on purpose":  {left: v1alpha1.Leftover{Kind: "Volume", ID: "ebs vol-1", Object: "PersistentVolume pv", Kept: true}, state: volume},
		"name":                    {left: v1alpha1.Leftover{Kind: "DNSName", ID: "shop.example.com", Object: "Ingress shop/web"}, state: ingress},
		"kind that is not known":  {left: v1alpha1.Leftover{Kind: "Other", ID: "192.0.2.1"}, state: service},
		"same ID, different kind": {left: v1alpha1.Leftover{Kind: "Volume", ID: "192.0.2.1"}, state: service},
	} {
		got := Collide([]Left{{Run: "r", At: t0, Cluster: "dev", Leftovers: []v1alpha1.Leftover{test.left}}}, stateOf(t, test.state), test.settled, t0)
		if (len(got) > 0) != (test.want != "") || len(got) > 0 && !strings.Contains(got[0], test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestLeftSince(t *testing.T) {
	deleting := func(name string, plan types.UID, operation v1alpha1.Operation, at time.Time, ids ...string) v1alpha1.RecoveryRun {
		run := v1alpha1.RecoveryRun{}
		run.Name, run.UID, run.Spec.Operation = name, types.UID(name), operation
		run.Status.Pinned = &v1alpha1.PinnedInputs{PlanUID: plan}
		inc := &v1alpha1.Incarnation{Name: "dev", Drain: &v1alpha1.DrainRecord{}}
		if !at.IsZero() {
			inc.DeleteRequestedAt = micro(at)
		}
		for _, id := range ids {
			inc.Drain.Left = append(inc.Drain.Left, v1alpha1.Leftover{Kind: "LoadBalancer", ID: id})
		}
		if run.Status.Previous = inc; operation == drill {
			run.Status.Previous, run.Status.Target = nil, inc
		}
		return run
	}
	verified := func(run v1alpha1.RecoveryRun, at time.Time) v1alpha1.RecoveryRun {
		run.Status.RecoveredAt = micro(at)
		return run
	}
	self := &v1alpha1.RecoveryRun{}
	self.UID, self.Status.Pinned = "self", &v1alpha1.PinnedInputs{PlanUID: "plan"}
	for name, test := range map[string]struct {
		runs []v1alpha1.RecoveryRun
		want string
	}{
		"none":                      {},
		"a teardown":                {[]v1alpha1.RecoveryRun{deleting("a", "plan", teardown, t0, "x")}, "a"},
		"of another plan":           {[]v1alpha1.RecoveryRun{deleting("a", "other", teardown, t0, "x")}, ""},
		"nothing left":              {[]v1alpha1.RecoveryRun{deleting("a", "plan", teardown, t0)}, ""},
		"never deleted":             {[]v1alpha1.RecoveryRun{deleting("a", "plan", teardown, time.Time{}, "x")}, ""},
		"itself":                    {[]v1alpha1.RecoveryRun{deleting("self", "plan", rebuild, t0, "x")}, ""},
		"a run that never started":  {[]v1alpha1.RecoveryRun{{}}, ""},
		"verified by the same":      {[]v1alpha1.RecoveryRun{verified(deleting("a", "plan", rebuild, t0, "x"), t0.Add(time.Minute))}, ""},
		"verified by a later one":   {[]v1alpha1.RecoveryRun{deleting("a", "plan", teardown, t0, "x"), verified(deleting("b", "plan", rebuild, time.Time{}), t0.Add(time.Minute))}, ""},
		"verified before":           {[]v1alpha1.RecoveryRun{deleting("a", "plan", teardown, t0, "x"), verified(deleting("b", "plan", rebuild, time.Time{}), t0.Add(-time.Minute))}, "a"},
		"a drill, verified before":  {[]v1alpha1.RecoveryRun{verified(deleting("a", "plan", drill, t0, "x"), t0.Add(-time.Minute))}, "a"},
		"two, in the order of time": {[]v1alpha1.RecoveryRun{deleting("a", "plan", rebuild, t0, "x"), deleting("b", "plan", teardown, t0.Add(-time.Hour), "y")}, "b a"},
	} {
		var names []string
		for _, l := range LeftSince(self, test.runs) {
			names = append(names, l.Run)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
