// Package inuse says who uses a cluster: Jobs that run, Leases that somebody renews, and
// objects that a person wrote a short while ago. It reads a bounded part of the cluster and
// writes nothing. Of what it reads, only kinds, names and times are told.
package inuse

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	// LabelInUse of a Lease says that whoever renews it uses the cluster, unless its value
	// is "false".
	LabelInUse = "refloat.dev/in-use"
	// MaxObjects that are looked at.
	MaxObjects = 10_000
	// page of one list.
	page = 500
)

// Cluster that is looked into.
type Cluster struct {
	Kube kubernetes.Interface
	// Metadata reads objects without their content.
	Metadata metadata.Interface
}

// Open a cluster.
func Open(config *rest.Config) (Cluster, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Cluster{}, fmt.Errorf("look into the cluster: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return Cluster{}, fmt.Errorf("look into the cluster: %w", err)
	}
	return Cluster{Kube: kube, Metadata: meta}, nil
}

// written are the kinds that are searched for what people wrote.
var written = []struct {
	kind     string
	resource schema.GroupVersionResource
}{
	{"Deployment", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}},
	{"StatefulSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}},
	{"DaemonSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}},
	{"CronJob", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}},
	{"Job", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}},
	{"Service", schema.GroupVersionResource{Version: "v1", Resource: "services"}},
	{"ConfigMap", schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}},
}

// look at one cluster with what is left of the bound.
type look struct {
	Cluster
	now  time.Time
	left int
}

// errBound ends a look that found nobody among the objects that it may read.
var errBound = fmt.Errorf("nobody was found in the first %d objects, and no more are looked at", MaxObjects)

// Find the first use of a cluster that the policy asks for, in one short sentence; empty
// when there is none. A check that fails does not keep the others from finding one.
func Find(ctx context.Context, cluster Cluster, policy v1alpha1.InUsePolicy, now time.Time) (string, error) {
	l := &look{Cluster: cluster, now: now, left: MaxObjects}
	var checks []func(context.Context) (string, error)
	if policy.Leases {
		checks = append(checks, l.leases)
	}
	if policy.Jobs {
		checks = append(checks, l.jobs)
	}
	if within := policy.WritesWithin; within != nil && within.Duration > 0 {
		for _, of := range written {
			checks = append(checks, func(ctx context.Context) (string, error) {
				return l.writes(ctx, of.kind, of.resource, within.Duration)
			})
		}
	}
	var failed []error
	for _, check := range checks {
		use, err := check(ctx)
		if use != "" {
			return use, nil
		}
		if err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil || errors.Is(err, errBound) {
			break
		}
	}
	return "", errors.Join(failed...)
}

// pages of a list are read until one finds something or the bound is reached.
func (l *look) pages(ctx context.Context, what, labels string, list func(context.Context, metav1.ListOptions) (found string, read int, next string, err error)) (string, error) {
	o := metav1.ListOptions{LabelSelector: labels}
	for {
		if l.left <= 0 {
			return "", errBound
		}
		o.Limit = int64(min(page, l.left))
		found, read, next, err := list(ctx, o)
		if err != nil {
			return "", fmt.Errorf("list the %s of the cluster: %w", what, err)
		}
		l.left -= read
		if found != "" || next == "" {
			return found, nil
		}
		o.Continue = next
	}
}

func (l *look) leases(ctx context.Context) (string, error) {
	return l.pages(ctx, "leases", LabelInUse+","+LabelInUse+"!=false", func(ctx context.Context, o metav1.ListOptions) (string, int, string, error) {
		list, err := l.Kube.CoordinationV1().Leases("").List(ctx, o)
		if err != nil {
			return "", 0, "", err
		}
		return first(list.Items, func(lease *coordinationv1.Lease) string { return renewed(lease, l.now) }), len(list.Items), list.Continue, nil
	})
}

func (l *look) jobs(ctx context.Context) (string, error) {
	return l.pages(ctx, "jobs", "", func(ctx context.Context, o metav1.ListOptions) (string, int, string, error) {
		list, err := l.Kube.BatchV1().Jobs("").List(ctx, o)
		if err != nil {
			return "", 0, "", err
		}
		return first(list.Items, func(job *batchv1.Job) string { return running(job, l.now) }), len(list.Items), list.Continue, nil
	})
}

func (l *look) writes(ctx context.Context, kind string, resource schema.GroupVersionResource, within time.Duration) (string, error) {
	return l.pages(ctx, resource.Resource, "", func(ctx context.Context, o metav1.ListOptions) (string, int, string, error) {
		list, err := l.Metadata.Resource(resource).List(ctx, o)
		if err != nil {
			return "", 0, "", err
		}
		found := first(list.Items, func(of *metav1.PartialObjectMetadata) string { return byHand(kind, of, l.now, within) })
		return found, len(list.Items), list.Continue, nil
	})
}

func first[T any](items []T, use func(*T) string) string {
	for i := range items {
		if found := use(&items[i]); found != "" {
			return found
		}
	}
	return ""
}
