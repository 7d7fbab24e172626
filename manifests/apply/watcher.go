package apply

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

// watcher assesses live objects, with one watch per resource. It keeps no objects:
// each is assessed as it arrives and let go.
type watcher struct {
	e  *engine
	wg sync.WaitGroup

	mu     sync.Mutex
	opened map[schema.GroupVersionResource]bool
	// since is from which version on a watch sees all that this run creates, for
	// resources of which nothing of ours existed before.
	since map[schema.GroupVersionResource]string
}

func newWatcher(e *engine) *watcher {
	return &watcher{
		e:      e,
		opened: map[schema.GroupVersionResource]bool{},
		since:  map[schema.GroupVersionResource]string{},
	}
}

// from remembers a version from which a watch may start without a list before it.
func (w *watcher) from(r cluster.Resource, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since[r.GroupVersionResource] = version
}

// open starts the watch of a resource, which ends with ctx, unless it is there. It
// does not wait for it: the watch begins at a version before the first write, or with
// a list.
func (w *watcher) open(ctx context.Context, r cluster.Resource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened[r.GroupVersionResource] {
		return
	}
	w.opened[r.GroupVersionResource] = true
	version := w.since[r.GroupVersionResource]
	w.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				w.broken(ctx, w.e.fault(p))
			}
		}()
		w.run(ctx, r, version)
	})
}

// wait returns when all watches have ended, after their context did.
func (w *watcher) wait() { w.wg.Wait() }

// run lists when it has no version to start from, and watches until that version is
// too old, over and over.
func (w *watcher) run(ctx context.Context, r cluster.Resource, version string) {
	for failures := 0; ctx.Err() == nil; {
		if version == "" {
			var err error
			if version, err = w.list(ctx, r); apierrors.IsUnauthorized(err) {
				w.broken(ctx, loggedOut(err))
				return
			} else if err != nil {
				failures++
				w.e.Log.V(1).Info("cannot list, will try again", "resource", r.String(), "error", err.Error())
				w.pause(ctx, failures)
				continue
			}
		}
		if err := w.follow(ctx, r, version); err != nil {
			failures++
			w.e.Log.V(1).Info("a watch ended and starts anew", "resource", r.String(), "error", err.Error())
			w.pause(ctx, failures)
		}
		version = ""
	}
}

func (w *watcher) pause(ctx context.Context, failures int) {
	select {
	case <-w.e.Clock.After(backoff(failures, 0, w.e.Random())):
	case <-ctx.Done():
	}
}

// list assesses all that exists and finds what no longer does.
func (w *watcher) list(ctx context.Context, r cluster.Resource) (string, error) {
	found := map[int]bool{}
	version, err := w.e.client.List(ctx, r, func(u *unstructured.Unstructured) error {
		if i, ok := w.e.index[manifests.IDOf(u)]; ok {
			found[i] = true
			w.tell(ctx, i, u)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for id, i := range w.e.index {
		if id.Group == r.Group && id.Kind == r.Kind && !found[i] {
			w.gone(ctx, i, version)
		}
	}
	return version, nil
}

// follow returns when the watch cannot go on from where it is.
func (w *watcher) follow(ctx context.Context, r cluster.Resource, version string) error {
	source := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (out watch.Interface, err error) {
		// The library calls this in a goroutine of its own.
		defer func() {
			if p := recover(); p != nil {
				err = w.e.fault(p)
				w.broken(ctx, err)
			}
		}()
		return w.e.client.Watch(ctx, r, o)
	}}
	retrying, err := watchtools.NewRetryWatcherWithContext(ctx, version, source)
	if err != nil {
		return fmt.Errorf("watch %s: %w", r, err)
	}
	defer func() {
		retrying.Stop()
		<-retrying.Done()
	}()
	for ev := range retrying.ResultChan() {
		if ev.Type == watch.Error {
			return fmt.Errorf("watch %s: %w", r, apierrors.FromObject(ev.Object))
		}
		if u, ok := ev.Object.(*unstructured.Unstructured); ok {
			w.take(ctx, u, ev.Type == watch.Deleted)
		}
	}
	return ctx.Err()
}

func (w *watcher) take(ctx context.Context, u *unstructured.Unstructured, deleted bool) {
	i, ours := w.e.index[manifests.IDOf(u)]
	if !ours {
		return
	}
	if deleted {
		w.gone(ctx, i, u.GetResourceVersion())
		return
	}
	w.tell(ctx, i, u)
}

func (w *watcher) tell(ctx context.Context, item int, u *unstructured.Unstructured) {
	w.send(ctx, event{observed: &observed{item: item, observation: observation{
		version: u.GetResourceVersion(), uid: u.GetUID(), Assessment: health.Assess(u, w.e.environment())}}})
}

func (w *watcher) gone(ctx context.Context, item int, version string) {
	w.send(ctx, event{observed: &observed{item: item, observation: observation{
		version: version, Assessment: health.Assess(nil, w.e.environment())}}})
}

// broken ends the run: whoever waits for what this watch would show waits for ever.
func (w *watcher) broken(ctx context.Context, err error) {
	w.send(ctx, event{broken: err})
}

func (w *watcher) send(ctx context.Context, ev event) {
	select {
	case w.e.events <- ev:
	case <-ctx.Done():
	}
}
