package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/refloat-dev/refloat/providers/local/api"
)

func pool(count int) *Pool {
	return &Pool{
		Cluster: "fleet/one", Count: count, Zones: []string{"a", "b"},
		Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")},
		Labels:   map[string]string{"tier": "front", corev1.LabelHostname: "ignored"},
	}
}

// existing returns the nodes of a pool as a cluster holds them.
func existing(p *Pool, change func(i int, n *corev1.Node)) []corev1.Node {
	var nodes []corev1.Node
	for i, n := range p.nodes() {
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		if change != nil {
			change(i, n)
		}
		nodes = append(nodes, *n)
	}
	return nodes
}

func TestNodesOfAPool(t *testing.T) {
	nodes := pool(3).nodes()
	if len(nodes) != 3 {
		t.Fatalf("%d nodes", len(nodes))
	}
	third := nodes[2]
	want := map[string]string{
		PoolLabel: poolName, api.SimulatedLabel: "true", "type": "kwok", "tier": "front",
		corev1.LabelHostname: "node-3", corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		corev1.LabelInstanceTypeStable: "local", corev1.LabelTopologyZone: "a", corev1.LabelTopologyRegion: "local",
	}
	if diff := cmp.Diff(want, third.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if third.Spec.ProviderID != "local://fleet/one/node-3" || third.Annotations[kwokAnnotation] != "fake" {
		t.Errorf("provider ID %s, annotations %v", third.Spec.ProviderID, third.Annotations)
	}
	if cpu, memory := third.Status.Capacity.Cpu().String(), third.Status.Capacity.Memory().String(); cpu != "4" || memory != "256Gi" {
		t.Errorf("capacity: cpu %s, memory %s", cpu, memory)
	}
}

func TestCompareNodes(t *testing.T) {
	tests := map[string]struct {
		pool     *Pool
		existing []corev1.Node
		want     map[string][]string
		ready    int
	}{
		"empty cluster": {pool: pool(2), want: map[string][]string{"create": {"node-1", "node-2"}}},
		"as it should be": {
			pool: pool(2), existing: existing(pool(2), nil), ready: 2,
		},
		"labels of others stay": {
			pool: pool(1), ready: 1,
			existing: existing(pool(1), func(_ int, n *corev1.Node) { n.Labels["theirs"] = "yes" }),
		},
		"one not ready": {
			pool: pool(2), ready: 1,
			existing: existing(pool(2), func(i int, n *corev1.Node) {
				if i == 0 {
					n.Status.Conditions[0].Status = corev1.ConditionUnknown
				}
			}),
		},
		"one removed by hand, one too many": {
			pool: pool(2), existing: existing(pool(3), nil)[1:], ready: 1,
			want: map[string][]string{"create": {"node-1"}, "remove": {"node-3"}},
		},
		"shrunk to nothing": {
			pool: pool(0), existing: existing(pool(2), nil),
			want: map[string][]string{"remove": {"node-1", "node-2"}},
		},
		"label changed": {
			pool: pool(1), ready: 1, want: map[string][]string{"relabel": {"node-1"}},
			existing: existing(pool(1), func(_ int, n *corev1.Node) { n.Labels["tier"] = "back" }),
		},
		"annotation for kwok lost": {
			pool: pool(1), ready: 1, want: map[string][]string{"relabel": {"node-1"}},
			existing: existing(pool(1), func(_ int, n *corev1.Node) { n.Annotations = nil }),
		},
		"resized": {
			pool: pool(1), ready: 1, want: map[string][]string{"resize": {"node-1"}},
			existing: existing(pool(1), func(_ int, n *corev1.Node) { n.Status.Capacity = defaultCapacity() }),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes := compareNodes(test.pool, test.existing)
			got := map[string][]string{}
			for verb, nodes := range map[string][]*corev1.Node{
				"create": changes.create, "relabel": changes.relabel, "resize": changes.resize, "remove": changes.remove,
			} {
				for _, n := range nodes {
					got[verb] = append(got[verb], n.Name)
				}
			}
			if len(test.want) == 0 {
				test.want = map[string][]string{}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if want := (NodeCount{Desired: test.pool.Count, Ready: test.ready}); changes.count != want {
				t.Errorf("count %+v, want %+v", changes.count, want)
			}
		})
	}
}
