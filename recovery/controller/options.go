// Package controller drives runs: it observes, lets recovery.Decide choose, carries
// out one action and records it. Reads that decide are never from a cache. Long work
// (fetching, waves, verification) runs beside the loop and is lost with the process;
// everything else that matters is in the status of the run.
package controller

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/outbound"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
)

// Options of the controller.
type Options struct {
	// CacheDir keeps the packs of fetched commits, so that a run survives the loss of
	// its remote. Empty keeps none.
	CacheDir string
	// Clock for limits and times; nil means real time.
	Clock clock.WithTicker
	Log   logr.Logger
	// Engine turns Git into a cluster's state; nil means the manifests packages.
	Engine Engine
	// Drainer gives back what a cluster holds outside of itself; nil means package drain.
	Drainer Drainer
	// Post calls the hooks of failovers; nil means outbound.Post.
	Post Poster
	// AllowRemoteBases lets kustomizations name files by URL.
	AllowRemoteBases bool
	// Version of Refloat, for certificates.
	Version string
	// MaxConcurrent reconciles; 0 means 16. Most of them wait for an API server.
	MaxConcurrent int
	// Limits of runs that work at a time before scheduled ones wait.
	Limits recovery.QueueLimits
	// System is the controller's own namespace, whose safety rules hold everywhere; empty for
	// none.
	System string
	// Applier and Destroyer are the access with which clusters are created and deleted;
	// nil means the manager's own, which reads and records.
	Applier, Destroyer *rest.Config
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = 16
	}
	if o.Engine == nil {
		o.Engine = NewEngine(EngineOptions{CacheDir: o.CacheDir, AllowRemoteBases: o.AllowRemoteBases, Version: o.Version, Clock: o.Clock, Log: o.Log})
	}
	if o.Drainer == nil {
		o.Drainer = drainer{}
	}
	if o.Post == nil {
		o.Post = outbound.Post
	}
	return o
}

// AddToScheme registers every kind that the controller uses.
func AddToScheme(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, clusterv1.AddToScheme} {
		if err := add(s); err != nil {
			return fmt.Errorf("register kinds: %w", err)
		}
	}
	return nil
}

// ReportName is the ConfigMap that holds the report of a run.
func ReportName(run *v1alpha1.RecoveryRun) string { return recovery.ReportName(run) }

// Reconciler drives runs.
type Reconciler struct {
	// Client writes; Reader reads from the API server.
	Client   client.Client
	Reader   client.Reader
	Clusters *capi.Clusters
	Engine   Engine
	Drainer  Drainer
	Post     Poster
	// Lend exchanges the credentials of Cluster API for those of a role, which last an
	// hour; nil works with them as they are.
	Lend   func(ctx context.Context, admin *rest.Config, role capi.Role) (*rest.Config, error)
	Clock  clock.PassiveClock
	Events events.EventRecorder
	// System of Options.
	System string

	reserved *reservations

	work   *workers
	claims *claims
	turns  *turns
}

// newReconciler with its in-memory state; spawn starts long work.
func newReconciler(c client.Client, reader client.Reader, clusters *capi.Clusters, o Options, recorder events.EventRecorder, spawn func(func()), notify func(run client.ObjectKey)) *Reconciler {
	return &Reconciler{
		Client: c, Reader: reader, Clusters: clusters, Engine: o.Engine, Drainer: o.Drainer, Post: o.Post, Clock: o.Clock, Events: recorder, System: o.System,
		reserved: &reservations{runs: map[types.UID]string{}},
		work:     newWorkers(o.Clock, spawn, notify), claims: newClaims(), turns: newTurns(o.Limits),
	}
}

func (r *Reconciler) event(run *v1alpha1.RecoveryRun, reason, format string, args ...any) {
	kind := corev1.EventTypeNormal
	if reason == "Failed" || reason == "CouldNotFence" || reason == "Warning" || reason == "CleanupLate" {
		kind = corev1.EventTypeWarning
	}
	note := fmt.Sprintf(format, args...)
	if len(note) > maxNote {
		note = note[:maxNote]
	}
	r.Events.Eventf(run, nil, kind, reason, "Recover", "%s", note)
}

// maxNote is what an event's note may hold, with room for a broken character.
const maxNote = 1000
