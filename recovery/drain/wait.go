package drain

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// wait for a change of one of the objects that a step is about, since they were seen.
func (c Client) wait(ctx context.Context, seen Contents, step Step) error {
	about := map[string]map[types.UID]bool{}
	for _, ref := range slices.Concat(step.Awaited, step.Delete, step.Stop) {
		if about[ref.Kind] == nil {
			about[ref.Kind] = map[types.UID]bool{}
		}
		about[ref.Kind][ref.UID] = true
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan struct{}, len(about))
	for kind, uids := range about {
		w, err := c.watch(ctx, kind, metav1.ListOptions{ResourceVersion: seen.versions[kind]})
		if err != nil {
			return fmt.Errorf("watch %ss: %w", kind, err)
		}
		defer w.Stop()
		go func() {
			untilOneOf(w, uids)
			changed <- struct{}{}
		}()
	}
	again := time.NewTimer(lookAgain)
	defer again.Stop()
	select {
	case <-changed:
	case <-again.C:
	case <-ctx.Done():
		return fmt.Errorf("wait for what is drained: %w", ctx.Err())
	}
	return nil
}

// untilOneOf the objects changes, or nothing more is reported.
func untilOneOf(w watch.Interface, uids map[types.UID]bool) {
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			return
		}
		if o, err := meta.Accessor(event.Object); err == nil && uids[o.GetUID()] {
			return
		}
	}
}

func (c Client) watch(ctx context.Context, kind string, o metav1.ListOptions) (watch.Interface, error) {
	core, apps := c.Kubernetes.CoreV1(), c.Kubernetes.AppsV1()
	switch kind {
	case kindDeployment:
		return apps.Deployments("").Watch(ctx, o)
	case kindStatefulSet:
		return apps.StatefulSets("").Watch(ctx, o)
	case kindService:
		return core.Services("").Watch(ctx, o)
	case kindIngress:
		return c.Kubernetes.NetworkingV1().Ingresses("").Watch(ctx, o)
	case kindGateway:
		return c.Dynamic.Resource(gateways).Watch(ctx, o)
	case kindClaim:
		return core.PersistentVolumeClaims("").Watch(ctx, o)
	case kindVolume:
		return core.PersistentVolumes().Watch(ctx, o)
	case kindPod:
		return core.Pods("").Watch(ctx, o)
	}
	return nil, fmt.Errorf("kind %s is not watched", kind)
}
