// Package observer looks at one cluster from where this process runs, and tells a failover
// policy what it sees: a second vantage, for when the way between the controller and the
// cluster is what is broken.
package observer

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery/failover"
	"github.com/refloat-dev/refloat/recovery/failover/probe"
)

// Observer of the cluster of one policy.
type Observer struct {
	// Client of the management cluster. It writes one Lease.
	Client   client.Client
	Clusters probe.Clusters
	Policy   client.ObjectKey
	// Name under which the policy lists the observer.
	Name  string
	Clock clock.WithTicker
	// Tell takes each change of what is seen, for people.
	Tell func(failover.Sighting)
}

// look is the present state of the probe.
type look struct {
	mu    sync.Mutex
	inc   capi.Incarnation
	track failover.Track
	stop  func()
}

// Run looks and tells until the context ends. It returns an error when the policy does not
// exist, or does not list the observer: nobody would listen.
func (o *Observer) Run(ctx context.Context) error {
	l := &look{}
	changed := make(chan struct{}, 1)
	defer func() { l.end() }()
	if err := o.listed(ctx); err != nil {
		return err
	}
	var last v1alpha1.SignalState
	for {
		seen, err := o.see(ctx, l, changed)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil: // what it knows goes stale by itself, and then says nothing
			seen = failover.Sighting{Observer: o.Name, State: v1alpha1.SignalUnknown, Since: o.Clock.Now(), Message: err.Error()}
		}
		if seen.State != last {
			o.Tell(seen)
			last = seen.State
		}
		timer := o.Clock.NewTimer(failover.SightingEvery)
		select {
		case <-ctx.Done():
		case <-timer.C():
		case <-changed:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (o *Observer) listed(ctx context.Context) error {
	policy := &v1alpha1.FailoverPolicy{}
	err := o.Client.Get(ctx, o.Policy, policy)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no FailoverPolicy %s in namespace %s", o.Policy.Name, o.Policy.Namespace)
	}
	if err != nil {
		return fmt.Errorf("read FailoverPolicy %s: %w", o.Policy, err)
	}
	for _, one := range policy.Spec.Observers {
		if one.Name == o.Name {
			return nil
		}
	}
	return fmt.Errorf("FailoverPolicy %s has no observer %s: add {name: %s} to its spec.observers", o.Policy.Name, o.Name, o.Name)
}

// see the cluster that is there now and write down what is seen.
func (o *Observer) see(ctx context.Context, l *look, changed chan struct{}) (failover.Sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, failover.SightingFresh)
	defer cancel()
	policy, plan := &v1alpha1.FailoverPolicy{}, &v1alpha1.RecoveryPlan{}
	if err := o.Client.Get(ctx, o.Policy, policy); err != nil {
		return failover.Sighting{}, fmt.Errorf("read FailoverPolicy %s: %w", o.Policy, err)
	}
	if err := o.Client.Get(ctx, client.ObjectKey{Namespace: policy.Namespace, Name: policy.Spec.PlanRef.Name}, plan); err != nil {
		return failover.Sighting{}, fmt.Errorf("read plan %s: %w", policy.Spec.PlanRef.Name, err)
	}
	obs, err := o.Clusters.Observe(ctx, plan.Namespace, plan.Spec.Cluster.Name)
	if err != nil {
		return failover.Sighting{}, err
	}
	if !obs.Exists {
		l.end()
		return failover.Sighting{Observer: o.Name, State: v1alpha1.SignalUnknown, Since: o.Clock.Now(), Message: "there is no cluster"}, nil
	}
	l.begin(o, obs.Incarnation, changed)
	seen, pending := l.sighting(o)
	if pending { // what the process before this one saw counts as long as it is fresh
		return seen, nil
	}
	return seen, o.write(ctx, seen, obs.UID)
}

// begin to probe an incarnation, if it is not being probed.
func (l *look) begin(o *Observer, inc capi.Incarnation, changed chan struct{}) {
	if l.inc == inc {
		return
	}
	l.end()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.mu.Lock()
	l.inc, l.track = inc, failover.Track{}
	l.stop = func() { cancel(); <-done }
	l.mu.Unlock()
	asks := &probe.APIServer{
		Access:   probe.AccessTo(o.Clusters, o.Client, inc),
		Interval: failover.DefaultInterval, Clock: o.Clock, Holder: "refloat-observer-" + o.Name,
		Report: func(r failover.Reading) {
			if l.take(r) {
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		},
	}
	go func() {
		defer close(done)
		asks.Run(ctx)
	}()
}

// take a reading and tell whether it is another kind than the last.
func (l *look) take(r failover.Reading) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.track
	l.track = before.Next(r)
	return before.Pending() || before.Last.Kind != r.Kind
}

func (l *look) sighting(o *Observer) (failover.Sighting, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := o.Clock.Now()
	s := l.track.Sample(o.Name, failover.Asking{Every: failover.DefaultInterval, Timeout: probe.Timeout, Patience: failover.DefaultUnreachableAfter}, now)
	if s.Pending {
		s.Since, s.Message = now, "it has just begun to look"
	}
	return failover.Sighting{Observer: o.Name, State: s.State, Since: s.Since, Message: s.Message}, s.Pending
}

func (l *look) end() {
	l.mu.Lock()
	stop := l.stop
	l.stop, l.inc = nil, capi.Incarnation{}
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// write the sighting into its Lease.
func (o *Observer) write(ctx context.Context, seen failover.Sighting, cluster types.UID) error {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: o.Policy.Namespace, Name: failover.SightingName(o.Policy.Name, o.Name)}}
	err := o.Client.Get(ctx, client.ObjectKeyFromObject(lease), lease)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read Lease %s: %w", lease.Name, err)
	}
	found := err == nil
	failover.WriteSighting(lease, seen, cluster, o.Clock.Now().Truncate(time.Microsecond))
	if found {
		err = o.Client.Update(ctx, lease)
	} else {
		err = o.Client.Create(ctx, lease)
	}
	if err != nil {
		return fmt.Errorf("write Lease %s: %w", lease.Name, err)
	}
	return nil
}
