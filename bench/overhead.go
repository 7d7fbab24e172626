package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
)

// overheadObjects are a repository of ordinary size with workloads that have to become
// ready.
func overheadObjects() []manifests.Object {
	objects := planetest.Mixed(500, "overhead")
	for i := range 10 {
		objects = append(objects, planetest.Deployment("overhead-0", fmt.Sprintf("web-%d", i), 2))
	}
	return objects
}

// benchOverhead compares the wall time of a drill with the time that its parts need by
// themselves, in turns: the start of a control plane with a node, requests sent by a
// bare loop, the slowest workload getting ready, and the end of the control plane. What is
// bare are processes, without Cluster API; that its part is not Refloat's shows the second
// comparison, with who does the same through Cluster API by hand.
func benchOverhead(ctx context.Context, out io.Writer, s settings) (err error) {
	box, err := startSandbox(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.stop(context.WithoutCancel(ctx))) }()
	objects := overheadObjects()
	var over, percent, overHand, percentHand []float64
	for round := range s.rounds {
		bare, err := bareParts(ctx, objects)
		if err != nil {
			return fmt.Errorf("the parts by themselves: %w", err)
		}
		hand, err := box.byHand(ctx, fmt.Sprintf("by-hand-%d", round), objects)
		if err != nil {
			return fmt.Errorf("by hand: %w", err)
		}
		report, err := box.drill(ctx, fmt.Sprintf("overhead-%d", round), objects)
		if err != nil {
			return err
		}
		wall := report.FinishedAt.Sub(report.StartedAt)
		alone := bare.total()
		fmt.Fprintf(os.Stderr, "round %d: drill %.1f s %v, its parts by themselves %.1f s %+v, by hand %.1f s %+v\n",
			round+1, wall.Seconds(), report.Phases, alone.Seconds(), bare, hand.total().Seconds(), hand)
		overHand = append(overHand, (wall - hand.total()).Seconds())
		percentHand = append(percentHand, 100*float64(wall-hand.total())/float64(hand.total()))
		over = append(over, (wall - alone).Seconds())
		percent = append(percent, 100*float64(wall-alone)/float64(alone))
	}
	figure(out, "overhead.seconds", median(over), "s")
	figure(out, "overhead.percent", median(percent), "%")
	figure(out, "overhead.by_hand_seconds", median(overHand), "s")
	figure(out, "overhead.by_hand_percent", median(percentHand), "%")
	return nil
}

// parts are how long each takes by itself.
type parts struct{ start, apply, ready, stop time.Duration }

func (p parts) total() time.Duration { return p.start + p.apply + p.ready + p.stop }

func bareParts(ctx context.Context, objects []manifests.Object) (p parts, err error) {
	began := time.Now()
	lap := func() time.Duration {
		now := time.Now()
		defer func() { began = now }()
		return now.Sub(began)
	}
	plane, err := planetest.Start(ctx, planetest.Options{Nodes: 3})
	if err != nil {
		return p, err
	}
	p.start = lap()
	_, err = applyBare(ctx, plane, objects)
	p.apply = lap()
	if err == nil {
		err = awaitDeployments(ctx, plane)
	}
	p.ready = lap()
	err = errors.Join(err, plane.Stop(context.WithoutCancel(ctx)))
	p.stop = lap()
	return p, err
}

// awaitDeployments watches until every Deployment is available.
func awaitDeployments(ctx context.Context, plane *planetest.Plane) error {
	client, err := kubernetes.NewForConfig(plane.Config)
	if err != nil {
		return err
	}
	list, err := client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for i := range list.Items {
		waiting[list.Items[i].Name] = !available(&list.Items[i])
	}
	w, err := client.AppsV1().Deployments("").Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	defer w.Stop()
	for pending(waiting) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-w.ResultChan():
			if !open || event.Type == watch.Error {
				return errors.New("the watch of Deployments ended")
			}
			if d, ok := event.Object.(*appsv1.Deployment); ok {
				waiting[d.Name] = !available(d)
			}
		}
	}
	return nil
}

func available(d *appsv1.Deployment) bool {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	return d.Status.ObservedGeneration == d.Generation && d.Status.AvailableReplicas == want
}

func pending(waiting map[string]bool) bool {
	for _, waits := range waiting {
		if waits {
			return true
		}
	}
	return false
}
