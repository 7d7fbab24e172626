package order

// partition is the strongly connected components of a graph.
type partition struct {
	id   []int // component of each node
	size []int // nodes in each component
	self bool  // some edge goes from a node to itself
}

func cyclic(p partition) bool {
	if p.self {
		return true
	}
	for _, n := range p.size {
		if n > 1 {
			return true
		}
	}
	return false
}

// adjacency lists the links that leave each node.
func adjacency(nodes int, links []link) [][]int {
	degree := make([]int, nodes)
	for _, l := range links {
		degree[l.from]++
	}
	backing := make([]int, len(links))
	out := make([][]int, nodes)
	at := 0
	for n, d := range degree {
		out[n] = backing[at : at : at+d]
		at += d
	}
	for k, l := range links {
		out[l.from] = append(out[l.from], k)
	}
	return out
}

// components is Tarjan's algorithm with an explicit stack, because a chain of objects
// may be as deep as the repository is large.
func components(nodes int, links []link) partition {
	t := tarjan{
		links: links, out: adjacency(nodes, links),
		order: make([]int, nodes), low: make([]int, nodes), next: make([]int, nodes), onStack: make([]bool, nodes),
		p: partition{id: make([]int, nodes)},
	}
	for _, l := range links {
		t.p.self = t.p.self || l.from == l.to
	}
	for n := range nodes {
		if t.order[n] == 0 {
			t.visit(n)
		}
	}
	return t.p
}

type tarjan struct {
	links   []link
	out     [][]int
	order   []int // from 1; 0 is not visited
	low     []int
	next    []int // position in out
	onStack []bool
	stack   []int
	count   int
	p       partition
}

func (t *tarjan) enter(n int) {
	t.count++
	t.order[n], t.low[n] = t.count, t.count
	t.stack = append(t.stack, n)
	t.onStack[n] = true
}

func (t *tarjan) visit(root int) {
	t.enter(root)
	path := []int{root}
	for len(path) > 0 {
		n := path[len(path)-1]
		if t.next[n] < len(t.out[n]) {
			m := t.links[t.out[n][t.next[n]]].to
			t.next[n]++
			if t.order[m] == 0 {
				t.enter(m)
				path = append(path, m)
			} else if t.onStack[m] {
				t.low[n] = min(t.low[n], t.order[m])
			}
			continue
		}
		path = path[:len(path)-1]
		if len(path) > 0 {
			parent := path[len(path)-1]
			t.low[parent] = min(t.low[parent], t.low[n])
		}
		if t.low[n] == t.order[n] {
			t.close(n)
		}
	}
}

// close pops one finished component off the stack.
func (t *tarjan) close(root int) {
	size := 0
	for {
		n := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.onStack[n] = false
		t.p.id[n] = len(t.p.size)
		size++
		if n == root {
			break
		}
	}
	t.p.size = append(t.p.size, size)
}

// maxStarts bounds from how many nodes of one component a shortest cycle is sought.
const maxStarts = 256

// cycles finds a shortest cycle in each component of the firm edges.
func (b *builder) cycles() []error {
	var faults []error
	for _, path := range shortestCycles(b.nodes(), b.strong) {
		faults = append(faults, b.cycleError(path))
	}
	return faults
}

// shortestCycles are one of each component, as links.
func shortestCycles(nodes int, links []link) [][]int {
	comp := components(nodes, links)
	members := map[int][]int{}
	var found []int
	for n, c := range comp.id {
		if comp.size[c] > 1 {
			if len(members[c]) == 0 {
				found = append(found, c)
			}
			members[c] = append(members[c], n)
		}
	}
	out := adjacency(nodes, links)
	paths := make([][]int, 0, len(found))
	for _, c := range found {
		var best []int
		for _, start := range members[c][:min(len(members[c]), maxStarts)] {
			if path := shortest(start, links, out, comp.id); best == nil || len(path) < len(best) {
				best = path
			}
		}
		paths = append(paths, best)
	}
	return paths
}

// shortest cycle through a node, as links, found breadth first.
func shortest(start int, links []link, out [][]int, component []int) []int {
	via := map[int]int{} // node -> link by which it was reached
	queue := []int{start}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, k := range out[n] {
			to := links[k].to
			if _, seen := via[to]; seen || component[to] != component[start] {
				continue
			}
			via[to] = k
			if to == start {
				return unwind(start, links, via)
			}
			queue = append(queue, to)
		}
	}
	return nil
}

// unwind walks back from start to start: each step is followed by what it waits for.
func unwind(start int, links []link, via map[int]int) []int {
	path := []int{via[start]}
	for n := links[via[start]].from; n != start; n = links[via[n]].from {
		path = append(path, via[n])
	}
	return path
}

func (b *builder) cycleError(path []int) *CycleError {
	c := &CycleError{}
	for _, k := range path {
		l := b.strong[k]
		step := CycleStep{Kind: l.kind, Gate: l.gate, Reason: l.reason}
		if l.to < len(b.items) {
			step.ID, step.Origin = b.items[l.to].id, b.items[l.to].Origin
		} else {
			step.Barrier = b.name(l.to)
		}
		c.Steps = append(c.Steps, step)
	}
	return c
}
