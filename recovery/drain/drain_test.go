package drain

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// cluster of the objects, in which nothing but the drain acts unless a test says so.
func cluster(objects ...runtime.Object) (Client, *fake.Clientset) {
	kube := fake.NewClientset(objects...)
	return Client{Kubernetes: kube, Dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{gateways: "GatewayList"})}, kube
}

func quietly(newest time.Time) Options {
	return Options{Newest: newest, Guard: func(context.Context) error { return nil }, Tell: func(string) {}}
}

// TestDrainGivesBack runs a drain to its end, with a controller of workloads in the cluster.
func TestDrainGivesBack(t *testing.T) { synctest.Test(t, drainGivesBack) }

func drainGivesBack(t *testing.T) {
	controller, web := deployment(about("f", "kustomize-controller", flux), 2, 2), service(about("a", "web"), lb)
	web.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
	kept := volume("w", "a/y", retain)
	c, kube := cluster(&controller, &web, &kept)
	var order []string
	kube.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		switch a.GetVerb() {
		case "patch", "delete":
			order = append(order, a.GetVerb()+" "+a.GetResource().Resource)
		}
		if a.GetVerb() == "patch" { // its pods end at once
			stopped := deployment(about("f", "kustomize-controller", flux), 0, 0)
			stopped.Annotations = map[string]string{AnnotationReplicas: "2"}
			return true, &stopped, kube.Tracker().Update(appsv1.SchemeGroupVersion.WithResource("deployments"), &stopped, "f")
		}
		return false, nil, nil
	})
	found, err := c.Survey(t.Context())
	if err != nil || !found.Needed || !found.Newest.Equal(t0) || len(found.Ledger) != 2 || len(order) != 0 {
		t.Fatalf("%+v, %v, wrote %v", found, err, order)
	}
	out, err := c.Drain(t.Context(), quietly(found.Newest))
	if err != nil || !out.Complete || len(out.Left) != 1 || out.Left[0].ID != "csi.example.com vol-w" {
		t.Errorf("%+v, %v", out, err)
	}
	if len(order) != 2 || order[0] != "patch deployments" || order[1] != "delete services" {
		t.Errorf("order %v", order)
	}
	if err := c.Resume(t.Context()); err != nil {
		t.Error(err)
	}
	if len(order) != 3 || order[2] != "patch deployments" {
		t.Errorf("order %v", order)
	}
}

func TestNothingToDrain(t *testing.T) {
	controller := deployment(about("f", "kustomize-controller", flux), 1, 1)
	c, _ := cluster(&controller)
	if found, err := c.Survey(t.Context()); err != nil || found.Needed {
		t.Errorf("Flux alone holds nothing outside: %+v, %v", found, err)
	}
}

// TestDrainEnds holds a finalizer on a Service that nobody removes, and refuses the deletion
// of another.
func TestDrainEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, refused := service(about("a", "stuck", going), lb), service(about("a", "refused"), lb)
		stuck.Finalizers = []string{"service.kubernetes.io/load-balancer-cleanup"}
		stuck.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
		c, kube := cluster(&stuck, &refused)
		deletions := 0
		kube.PrependReactor("delete", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
			deletions++
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "refused", errors.New("canary"))
		})
		told := ""
		o := quietly(t0)
		o.Tell = func(waiting string) { told = waiting }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := c.Drain(ctx, o)
		want := "Service a/refused to be released, Service a/stuck to be released"
		if err != nil || out.Complete || out.Waiting != want || told != want {
			t.Errorf("%+v, %v, told %q", out, err, told)
		}
		if len(out.Left) != 1 || out.Left[0].ID != "192.0.2.1" || len(out.Refused) != 1 || out.Refused[0] != "Service a/refused: Forbidden" {
			t.Errorf("left %+v, refused %v", out.Left, out.Refused)
		}
		if deletions < 2 || deletions > 7 {
			t.Errorf("%d attempts in a minute", deletions)
		}
	})
}

// TestSilentCluster says that nothing was seen, and not that nothing is left.
func TestSilentCluster(t *testing.T) {
	c, kube := cluster()
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	kube.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, ctx.Err() })
	out, err := c.Drain(ctx, quietly(t0))
	if err != nil || out.Complete || !out.Unseen || out.Waiting == "" {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestDrainGuarded writes nothing without the guard's leave, and ends with its error.
func TestDrainGuarded(t *testing.T) {
	web := service(about("a", "web"), lb)
	c, kube := cluster(&web)
	deposed := errors.New("deposed")
	o := quietly(t0)
	o.Guard = func(context.Context) error { return deposed }
	if _, err := c.Drain(t.Context(), o); !errors.Is(err, deposed) {
		t.Errorf("%v", err)
	}
	if _, err := kube.CoreV1().Services("a").Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// TestPreconditions has every write bound to the object that was seen.
func TestPreconditions(t *testing.T) { synctest.Test(t, preconditions) }

func preconditions(t *testing.T) {
	web := service(about("a", "web"), lb)
	c, kube := cluster(&web)
	kube.PrependReactor("delete", "services", func(a clienttesting.Action) (bool, runtime.Object, error) {
		p := a.(clienttesting.DeleteActionImpl).DeleteOptions.Preconditions
		if p == nil || p.UID == nil || *p.UID != "a/web" || p.ResourceVersion == nil || *p.ResourceVersion != "7" {
			t.Errorf("preconditions %+v", p)
		}
		return false, nil, nil
	})
	if out, err := c.Drain(t.Context(), quietly(t0)); err != nil || !out.Complete {
		t.Errorf("%+v, %v", out, err)
	}
}
