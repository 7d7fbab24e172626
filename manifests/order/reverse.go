package order

// Reverse lists the objects level by level in the sequence in which they may be
// deleted: an object only after all that waited for it, directly or through barriers.
// Within a level it keeps the reverse of the sequence in which they were applied.
func (g *Graph) Reverse() [][]int {
	dependants, level := make([]int, len(g.Nodes)), make([]int, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, e := range n.Needs {
			dependants[e.From]++
		}
	}
	queue := make([]int, 0, len(g.Nodes))
	for i, n := range dependants {
		if n == 0 {
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		if !g.Nodes[i].Virtual() {
			level[i]++ // until now the highest level among its dependants
		}
		for _, e := range g.Nodes[i].Needs {
			level[e.From] = max(level[e.From], level[i])
			if dependants[e.From]--; dependants[e.From] == 0 {
				queue = append(queue, e.From)
			}
		}
	}
	var out [][]int
	for i := g.Len() - 1; i >= 0; i-- {
		for len(out) < level[i] {
			out = append(out, nil)
		}
		out[level[i]-1] = append(out[level[i]-1], i)
	}
	return out
}
