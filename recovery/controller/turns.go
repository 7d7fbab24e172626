package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery"
)

// turns remembers which runs may start until the cache shows that they did: two that look
// at once must not take one place.
type turns struct {
	limits recovery.QueueLimits

	mu    sync.Mutex
	taken map[types.UID]time.Time
}

// turnLasts is how long a place is kept for a run that may start and does not.
const turnLasts = time.Minute

func newTurns(limits recovery.QueueLimits) *turns {
	return &turns{limits: limits, taken: map[types.UID]time.Time{}}
}

// turn of a scheduled run that did not start: what it waits behind. The runs are read from
// the cache, which lags; places that were given are remembered.
func (r *Reconciler) turn(ctx context.Context, o recovery.Observation) (string, error) {
	if o.Run.Spec.Schedule == nil || o.Lock.State == recovery.LockMine {
		return "", nil
	}
	t := r.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	runs := &v1alpha1.RecoveryRunList{}
	if err := r.Client.List(ctx, runs, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("list the runs that wait: %w", err)
	}
	t.drop(runs.Items, o.Now)
	taken := make(map[types.UID]bool, len(t.taken))
	for uid := range t.taken {
		taken[uid] = true
	}
	behind := recovery.Behind(o.Run, runs.Items, taken, t.limits)
	if behind == "" && o.Lock.State == recovery.LockFree {
		t.taken[o.Run.UID] = o.Now
	}
	return behind, nil
}

// drop places of runs that started, ended or did not come.
func (t *turns) drop(runs []v1alpha1.RecoveryRun, now time.Time) {
	for i := range runs {
		if s := runs[i].Status; s.StartedAt != nil || s.FinishedAt != nil {
			delete(t.taken, runs[i].UID)
		}
	}
	for uid, at := range t.taken {
		if now.Sub(at) > turnLasts {
			delete(t.taken, uid)
		}
	}
}
