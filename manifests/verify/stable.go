package verify

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"golang.org/x/sync/errgroup"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

// Wait is what a verification waits for while objects have to stay healthy.
type Wait struct {
	// For is a sentence that continues "waiting for".
	For string
	// Since and Until bound the wait.
	Since, Until time.Time
}

// patience is how long the wait for health to last may take altogether.
func patience(need time.Duration) time.Duration { return 3*need + time.Minute }

// lookout is what a watch tells the loop.
type lookout struct {
	source  string
	whole   bool // the source was listed; false with item < 0: it was lost
	item    int
	message string
}

// settle waits until every rendered object was healthy for as long as asked, by watches
// on all kinds whose health can change. It returns findings about those that kept
// leaving it when the patience is over.
func (v *verifier) settle(ctx context.Context) ([]Finding, error) {
	watched := v.watchable()
	sources := make([]string, 0, len(watched))
	for _, r := range watched {
		sources = append(sources, r.String())
	}
	ctx, cancel := context.WithCancel(ctx)
	group, inner := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		_ = group.Wait() // what ends with its context has nothing to say
	}()
	events := make(chan lookout)
	for _, r := range watched {
		v.spawn(group, func() error { return v.look(inner, r, events) })
	}
	return v.keepVigil(inner, newVigil(v.StableFor, sources), events)
}

func (v *verifier) keepVigil(ctx context.Context, w *vigil, events <-chan lookout) ([]Finding, error) {
	started := v.Clock.Now()
	until := started.Add(patience(v.StableFor))
	w.begin(started)
	for {
		now := v.Clock.Now()
		next := until.Sub(now)
		if left, running := w.left(now); running {
			if left <= 0 {
				return nil, nil
			}
			next = min(next, left)
		}
		if next <= 0 {
			return v.unstable(w), nil
		}
		v.tellWait(w, started, until)
		timer := v.Clock.NewTimer(next)
		select {
		case e := <-events:
			if e.item < 0 {
				w.observed(e.source, e.whole, v.Clock.Now())
			} else {
				w.sick(e.item, e.message, v.Clock.Now())
			}
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
		timer.Stop()
	}
}

func (v *verifier) tellWait(w *vigil, started, until time.Time) {
	if v.Tell == nil {
		return
	}
	what := fmt.Sprintf("%d objects to stay healthy for %s", len(v.objects)-v.report.Skipped, v.StableFor)
	since := w.since
	for _, item := range w.culprits() {
		if message, ill := w.ill[item]; ill {
			what += fmt.Sprintf("; %s is not: %s", v.objects[item].ID(), message)
			break
		}
	}
	if since.IsZero() {
		since = started
	}
	v.Tell(Wait{For: what, Since: since, Until: until})
}

// unstable says who kept the time from running out.
func (v *verifier) unstable(w *vigil) []Finding {
	var out []Finding
	for _, item := range w.culprits() {
		if len(out) == maxDifferences {
			break
		}
		out = append(out, v.finding(item, w.says(item)))
	}
	if len(out) == 0 {
		out = append(out, v.finding(0, fmt.Sprintf("whether the objects stay healthy for %s could not be watched", v.StableFor)))
	}
	return out
}

// watchable are the resources of rendered objects whose health can change while they
// exist. That others are still there is seen by the comparison that follows.
func (v *verifier) watchable() []cluster.Resource {
	var out []cluster.Resource
	added := map[string]bool{}
	for _, o := range v.objects {
		r, ok := v.kinds.Lookup(o.GroupVersionKind())
		if rule, _ := unsought(o); rule != "" || !ok || !r.Listable || !r.Watchable || added[r.String()] || !v.canFall(o, r) {
			continue
		}
		added[r.String()] = true
		out = append(out, r)
	}
	return out
}

// canFall tells whether an object's health is more than that it exists.
func (v *verifier) canFall(o manifests.Object, r cluster.Resource) bool {
	ownKind := builtin.Lookup(r.GroupVersionKind().GroupKind()) == nil
	if ownKind && r.StatusSubresource && !v.Simulated {
		return true
	}
	switch v.assessment(o, &unstructured.Unstructured{Object: cluster.Desired(o.Unstructured, r)}).Status {
	case health.Healthy:
		return false
	case health.NotProvable:
		return !ownKind
	}
	return true
}

// look at one resource until ctx ends: list, watch, and list again when the watch cannot
// go on.
func (v *verifier) look(ctx context.Context, r cluster.Resource, events chan<- lookout) error {
	for failures := 0; ctx.Err() == nil; failures++ {
		version, err := v.client.List(ctx, r, func(u *unstructured.Unstructured) error {
			return v.observe(ctx, events, u, false)
		})
		if err == nil {
			err = tell(ctx, events, lookout{source: r.String(), whole: true, item: -1})
		}
		if err == nil {
			failures = 0
			err = v.follow(ctx, r, version, events)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v.Log.V(1).Info("a watch ended and starts anew", "resource", r.String(), "error", fmt.Sprint(err))
		if err := tell(ctx, events, lookout{source: r.String(), item: -1}); err != nil {
			return err
		}
		select {
		case <-v.Clock.After(100 * time.Millisecond << min(failures, 7)):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// follow returns when the watch cannot go on from where it is.
func (v *verifier) follow(ctx context.Context, r cluster.Resource, version string, events chan<- lookout) error {
	source := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		return v.client.Watch(ctx, r, o)
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
			if err := v.observe(ctx, events, u, ev.Type == watch.Deleted); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// observe one live object, if it was rendered and its health counts.
func (v *verifier) observe(ctx context.Context, events chan<- lookout, u *unstructured.Unstructured, deleted bool) error {
	i, ours := v.index[manifests.IDOf(u)]
	if !ours {
		return nil
	}
	o := v.objects[i]
	if rule, _ := unsought(o); rule != "" || excused(o) != "" {
		return nil
	}
	message := ""
	if deleted {
		if rule, _ := mayBeGone(o); rule == "" {
			message = "it was deleted"
		}
	} else if a := v.assessment(o, u); a.Status != health.Healthy && a.Status != health.NotProvable {
		message = string(a.Status) + ": " + a.Message
	}
	return tell(ctx, events, lookout{item: i, message: message})
}

func tell(ctx context.Context, events chan<- lookout, e lookout) error {
	select {
	case events <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
