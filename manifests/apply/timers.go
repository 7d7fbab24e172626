package apply

import (
	"container/heap"
	"time"
)

// timers is a heap of moments at which an item may be due. Entries are not removed
// when they become void; whoever pops one looks at the item.
type timers struct{ heap timerHeap }

type timerEntry struct {
	at   time.Time
	item int
}

func (t *timers) add(at time.Time, item int) { heap.Push(&t.heap, timerEntry{at: at, item: item}) }

// next is the earliest moment; false when there is none.
func (t *timers) next() (time.Time, bool) {
	if len(t.heap) == 0 {
		return time.Time{}, false
	}
	return t.heap[0].at, true
}

// pop takes the earliest item that is due by now.
func (t *timers) pop(now time.Time) (int, bool) {
	if len(t.heap) == 0 || t.heap[0].at.After(now) {
		return 0, false
	}
	return heap.Pop(&t.heap).(timerEntry).item, true
}

type timerHeap []timerEntry

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timerEntry)) }
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
