package workload

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/refloat-dev/refloat/providers/local/api"
)

// PoolLabel is carried by every node that this package created, and by no other.
const PoolLabel = "local.refloat.dev/pool"

const poolName = "default"

// kwokAnnotation hands a node to kwok, which plays only the nodes that carry it.
const kwokAnnotation = "kwok.x-k8s.io/node"

// region is where all zones of a local cluster lie.
const region = "local"

// Pool describes nodes that are alike.
type Pool struct {
	// Cluster is the identity, namespace/name, that provider IDs are made from.
	Cluster string
	// Count is how many nodes there are, named node-1 to node-<Count>.
	Count int
	// Capacity overrides single quantities of the default capacity.
	Capacity corev1.ResourceList
	// Labels are added to those that every node has.
	Labels map[string]string
	// Zones are given to the nodes in turn; empty means none.
	Zones []string
}

func (p *Pool) equal(q Pool) bool {
	return p.Cluster == q.Cluster && p.Count == q.Count && maps.Equal(p.Labels, q.Labels) &&
		slices.Equal(p.Zones, q.Zones) && equality.Semantic.DeepEqual(p.Capacity, q.Capacity)
}

// NodeCount says how many nodes of the pool were seen.
type NodeCount struct {
	// Desired is the size of the pool that the count was made for.
	Desired int
	// Ready is how many of them are ready.
	Ready int
}

func poolSelector() labels.Selector {
	return labels.SelectorFromSet(labels.Set{PoolLabel: poolName})
}

func defaultCapacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("32"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
}

// nodes returns the nodes of a pool as they should be.
func (p *Pool) nodes() []*corev1.Node {
	capacity := defaultCapacity()
	maps.Copy(capacity, p.Capacity)
	nodes := make([]*corev1.Node, 0, p.Count)
	for i := range p.Count {
		name := "node-" + strconv.Itoa(i+1)
		nodes = append(nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name:        name,
				Labels:      p.nodeLabels(name, i),
				Annotations: map[string]string{kwokAnnotation: "fake"},
			},
			Spec: corev1.NodeSpec{ProviderID: fmt.Sprintf("local://%s/%s", p.Cluster, name)},
			// A node may be created with its status, as a kubelet does, so that the
			// scheduler never sees it without capacity.
			Status: corev1.NodeStatus{Capacity: capacity.DeepCopy(), Allocatable: capacity.DeepCopy()},
		})
	}
	return nodes
}

func (p *Pool) nodeLabels(name string, index int) map[string]string {
	zone := ""
	if len(p.Zones) > 0 {
		zone = p.Zones[index%len(p.Zones)]
	}
	return nodeLabels(p.Labels, PoolLabel, poolName, name, zone)
}

// nodeLabels returns the labels of a node: those of the user, over them those
// that every node has, and one that says what kind of node it is.
func nodeLabels(extra map[string]string, kind, kindValue, name, zone string) map[string]string {
	all := merged(extra, map[string]string{
		kind:                           kindValue,
		api.SimulatedLabel:             api.SimulatedValue,
		"type":                         "kwok",
		corev1.LabelHostname:           name,
		corev1.LabelOSStable:           "linux",
		corev1.LabelArchStable:         "amd64",
		corev1.LabelInstanceTypeStable: "local",
	})
	if zone != "" {
		all[corev1.LabelTopologyZone] = zone
		all[corev1.LabelTopologyRegion] = region
	}
	return all
}

// nodeChanges is what brings the nodes of a cluster to those of its pool.
type nodeChanges struct {
	create, relabel, resize, remove []*corev1.Node
	count                           NodeCount
}

// compareNodes finds the changes from the nodes there are, all of them carrying
// PoolLabel, to those of the pool. Labels that others put on a node stay.
func compareNodes(pool *Pool, existing []corev1.Node) nodeChanges {
	have := make(map[string]*corev1.Node, len(existing))
	for i := range existing {
		have[existing[i].Name] = &existing[i]
	}
	changes := nodeChanges{count: NodeCount{Desired: pool.Count}}
	for _, want := range pool.nodes() {
		node, ok := have[want.Name]
		delete(have, want.Name)
		if !ok {
			changes.create = append(changes.create, want)
			continue
		}
		if ready(node) && node.DeletionTimestamp.IsZero() {
			changes.count.Ready++
		}
		if !contains(node.Labels, want.Labels) || !contains(node.Annotations, want.Annotations) {
			changed := node.DeepCopy()
			changed.Labels = merged(node.Labels, want.Labels)
			changed.Annotations = merged(node.Annotations, want.Annotations)
			changes.relabel = append(changes.relabel, changed)
		}
		if !equality.Semantic.DeepEqual(node.Status.Capacity, want.Status.Capacity) {
			changed := node.DeepCopy()
			changed.Status.Capacity, changed.Status.Allocatable = want.Status.Capacity, want.Status.Allocatable
			changes.resize = append(changes.resize, changed)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		changes.remove = append(changes.remove, have[name])
	}
	return changes
}

func ready(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func contains(have, want map[string]string) bool {
	for key, value := range want {
		if have[key] != value {
			return false
		}
	}
	return true
}

func merged(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = make(map[string]string, len(over))
	}
	maps.Copy(all, over)
	return all
}
