package controller

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/outbound"
	"github.com/refloat-dev/refloat/recovery"
)

// Poster sends a message to a hook and returns its good answer in words, as outbound.Post.
type Poster func(ctx context.Context, m outbound.Message) (answer string, err error)

// hookBody is what a hook gets.
type hookBody struct {
	Kind      string    `json:"kind"` // Fence, Release, Switch or Rollback
	Hook      string    `json:"hook"`
	Namespace string    `json:"namespace"`
	Plan      string    `json:"plan"`
	Run       string    `json:"run"`
	RunUID    types.UID `json:"runUID"`
	Operation string    `json:"operation"`
	Reason    string    `json:"reason,omitempty"`
	// Epoch of the serving record. A receiver that saw a higher one does nothing.
	Epoch int64    `json:"epoch"`
	From  hookSide `json:"from"`
	To    hookSide `json:"to"`
}

type hookSide struct {
	Plan    string    `json:"plan"`
	Cluster string    `json:"cluster"`
	UID     types.UID `json:"uid,omitempty"`
	// Endpoint of the API server, as Cluster API knows it.
	Endpoint string `json:"endpoint,omitempty"`
}

// callKey of one call.
func callKey(run types.UID, call *recovery.Call) workKey { return workKey{run, "hook/" + call.Name} }

// actOnHooks carries out the actions of a call.
func (r *Reconciler) actOnHooks(ctx context.Context, o recovery.Observation, step recovery.Action) error {
	call := recovery.PendingCall(o.Run)
	if call == nil {
		return errors.New("there is no hook to call; it is looked at again")
	}
	switch step {
	case recovery.RecordCall:
		return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordCalled(run, call.Name, now) })
	case recovery.CallHook:
		r.work.begin(callKey(o.Run.UID, call), client.ObjectKeyFromObject(o.Run), func(ctx context.Context, _ func(advance)) (any, error) {
			return r.call(ctx, o, call)
		})
		return nil
	}
	answer, err := outcome[string](r.work, callKey(o.Run.UID, call))
	if err != nil {
		return err
	}
	return r.update(ctx, o, func(run *v1alpha1.RecoveryRun, now time.Time) { recovery.RecordAnswered(run, call.Name, answer, now) })
}

// call a hook, unless somebody else has the run by now. No good answer within the time-out
// is a Fault, unless people know already and may mend it: then it is tried again.
func (r *Reconciler) call(ctx context.Context, o recovery.Observation, call *recovery.Call) (string, error) {
	if err := r.inCharge(ctx, o); err != nil {
		return "", err
	}
	if call.Apply != "" {
		return r.applyDirectory(ctx, o, call)
	}
	m := outbound.Message{
		URL: call.Hook.URL, Key: call.Key(o.Run), Body: r.bodyOf(ctx, o.Run, call), Timeout: recovery.HookTimeout(call.Hook), Now: r.Clock.Now(),
	}
	if ref := call.Hook.SecretRef; ref != nil {
		s, err := r.secret(ctx, o.Run, ref.Name, "spec.failover, hook "+call.Name)
		if err != nil {
			return "", err
		}
		m.Credentials = outbound.CredentialsOf(s.Data)
	}
	answer, err := r.Post(ctx, m)
	if refused, ok := errors.AsType[outbound.Refusal](err); ok && !recovery.AskedUnfenced(o.Run) {
		return "", recovery.Faultf("HookFailed", "hook %s: %s", call.Name, refused)
	}
	return answer, err
}

func (r *Reconciler) bodyOf(ctx context.Context, run *v1alpha1.RecoveryRun, call *recovery.Call) hookBody {
	f := run.Status.Failover
	side := func(s v1alpha1.FailoverSide, inc *v1alpha1.Incarnation) hookSide {
		h := hookSide{Plan: s.Plan, Cluster: s.Cluster}
		if inc == nil || inc.UID == "" {
			return h
		}
		h.UID = inc.UID
		// The message is good without the address, and the other side may be unreachable.
		if obs, err := r.Clusters.Observe(ctx, run.Namespace, inc.Name); err == nil && obs.UID == inc.UID {
			h.Endpoint = obs.Endpoint
		}
		return h
	}
	return hookBody{
		Kind: call.Kind, Hook: call.Name, Namespace: run.Namespace, Plan: run.Spec.PlanRef.Name, Run: run.Name, RunUID: run.UID,
		Operation: string(run.Spec.Operation), Reason: run.Spec.Reason, Epoch: f.Epoch,
		From: side(f.From, run.Status.Previous), To: side(f.To, run.Status.Target),
	}
}
