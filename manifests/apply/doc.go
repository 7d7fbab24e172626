// Package apply brings a graph of objects onto a cluster and waits until each is
// healthy.
//
// An object is sent, as one server-side apply request, the moment the last gate that
// it needs was observed: a dependency accepted (Applied), a kind answered for
// (Served), a dependency healthy (Ready). Gates are observed by watches, never by
// sleeping. The parts:
//
//	scheduler   which object may go now; knows only the graph      (pure)
//	verdict     what to do after an error: retry, fall back, fail   (pure)
//	limiter     how many requests may be in flight                  (pure)
//	watcher     the health of live objects, one watch per resource
//	adoption    what an earlier process of the same run, or an earlier run, has applied
//	hooks       what is recorded and removed when its work is done
//	explain     what the pods of a workload say when it is late
//	engine      the loop that joins them; one goroutine owns all state
package apply
