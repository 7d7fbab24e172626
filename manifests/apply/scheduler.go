package apply

import (
	"container/heap"
	"fmt"

	"github.com/refloat-dev/refloat/manifests/order"
)

// scheduler tells which objects may be sent, given the gates observed so far. It is a
// pure state machine: observe in, next out.
type scheduler struct {
	graph *order.Graph
	nodes []schedNode
	queue readyQueue
	// onRelease is told of each object whose last gate opened. Optional.
	onRelease func(i int)
}

type schedNode struct {
	pending    int // needs not yet observed
	observed   gates
	dependants []dependant
	released   bool // was queued, passed or taken over
	taken      bool // was taken over
	weight     int
}

type dependant struct {
	node int
	gate order.Gate
	hard bool
}

// gates is a set of order.Gate.
type gates uint8

func bit(g order.Gate) gates {
	switch g {
	case order.Applied:
		return 1
	case order.Served:
		return 2
	default:
		return 4
	}
}

const allGates = gates(7)

// costs are rough relative times until a gate opens. They only decide who goes first
// among those that may go: whatever starts the longest chain.
var costs = map[order.Gate]int{order.Applied: 1, order.Served: 5, order.Ready: 20}

// newScheduler refuses a graph with a cycle or an edge to nowhere, on which it would
// wait for ever.
func newScheduler(g *order.Graph) (*scheduler, error) {
	s := &scheduler{graph: g, nodes: make([]schedNode, len(g.Nodes))}
	for i, n := range g.Nodes {
		s.nodes[i].pending = len(n.Needs)
		for _, e := range n.Needs {
			if e.From < 0 || e.From >= len(g.Nodes) {
				return nil, fmt.Errorf("node %d of the graph needs node %d, which does not exist", i, e.From)
			}
			s.nodes[e.From].dependants = append(s.nodes[e.From].dependants, dependant{node: i, gate: e.Gate, hard: e.Kind == order.Hard})
		}
	}
	if err := s.weigh(); err != nil {
		return nil, err
	}
	for i := range s.nodes {
		if s.nodes[i].pending == 0 {
			s.release(i)
		}
	}
	return s, nil
}

// weigh gives each node the cost of the longest chain that starts with it.
func (s *scheduler) weigh() error {
	pending, sequence := make([]int, len(s.nodes)), make([]int, 0, len(s.nodes))
	for i := range s.nodes {
		if pending[i] = s.nodes[i].pending; pending[i] == 0 {
			sequence = append(sequence, i)
		}
	}
	for at := 0; at < len(sequence); at++ {
		for _, d := range s.nodes[sequence[at]].dependants {
			if pending[d.node]--; pending[d.node] == 0 {
				sequence = append(sequence, d.node)
			}
		}
	}
	if len(sequence) != len(s.nodes) {
		return fmt.Errorf("the graph has a cycle: only %d of its %d nodes can be reached", len(sequence), len(s.nodes))
	}
	for at := len(sequence) - 1; at >= 0; at-- {
		n := &s.nodes[sequence[at]]
		for _, d := range n.dependants {
			n.weight = max(n.weight, s.nodes[d.node].weight+costs[d.gate])
		}
	}
	return nil
}

// release queues an object, or passes a barrier and with it what waited for it.
func (s *scheduler) release(i int) {
	if s.nodes[i].released {
		return
	}
	s.nodes[i].released = true
	if !s.graph.Nodes[i].Virtual() {
		if s.onRelease != nil {
			s.onRelease(i)
		}
		heap.Push(&s.queue, queued{node: i, weight: s.nodes[i].weight})
		return
	}
	s.open(i, allGates)
}

// take hands over an object that needs no sending any more; next will not return it,
// even if it was queued before.
func (s *scheduler) take(i int) { s.nodes[i].released, s.nodes[i].taken = true, true }

// next is the object to send now; false when none may go.
func (s *scheduler) next() (int, bool) {
	for len(s.queue) > 0 {
		if i := heap.Pop(&s.queue).(queued).node; !s.nodes[i].taken {
			return i, true
		}
	}
	return 0, false
}

// again queues an object that was sent in vain.
func (s *scheduler) again(i int) {
	heap.Push(&s.queue, queued{node: i, weight: s.nodes[i].weight})
}

// observe opens a gate of an object. Opening it again changes nothing.
func (s *scheduler) observe(i int, g order.Gate) { s.open(i, bit(g)) }

func (s *scheduler) open(i int, set gates) {
	n := &s.nodes[i]
	fresh := set &^ n.observed
	if fresh == 0 {
		return
	}
	n.observed |= fresh
	for _, d := range n.dependants {
		if bit(d.gate)&fresh == 0 {
			continue
		}
		if s.nodes[d.node].pending--; s.nodes[d.node].pending == 0 {
			s.release(d.node)
		}
	}
}

// giveUp lets everything go on that waits for an object which will not get there, but
// for what cannot be without it, by the nature of the API: that is returned.
func (s *scheduler) giveUp(i int) (stranded []int) {
	n := &s.nodes[i]
	before := n.observed
	n.observed = allGates
	for _, d := range n.dependants {
		switch {
		case bit(d.gate)&before != 0:
		case d.hard:
			stranded = append(stranded, d.node)
		default:
			if s.nodes[d.node].pending--; s.nodes[d.node].pending == 0 {
				s.release(d.node)
			}
		}
	}
	return stranded
}

// unmet is the first need of a node that was not observed; false when all were.
func (s *scheduler) unmet(i int) (order.Edge, bool) {
	for _, e := range s.graph.Nodes[i].Needs {
		if s.nodes[e.From].observed&bit(e.Gate) == 0 {
			return e, true
		}
	}
	return order.Edge{}, false
}

type queued struct{ node, weight int }

// readyQueue is a heap: longest chain first, then the sequence of the graph.
type readyQueue []queued

func (q readyQueue) Len() int { return len(q) }
func (q readyQueue) Less(i, j int) bool {
	if q[i].weight != q[j].weight {
		return q[i].weight > q[j].weight
	}
	return q[i].node < q[j].node
}
func (q readyQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *readyQueue) Push(x any)   { *q = append(*q, x.(queued)) }
func (q *readyQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}
