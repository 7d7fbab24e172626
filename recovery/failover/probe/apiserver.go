package probe

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery/failover"
)

const (
	// Timeout of one question. A server that takes less is slow, not dead.
	Timeout = 10 * time.Second
	// watchLasts bounds one watch; the API server ends it.
	watchLasts = 10 * time.Minute
	// soonest is the least time between two questions, however often connections break.
	soonest = 250 * time.Millisecond
)

// Access to a cluster. Connect is the administrator's, Lend makes of it one that may do
// what the prober does. Both may fail at any time.
type Access struct {
	Connect func(context.Context) (*rest.Config, error)
	// Identity is the UID that namespace kube-system has to have; empty for any.
	Identity func(context.Context) (types.UID, error)
	Lend     func(context.Context, *rest.Config) (*rest.Config, error)
}

// APIServer asks one API server until its context ends.
type APIServer struct {
	Access   Access
	Interval time.Duration
	Clock    clock.WithTicker
	// Holder is written into the Lease, for people.
	Holder string
	// Report takes every answer. It must not block.
	Report func(failover.Reading)

	lent *kubernetes.Clientset
	// broken tells that the watch ended: what it ended for is asked about at once.
	broken chan struct{}
}

// Run asks until the context ends.
func (a *APIServer) Run(ctx context.Context) {
	a.broken = make(chan struct{}, 1)
	watching := func() {}
	defer func() { watching() }()
	last := failover.Unknown
	for {
		asked := a.Clock.Now()
		access := a.lent
		kind, message := a.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		a.Report(failover.Reading{At: a.Clock.Now(), Kind: kind, Message: message})
		if a.lent != nil && a.lent != access {
			watching()
			watching = a.watch(ctx, a.lent)
		}
		wait := a.Interval
		if last == failover.Alive && kind != failover.Alive {
			wait = soonest // a connection that broke hides what a new one would meet
		}
		last = kind
		if !a.pause(ctx, asked, wait) {
			return
		}
	}
}

// pause until the next question is due, or the watch breaks.
func (a *APIServer) pause(ctx context.Context, asked time.Time, wait time.Duration) bool {
	spent := a.Clock.Since(asked)
	timer := a.Clock.NewTimer(max(wait-spent, 0))
	defer timer.Stop()
	least := a.Clock.NewTimer(max(soonest-spent, 0))
	defer least.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	case <-a.broken:
	}
	select {
	case <-ctx.Done():
		return false
	case <-least.C():
		return true
	}
}

// ask once. Without an access it is asked anonymously first: what a dead one says needs no
// credentials.
func (a *APIServer) ask(ctx context.Context) (failover.Kind, string) {
	if a.lent == nil {
		if kind, message, ok := a.open(ctx); !ok {
			return kind, message
		}
	}
	bounded, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	err := a.lent.RESTClient().Get().AbsPath("/readyz").Do(bounded).Error()
	if err == nil {
		err = a.keepLease(bounded)
	}
	kind, message := Classify(err)
	if kind == failover.Unknown {
		a.lent = nil // another incarnation, a token that ran out, rights that somebody took
	}
	return kind, message
}

// open an access. When it cannot be, the answer is what that says of the cluster.
func (a *APIServer) open(ctx context.Context) (failover.Kind, string, bool) {
	bounded, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	admin, err := a.Access.Connect(bounded)
	if err != nil {
		return failover.Unknown, "there is no access to it: " + line(err.Error()), false
	}
	anonymous, err := kubernetes.NewForConfig(unlimited(rest.AnonymousClientConfig(admin)))
	if err != nil {
		return failover.Unknown, "the kubeconfig cannot be used", false
	}
	err = anonymous.RESTClient().Get().AbsPath("/readyz").Do(bounded).Error()
	if err != nil && !apierrors.IsUnauthorized(err) && !apierrors.IsForbidden(err) {
		kind, message := Classify(err)
		if kind != failover.Alive {
			return kind, message, false
		}
	}
	lent, err := a.Access.Lend(bounded, admin)
	if err != nil {
		return failover.Unknown, "it lends no access: " + line(err.Error()), false
	}
	access, err := kubernetes.NewForConfig(unlimited(lent))
	if err != nil {
		return failover.Unknown, "what it lends cannot be used", false
	}
	if kind, message := a.identify(bounded, access); kind != failover.Alive {
		return kind, message, false
	}
	a.lent = access
	return failover.Alive, "", true
}

// identify the cluster. One that lost its data answers with the same name and the same
// certificates, and holds nothing of what it held.
func (a *APIServer) identify(ctx context.Context, access kubernetes.Interface) (failover.Kind, string) {
	want, err := a.Access.Identity(ctx)
	if err != nil {
		return failover.Unknown, "nobody knows which cluster it should be: " + line(err.Error())
	}
	system, err := access.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return Classify(err)
	}
	if want != "" && system.UID != want {
		return failover.Dead, fmt.Sprintf("its data is gone: it answers as another cluster (kube-system UID %s, not %s)", system.UID, want)
	}
	return failover.Alive, ""
}

func unlimited(config *rest.Config) *rest.Config {
	config.QPS = -1
	return config
}

// keepLease writes: an API server without its store still answers some reads.
func (a *APIServer) keepLease(ctx context.Context) error {
	leases := a.lent.CoordinationV1().Leases(metav1.NamespaceSystem)
	renewed := ptr.To(metav1.NewMicroTime(a.Clock.Now()))
	patch := fmt.Appendf(nil, `{"spec":{"renewTime":%q,"holderIdentity":%q}}`, renewed.UTC().Format(metav1.RFC3339Micro), a.Holder)
	_, err := leases.Patch(ctx, capi.ProbeLease, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: capi.ProbeLease, Labels: map[string]string{capi.LabelAccess: "true"}},
		Spec:       coordinationv1.LeaseSpec{RenewTime: renewed, HolderIdentity: ptr.To(a.Holder)},
	}
	_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// watch the Lease for the sake of its connection: when that breaks, the next question does
// not wait for its turn. The function that is returned ends it.
func (a *APIServer) watch(ctx context.Context, access kubernetes.Interface) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	broken := a.broken
	go func() {
		seconds := int64(watchLasts / time.Second)
		for ctx.Err() == nil {
			stream, err := access.CoordinationV1().Leases(metav1.NamespaceSystem).Watch(ctx, metav1.ListOptions{
				FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, capi.ProbeLease).String(), TimeoutSeconds: &seconds,
			})
			if err == nil {
				drain(ctx, stream.ResultChan())
				stream.Stop()
			}
			select {
			case broken <- struct{}{}:
			default:
			}
			if !a.rest(ctx) {
				return
			}
		}
	}()
	return cancel
}

func (a *APIServer) rest(ctx context.Context) bool {
	timer := a.Clock.NewTimer(a.Interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// drain until the channel is closed or the context ends.
func drain[E any](ctx context.Context, events <-chan E) {
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-events:
			if !open {
				return
			}
		}
	}
}
