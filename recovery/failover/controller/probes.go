package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery/failover"
	"github.com/refloat-dev/refloat/recovery/failover/probe"
)

// leaseEvery is how often a heartbeat is looked at.
const leaseEvery = 5 * time.Second

// runner asks until its context ends.
type runner interface{ Run(ctx context.Context) }

// Signals of a policy: the API server when it names none.
func Signals(policy *v1alpha1.FailoverPolicy) []v1alpha1.Signal {
	if len(policy.Spec.Unhealthy.Signals) > 0 {
		return policy.Spec.Unhealthy.Signals
	}
	return []v1alpha1.Signal{{Name: failover.DefaultSignal, APIServer: &v1alpha1.APIServerSignal{}}}
}

// probe starts what a policy has to ask. A reading that changes something calls the policy up.
func (r *Reconciler) probe(ctx context.Context, policy *v1alpha1.FailoverPolicy, inc capi.Incarnation, report func(string, failover.Reading)) (wait func()) {
	var running sync.WaitGroup
	key := client.ObjectKeyFromObject(policy)
	for _, signal := range Signals(policy) {
		tell := func(reading failover.Reading) {
			how := askingOf(&signal)
			before := r.board.track(key, signal.Name)
			was := before.Sample(signal.Name, how, reading.At)
			report(signal.Name, reading)
			is := before.Next(reading).Sample(signal.Name, how, reading.At)
			if was.Pending || was.State != is.State || was.Message != is.Message {
				r.call(key)
			}
		}
		if asks := r.runner(policy, &signal, inc, tell); asks != nil {
			running.Go(func() { asks.Run(ctx) })
		}
	}
	return running.Wait
}

// runner of a signal, nil for one that is not asked but told.
func (r *Reconciler) runner(policy *v1alpha1.FailoverPolicy, signal *v1alpha1.Signal, inc capi.Incarnation, tell func(failover.Reading)) runner {
	switch {
	case signal.APIServer != nil:
		return &probe.APIServer{
			Access:   probe.AccessTo(r.Clusters, r.Client, inc),
			Interval: orDefault(signal.APIServer.Interval, failover.DefaultInterval), Clock: r.Clock, Holder: "refloat-controller", Report: tell,
		}
	case signal.HTTP != nil:
		return &probe.HTTP{
			URL: signal.HTTP.URL, Status: int(signal.HTTP.Status), Secret: r.secretOf(policy.Namespace, signal.HTTP.SecretRef),
			Interval: orDefault(signal.HTTP.Interval, failover.DefaultHTTPInterval), Clock: r.Clock, Report: tell,
		}
	case signal.Heartbeat != nil:
		return &heartbeat{r: r, lease: client.ObjectKey{Namespace: policy.Namespace, Name: signal.Heartbeat.LeaseRef.Name},
			stale: orDefault(signal.Heartbeat.StaleAfter, failover.DefaultStaleAfter), tell: tell}
	}
	return nil
}

// secretOf an address.
func (r *Reconciler) secretOf(namespace string, ref *v1alpha1.LocalSecretReference) func(context.Context) (string, []byte, error) {
	return func(ctx context.Context) (string, []byte, error) {
		if ref == nil {
			return "", nil, nil
		}
		secret := &corev1.Secret{}
		if err := r.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, secret); err != nil {
			return "", nil, fmt.Errorf("read Secret %s: %w", ref.Name, err)
		}
		if secret.Type == corev1.SecretTypeServiceAccountToken {
			return "", nil, fmt.Errorf("Secret %s is the token of a service account, which is sent nowhere", ref.Name)
		}
		return string(secret.Data["token"]), secret.Data["ca.crt"], nil
	}
}

// heartbeat looks at a Lease.
type heartbeat struct {
	r     *Reconciler
	lease client.ObjectKey
	stale time.Duration
	tell  func(failover.Reading)
}

// Run looks until the context ends.
func (h *heartbeat) Run(ctx context.Context) {
	for {
		kind, message := h.look(ctx)
		if ctx.Err() != nil {
			return
		}
		h.tell(failover.Reading{At: h.r.Clock.Now(), Kind: kind, Message: message})
		timer := h.r.Clock.NewTimer(leaseEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}

func (h *heartbeat) look(ctx context.Context) (failover.Kind, string) {
	ctx, cancel := context.WithTimeout(ctx, probe.Timeout)
	defer cancel()
	lease := &coordinationv1.Lease{}
	err := h.r.Reader.Get(ctx, h.lease, lease)
	switch {
	case apierrors.IsNotFound(err):
		return failover.Unknown, fmt.Sprintf("Lease %s does not exist", h.lease.Name)
	case err != nil:
		return failover.Unknown, fmt.Sprintf("Lease %s cannot be read", h.lease.Name)
	case lease.Spec.RenewTime == nil:
		return failover.Unknown, fmt.Sprintf("Lease %s was never renewed", h.lease.Name)
	case h.r.Clock.Since(lease.Spec.RenewTime.Time) > h.stale:
		return failover.Dead, fmt.Sprintf("Lease %s was renewed at %s for the last time", h.lease.Name, lease.Spec.RenewTime.UTC().Format(time.RFC3339))
	}
	return failover.Alive, ""
}

// samples of all signals of a policy.
func (r *Reconciler) samples(policy *v1alpha1.FailoverPolicy, seen capi.Observation, now time.Time) []failover.Sample {
	key := client.ObjectKeyFromObject(policy)
	var out []failover.Sample
	for _, signal := range Signals(policy) {
		switch {
		case signal.Condition != "":
			out = append(out, ofCondition(signal, seen))
		case signal.Webhook != nil:
			out = append(out, ofReport(policy, signal, now))
		default:
			out = append(out, r.board.track(key, signal.Name).Sample(signal.Name, askingOf(&signal), now))
		}
	}
	return out
}

// askingOf a signal.
func askingOf(signal *v1alpha1.Signal) failover.Asking {
	how := failover.Asking{Every: leaseEvery, Timeout: probe.Timeout, Patience: failover.DefaultUnreachableAfter}
	if s := signal.APIServer; s != nil {
		how.Every, how.Patience = orDefault(s.Interval, failover.DefaultInterval), orDefault(s.UnreachableAfter, how.Patience)
	}
	if s := signal.HTTP; s != nil {
		how.Every, how.Patience = orDefault(s.Interval, failover.DefaultHTTPInterval), orDefault(s.UnreachableAfter, how.Patience)
	}
	return how
}

// asked signals of a policy; the others are told.
func asked(policy *v1alpha1.FailoverPolicy) map[string]failover.Asking {
	all := map[string]failover.Asking{}
	for _, signal := range Signals(policy) {
		if signal.APIServer != nil || signal.HTTP != nil {
			all[signal.Name] = askingOf(&signal)
		}
	}
	return all
}

// ofCondition of Cluster API. Only False is a failure: Unknown is what it says before it
// could look.
func ofCondition(signal v1alpha1.Signal, seen capi.Observation) failover.Sample {
	s := failover.Sample{Name: signal.Name, State: v1alpha1.SignalUnknown, Message: fmt.Sprintf("Cluster API says nothing of %s", signal.Condition)}
	c := meta.FindStatusCondition(seen.Conditions, string(signal.Condition))
	if c == nil {
		return s
	}
	s.Since, s.Message = c.LastTransitionTime.Time, ""
	switch c.Status {
	case metav1.ConditionTrue:
		s.State = v1alpha1.SignalHealthy
	case metav1.ConditionFalse:
		s.State, s.Message = v1alpha1.SignalFailing, fmt.Sprintf("%s is False: %s", c.Type, c.Reason)
	case metav1.ConditionUnknown:
		s.Message = fmt.Sprintf("%s is Unknown: %s", c.Type, c.Reason)
	}
	return s
}

// ofReport that came by webhook.
func ofReport(policy *v1alpha1.FailoverPolicy, signal v1alpha1.Signal, now time.Time) failover.Sample {
	s := failover.Sample{Name: signal.Name, State: v1alpha1.SignalUnknown, Message: "nobody reported lately"}
	for _, report := range policy.Status.Reports {
		if report.Name != signal.Name {
			continue
		}
		until := report.At.Add(orDefault(signal.Webhook.ValidFor, failover.DefaultValidFor))
		if !now.Before(until) {
			return s
		}
		s.State, s.Since, s.Message, s.Changes = v1alpha1.SignalFailing, report.Since.Time, report.Reason, until
		if report.Healthy {
			s.State = v1alpha1.SignalHealthy
		}
		return s
	}
	return s
}

func orDefault(d *metav1.Duration, fallback time.Duration) time.Duration {
	if d == nil || d.Duration <= 0 {
		return fallback
	}
	return d.Duration
}
