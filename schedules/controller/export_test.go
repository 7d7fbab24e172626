package controller

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewReconciler for tests, which call it up themselves.
func NewReconciler(c client.Client, recorder events.EventRecorder, o Options, set func(client.ObjectKey, time.Time), call func(client.ObjectKey)) *Reconciler {
	return newReconciler(c, c, c, recorder, o, set, call)
}

// SendNotices until the context ends. A webhook has that long to answer.
func (r *Reconciler) SendNotices(ctx context.Context, timeout time.Duration) error {
	r.notices.timeout = timeout
	return r.notices.Start(ctx)
}

// FetchWithin is how long the server of a calendar has to answer.
func (r *Reconciler) FetchWithin(timeout time.Duration) { r.calendars.timeout = timeout }

// Download is download.
var Download = download

// IndexPlan is indexPlan.
const IndexPlan = indexPlan

// AnyPlan is anyPlan.
const AnyPlan = anyPlan
