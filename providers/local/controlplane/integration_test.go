package controlplane_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// limit is for each wait of a test on a busy machine.
const limit = 2 * time.Minute

// options are those of a plane in a directory of the test, which is purged and
// checked after it.
func options(t *testing.T, name string) controlplane.Options {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	binaries, err := assets.Get(t.Context(), assets.Options{
		Only:     []assets.Name{assets.Kubernetes, assets.Kwok},
		Progress: func(line string) { t.Log(line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	o := controlplane.Options{
		Dir:  filepath.Join(t.TempDir(), name),
		Name: name, Role: controlplane.Workload, Binaries: binaries,
		Log: testr.NewWithOptions(t, testr.Options{Verbosity: 1}),
	}
	t.Cleanup(func() { purge(t, o.Dir) })
	return o
}

// purge removes a plane and checks that neither process nor file is left.
func purge(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if t.Failed() {
		for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kwok"} {
			t.Logf("%s: %s", name, process.Tail(process.LogPath(dir, name)))
		}
	}
	if err := controlplane.Purge(ctx, dir); err != nil {
		t.Errorf("purge: %v", err)
	}
	left, err := process.Running(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("processes left: %v, %v", left, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

// start starts a plane and returns a client for it.
func start(ctx context.Context, o controlplane.Options) (*controlplane.Plane, kubernetes.Interface, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p, err := controlplane.Start(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	client, err := kubernetes.NewForConfig(p.AdminConfig())
	return p, client, err
}

func TestTwoWorkloadPlanesAtOnce(t *testing.T) {
	first := options(t, "first")
	second := first
	second.Name = "second"
	// Longer than the address of a socket may be.
	second.Dir = filepath.Join(t.TempDir(), "a-directory-with-a-long-name-a-directory-with-a-long-name", "second-directory-with-a-long-name", "second")
	t.Cleanup(func() { purge(t, second.Dir) })

	group, ctx := errgroup.WithContext(t.Context())
	for _, o := range []controlplane.Options{first, second} {
		group.Go(func() error {
			_, client, err := start(ctx, o)
			if err != nil {
				return err
			}
			return runWorkload(ctx, client)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []controlplane.Options{first, second} {
		status, err := controlplane.Inspect(o.Dir)
		if err != nil || !status.Running() || len(status.Components) != 5 {
			t.Errorf("%s: %+v, %v", o.Name, status, err)
		}
	}
}

// runWorkload shows that nodes, pods, deployments and load balancers come to life.
func runWorkload(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: "n1", Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
	}}
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{{Port: 80}},
		},
	}
	if _, err := client.CoreV1().Services("default").Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	deployment := deploymentOf("web", 3)
	if _, err := client.AppsV1().Deployments("default").Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		return err
	}
	err := until(ctx, client.AppsV1().RESTClient(), "deployments", &appsv1.Deployment{}, func(d *appsv1.Deployment) bool {
		return d.Status.AvailableReplicas == 3
	})
	if err != nil {
		return err
	}
	return until(ctx, client.CoreV1().RESTClient(), "services", &corev1.Service{}, func(s *corev1.Service) bool {
		return len(s.Status.LoadBalancer.Ingress) == 1 && s.Status.LoadBalancer.Ingress[0].IP != ""
	})
}

func deploymentOf(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "example.com/image:1"}}},
			},
		},
	}
}

// until watches the object called web in the default namespace.
func until[T runtime.Object](ctx context.Context, client cache.Getter, resource string, kind T, done func(T) bool) error {
	list := cache.NewListWatchFromClient(client, resource, "default", fields.OneTermEqualSelector("metadata.name", "web"))
	_, err := watchtools.UntilWithSync(ctx, list, kind, nil, func(e watch.Event) (bool, error) {
		object, ok := e.Object.(T)
		return ok && done(object), nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s web: %w", resource, err)
	}
	return nil
}

func TestKilledComponentIsStartedAgain(t *testing.T) {
	o := options(t, "killed")
	p, client, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	supervised, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(supervised) }()

	killed := component(t, o.Dir, "kube-apiserver")
	if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), limit)
	defer stop()
	// Only asking tells that another process answers again.
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		r, err := process.Find(o.Dir, "kube-apiserver")
		return err == nil && r.PID != killed && p.Healthy(ctx) == nil, nil
	})
	if err != nil {
		t.Fatalf("the API server did not come back: %v", err)
	}
	again, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil || again.UID != namespace.UID {
		t.Fatalf("kube-system is %v, %v; want the one from before", again, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatalf("Run ended with %v", err)
	}
	if err := p.Healthy(t.Context()); err != nil {
		t.Fatalf("the plane did not outlive its supervisor: %v", err)
	}
}

func component(t *testing.T, dir, name string) int {
	t.Helper()
	r, err := process.Find(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return r.PID
}

func TestStopEndsSupervisionAndStartAdopts(t *testing.T) {
	o := options(t, "stopped")
	p, _, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	pid := component(t, o.Dir, "etcd")
	again, _, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if now := component(t, o.Dir, "etcd"); now != pid {
		t.Fatalf("a second Start replaced etcd %d by %d", pid, now)
	}
	if again.Endpoint() != p.Endpoint() {
		t.Fatalf("the endpoint changed from %s to %s", p.Endpoint(), again.Endpoint())
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := controlplane.Stop(ctx, o.Dir); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, controlplane.ErrStopped) {
		t.Fatalf("Run ended with %v, want ErrStopped", err)
	}
	if left, err := process.Running(o.Dir); err != nil || len(left) > 0 {
		t.Fatalf("left running: %v, %v", left, err)
	}
	third, client, err := start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if third.Endpoint() != p.Endpoint() {
		t.Fatalf("the endpoint changed from %s to %s", p.Endpoint(), third.Endpoint())
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestComponentThatEndsFailsStartWithItsLog(t *testing.T) {
	o := options(t, "broken")
	o.AuditPolicy = []byte("not a policy")
	began := time.Now()
	_, _, err := start(t.Context(), o)
	var failure *controlplane.ComponentError
	if !errors.As(err, &failure) || failure.Component != "kube-apiserver" || failure.Tail == "" {
		t.Fatalf("got %v, want the end of the API server with its log", err)
	}
	if took := time.Since(began); took > limit/4 {
		t.Errorf("that took %s", took)
	}
}
