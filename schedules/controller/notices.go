package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/outbound"
	"github.com/refloat-dev/refloat/schedules"
)

const (
	// noticeQueue bounds how many notices wait to be sent, noticeSenders send them.
	noticeQueue   = 4096
	noticeSenders = 4
	// noticeTimeout of one notice, repetitions included.
	noticeTimeout = 30 * time.Second
	// noticePause of a host that does not answer: the notices of others do not wait for it.
	noticePause = 5 * time.Minute
)

// notices are sent to webhooks beside the work: one that hangs holds nothing up.
type notices struct {
	// Reader of the Secrets that sign, uncached.
	reader   client.Reader
	recorder events.EventRecorder
	now      func() time.Time
	timeout  time.Duration
	queue    chan notice

	mu sync.Mutex
	// silent hosts did not answer in time, and get nothing until then.
	silent map[string]time.Time
}

type notice struct {
	schedule *v1alpha1.RecoverySchedule
	plan     *v1alpha1.RecoveryPlan
	body     noticeBody
}

// noticeBody is what a webhook gets.
type noticeBody struct {
	Kind      string    `json:"kind"` // TeardownNear
	Namespace string    `json:"namespace"`
	Schedule  string    `json:"schedule"`
	Plan      string    `json:"plan"`
	Cluster   string    `json:"cluster"`
	Operation string    `json:"operation"`
	At        time.Time `json:"at"`
	Nominal   string    `json:"nominal"`
	Message   string    `json:"message"`
}

func newNotices(reader client.Reader, recorder events.EventRecorder, now func() time.Time) *notices {
	return &notices{reader: reader, recorder: recorder, now: now, timeout: noticeTimeout, silent: map[string]time.Time{}, queue: make(chan notice, noticeQueue)}
}

// send a notice, when the schedule has an address for it.
func (n *notices) send(schedule *v1alpha1.RecoverySchedule, plan *v1alpha1.RecoveryPlan, d schedules.Decision) {
	if schedule.Spec.Teardown == nil || schedule.Spec.Teardown.Notice.Webhook == nil {
		return
	}
	body := noticeBody{
		Kind: "TeardownNear", Namespace: plan.Namespace, Schedule: schedule.Name, Plan: plan.Name, Cluster: plan.Spec.Cluster.Name,
		Operation: string(d.Due.Operation), At: d.Due.Start.UTC(), Nominal: d.Due.Nominal.String(), Message: d.Message,
	}
	select {
	case n.queue <- notice{schedule, plan, body}:
	default:
		n.recorder.Eventf(plan, schedule, corev1.EventTypeWarning, "NoticeNotSent", "Notify", "too many notices wait to be sent")
	}
}

// Start sends until the context ends.
func (n *notices) Start(ctx context.Context) error {
	done := make(chan struct{})
	for range noticeSenders {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-ctx.Done():
					return
				case next := <-n.queue:
					if err := n.post(ctx, next); err != nil {
						n.recorder.Eventf(next.plan, next.schedule, corev1.EventTypeWarning, "NoticeNotSent", "Notify", "spec.teardown.notice.webhook: %v", err)
					}
				}
			}
		}()
	}
	for range noticeSenders {
		<-done
	}
	return nil
}

// post one notice. Signature and time let who gets it refuse what is forged or repeated.
func (n *notices) post(ctx context.Context, next notice) error {
	if !n.now().Before(next.body.At) {
		return errors.New("it was not sent before the teardown was due")
	}
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	hook := next.schedule.Spec.Teardown.Notice.Webhook
	body, err := json.Marshal(next.body)
	if err != nil {
		return err
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, hook.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("it is no address")
	}
	request.Header.Set("Content-Type", "application/json")
	if err := n.sign(ctx, request, next, body); err != nil {
		return err
	}
	if n.isSilent(request.URL.Host) {
		return fmt.Errorf("%s did not answer in time a moment ago", request.URL.Host)
	}
	c := outbound.Client(request.URL.Hostname())
	c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer c.HTTPClient.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			n.setSilent(request.URL.Host)
		}
		return fmt.Errorf("%s: %w", request.URL.Host, outbound.Unaddressed(err))
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s", request.URL.Host, outbound.StatusOf(response))
	}
	return nil
}

func (n *notices) isSilent(host string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	until, ok := n.silent[host]
	if ok && !n.now().Before(until) {
		delete(n.silent, host)
		return false
	}
	return ok
}

func (n *notices) setSilent(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other, until := range n.silent {
		if !n.now().Before(until) {
			delete(n.silent, other)
		}
	}
	n.silent[host] = n.now().Add(noticePause)
}

func (n *notices) sign(ctx context.Context, request *retryablehttp.Request, next notice, body []byte) error {
	ref := next.schedule.Spec.Teardown.Notice.Webhook.SecretRef
	if ref == nil {
		return nil
	}
	secret := &corev1.Secret{}
	if err := n.reader.Get(ctx, client.ObjectKey{Namespace: next.schedule.Namespace, Name: ref.Name}, secret); err != nil {
		return fmt.Errorf("read Secret %s: %w", ref.Name, err)
	}
	outbound.CredentialsOf(secret.Data).Sign(request.Header, body, n.now())
	return nil
}
