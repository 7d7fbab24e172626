package controller

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	// looksAtOnce bounds how many clusters are looked into at a time.
	looksAtOnce = 16
	// lookTimeout of one cluster.
	lookTimeout = 20 * time.Second
	// lookLasts is for how long what was seen counts.
	lookLasts = time.Minute
)

// errLooking ends the work on a plan until its cluster was looked into.
var errLooking = errors.New("the cluster is being looked into")

// looks into clusters are made beside the work: one that hangs holds up its own teardown
// and nothing else.
type looks struct {
	look  func(ctx context.Context, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy) (string, error)
	now   func() time.Time
	done  func(client.ObjectKey)
	slots chan struct{}

	mu   sync.Mutex
	made map[lookKey]*looked
}

type lookKey struct {
	schedule client.ObjectKey
	plan     types.UID
}

type looked struct {
	nominal string
	over    bool
	at      time.Time
	reason  string
	err     error
}

func newLooks(look func(context.Context, *v1alpha1.RecoveryPlan, v1alpha1.InUsePolicy) (string, error), now func() time.Time, done func(client.ObjectKey)) *looks {
	return &looks{look: look, now: now, done: done, slots: make(chan struct{}, looksAtOnce), made: map[lookKey]*looked{}}
}

// take what a look for a time came to, which is then forgotten; errLooking as long as
// nobody knows, and done is called when somebody does.
func (l *looks) take(schedule client.ObjectKey, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy, nominal string) (string, error) {
	key := lookKey{schedule, plan.UID}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.made[key]
	fresh := known != nil && known.nominal == nominal
	if fresh && !known.over {
		return "", errLooking
	}
	if fresh && l.now().Sub(known.at).Abs() < lookLasts {
		delete(l.made, key)
		return known.reason, known.err
	}
	begun := &looked{nominal: nominal}
	l.made[key] = begun
	go l.make(schedule, plan.DeepCopy(), policy, begun)
	return "", errLooking
}

func (l *looks) make(schedule client.ObjectKey, plan *v1alpha1.RecoveryPlan, policy v1alpha1.InUsePolicy, into *looked) {
	l.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	reason, err := l.look(ctx, plan, policy)
	cancel()
	<-l.slots
	l.mu.Lock()
	into.over, into.at, into.reason, into.err = true, l.now(), reason, err
	l.mu.Unlock()
	l.done(schedule)
}

func (l *looks) forget(schedule client.ObjectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.made {
		if key.schedule == schedule {
			delete(l.made, key)
		}
	}
}
