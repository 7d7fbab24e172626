package apply

import (
	"context"
	"time"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// probed says that all versions of a definition's kind answer, or that the run ended.
type probed struct {
	item   int
	served bool
}

func isDefinition(o manifests.Object) bool {
	id := o.ID()
	return id.Kind == "CustomResourceDefinition" && id.Group == "apiextensions.k8s.io"
}

// probe begins to ask for a kind once its definition is established. Established
// alone is not enough: the server that answers us may hear of it later.
func (e *engine) probe(ctx context.Context, i int) {
	it := &e.items[i]
	object := e.graph.Nodes[i].Object
	if it.served || it.probing || it.phase != applied || it.seen.Message != unserved || !isDefinition(object) {
		return
	}
	it.probing = true
	e.probes++
	kinds := e.kinds.Announce(object.Unstructured)
	go func() {
		p := &probed{item: i}
		defer func() {
			if r := recover(); r != nil {
				// Nobody opens the gate then, and the definition is late in the end.
				_ = e.fault(r)
			}
			e.events <- event{probed: p}
		}()
		p.served = e.ask(ctx, kinds)
	}()
}

// ask for each version until all have answered or ctx ends.
func (e *engine) ask(ctx context.Context, kinds []cluster.Resource) bool {
	for _, r := range kinds {
		for attempt := 1; ; attempt++ {
			version, err := e.client.Probe(ctx, r)
			if err == nil {
				// A kind that was served before may have instances, which a watch from
				// now on would not show.
				if !e.kinds.Served(r.GroupVersionKind()) {
					e.watcher.from(r, version)
				}
				break
			}
			e.Log.V(1).Info("a new kind is not answered for yet", "resource", r.String(), "error", err.Error())
			select {
			case <-e.Clock.After(probeDelay(attempt, e.Random())):
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

// probeDelay is short, because a kind is usually served within milliseconds and much
// may wait for it.
func probeDelay(attempt int, random float64) time.Duration {
	return min(backoff(attempt, 0, random)/4, time.Second)
}

func (e *engine) probed(p *probed) {
	it := &e.items[p.item]
	it.probing = false
	if !p.served || it.phase != applied {
		return
	}
	it.served = true
	e.sched.observe(p.item, order.Served)
	if it.seen.Message == unserved {
		it.seen.Assessment = health.Assessment{Status: health.Healthy}
		e.assessed(p.item)
	}
}
