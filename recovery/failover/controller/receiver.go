package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/failover"
)

// receiver takes reports about clusters: POST /signals/NAMESPACE/POLICY/SIGNAL.
type receiver struct {
	r    *Reconciler
	addr string
}

const (
	// maxReport that is read.
	maxReport = 16 << 10
	// receiveTimeout bounds one request.
	receiveTimeout = 10 * time.Second
)

// Start serves until the context ends.
func (v *receiver) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", v.addr)
	if err != nil {
		return fmt.Errorf("listen for reports on %s: %w", v.addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /signals/{namespace}/{policy}/{signal}", v)
	server := &http.Server{
		Handler: mux, ReadTimeout: receiveTimeout, WriteTimeout: receiveTimeout, IdleTimeout: receiveTimeout, MaxHeaderBytes: maxReport,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	ctrl.Log.Info("Reports about clusters are taken", "address", listener.Addr().String())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve reports: %w", err)
	}
	return nil
}

// ServeHTTP implements http.Handler. Who cannot sign learns nothing: whether there is a
// policy of the name, neither.
func (v *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxReport))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("a report has at most %d bytes", maxReport), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the report could not be read", http.StatusBadRequest)
		return
	}
	key := client.ObjectKey{Namespace: request.PathValue("namespace"), Name: request.PathValue("policy")}
	code, answer := v.take(request.Context(), key, request.PathValue("signal"), request.Header, body)
	if code == http.StatusNoContent {
		w.WriteHeader(code)
		return
	}
	http.Error(w, answer, code)
}

// take a report.
func (v *receiver) take(ctx context.Context, key client.ObjectKey, name string, header http.Header, body []byte) (int, string) {
	refused := failover.ErrSignature.Error()
	id, signature := header.Get(failover.HeaderID), header.Get(failover.HeaderSignature)
	if !failover.Signed(id, signature) {
		return http.StatusUnauthorized, refused
	}
	policy := &v1alpha1.FailoverPolicy{}
	if err := v.r.Client.Get(ctx, key, policy); err != nil { // from the cache: anybody may ask
		return refusedUnless(err, refused)
	}
	i := slices.IndexFunc(policy.Spec.Unhealthy.Signals, func(s v1alpha1.Signal) bool { return s.Name == name && s.Webhook != nil })
	if i < 0 {
		return http.StatusUnauthorized, refused
	}
	secret := &corev1.Secret{}
	if err := v.r.Reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: policy.Spec.Unhealthy.Signals[i].Webhook.SecretRef.Name}, secret); err != nil {
		return refusedUnless(err, refused)
	}
	at, err := failover.CheckSignature(secret.Data["key"], id, failover.About(key.Namespace, key.Name, name), signature, body, v.r.Clock.Now())
	if err != nil {
		return http.StatusUnauthorized, err.Error()
	}
	report, err := failover.ReadReport(body)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		return v.keep(ctx, key, v1alpha1.WebhookReport{Name: name, Healthy: *report.Healthy, At: metav1.NewMicroTime(at), Since: metav1.NewMicroTime(at), ID: id, Reason: failover.Clip(report.Reason)})
	})
	switch {
	case errors.Is(err, errReplayed):
		return http.StatusConflict, err.Error()
	case err != nil:
		ctrl.Log.Error(err, "a report cannot be kept", "policy", key.String(), "signal", name)
		return http.StatusServiceUnavailable, "the report cannot be kept now"
	}
	v.r.call(key)
	return http.StatusNoContent, ""
}

func refusedUnless(err error, refused string) (int, string) {
	if apierrors.IsNotFound(err) {
		return http.StatusUnauthorized, refused
	}
	return http.StatusServiceUnavailable, "the management cluster does not answer"
}

var errReplayed = errors.New("a report as new as this one was taken already")

// validUntil is how long a report counts.
func validUntil(policy *v1alpha1.FailoverPolicy, report *v1alpha1.WebhookReport) time.Time {
	for _, s := range policy.Spec.Unhealthy.Signals {
		if s.Name == report.Name && s.Webhook != nil {
			return report.At.Add(orDefault(s.Webhook.ValidFor, failover.DefaultValidFor))
		}
	}
	return time.Time{}
}

// keep a report in the policy's status, where it survives this process, unless it is not
// newer than the one that is there.
func (v *receiver) keep(ctx context.Context, key client.ObjectKey, report v1alpha1.WebhookReport) error {
	policy := &v1alpha1.FailoverPolicy{}
	if err := v.r.Reader.Get(ctx, key, policy); err != nil {
		return err
	}
	i := slices.IndexFunc(policy.Status.Reports, func(r v1alpha1.WebhookReport) bool { return r.Name == report.Name })
	if i >= 0 {
		if !policy.Status.Reports[i].At.Before(&report.At) {
			return errReplayed
		}
		before := policy.Status.Reports[i]
		if before.Healthy == report.Healthy && !report.At.After(validUntil(policy, &before)) {
			report.Since = before.Since
		}
		policy.Status.Reports[i] = report
	} else {
		policy.Status.Reports = append(policy.Status.Reports, report)
	}
	policy.Status.Reports = slices.DeleteFunc(policy.Status.Reports, func(r v1alpha1.WebhookReport) bool {
		return !slices.ContainsFunc(policy.Spec.Unhealthy.Signals, func(s v1alpha1.Signal) bool { return s.Name == r.Name && s.Webhook != nil })
	})
	return v.r.Client.Status().Update(ctx, policy)
}
