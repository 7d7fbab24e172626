package apply_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
)

var jobs = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}

// migration is a Job that leaves its name to others.
func migration(namespace string, spec map[string]any) manifests.Object {
	pod := map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{"name": "main", "image": "registry.example/migrate:1"}}}
	all := map[string]any{"template": map[string]any{"spec": pod}}
	for k, v := range spec {
		all[k] = v
	}
	return planetest.Object(map[string]any{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"namespace": namespace, "generateName": "migrate-"}, "spec": all})
}

func hooked(namespace string) []manifests.Object {
	return []manifests.Object{planetest.Namespace(namespace),
		ruled(migration(namespace, nil), manifests.Rules{Phase: manifests.PhaseBefore, Hook: &manifests.Hook{DeleteSucceeded: true}}),
		ruled(planetest.ConfigMap(namespace, "main", "x"), manifests.Rules{})}
}

func jobWrites(t *testing.T, namespace string) int {
	t.Helper()
	n := 0
	for _, k := range writes(t, "jobs "+namespace+"/migrate-") {
		n += k
	}
	return n
}

func jobsIn(t *testing.T, namespace string) int {
	t.Helper()
	list, err := client(t).Resource(jobs).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, j := range list.Items {
		if j.GetDeletionTimestamp() == nil {
			n++
		}
	}
	return n
}

// A hook does its work, is removed, and is not run again by a process that takes over.
func TestHooksRunOnce(t *testing.T) {
	for round, adopted := range []bool{false, true} {
		r, err := apply.Run(t.Context(), build(t, hooked("hooks")), options())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Objects {
			if o.Status != health.Healthy || o.Adopted != adopted {
				t.Errorf("round %d: %+v", round, o)
			}
		}
		if n := jobsIn(t, "hooks"); n != 0 {
			t.Errorf("round %d: %d Jobs are left", round, n)
		}
	}
	if n := jobWrites(t, "hooks"); n != 1 {
		t.Errorf("the Job was written %d times", n)
	}
}

// Wherever the first process is cut off, the hook runs once.
func TestHooksSurviveAKill(t *testing.T) {
	isRecord := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/configmaps/refloat-hooks") }
	cuts := map[string]func(r *http.Request) (before, after bool){
		"before it is recorded": func(r *http.Request) (bool, bool) { return isRecord(r) && r.Method == http.MethodPatch, false },
		"after it was recorded": func(r *http.Request) (bool, bool) { return false, isRecord(r) && r.Method == http.MethodPatch },
		"after it was removed":  func(r *http.Request) (bool, bool) { return false, r.Method == http.MethodDelete },
		"after it was written": func(r *http.Request) (bool, bool) {
			return false, r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/jobs/")
		},
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			namespace := "kill-" + strings.ReplaceAll(name, " ", "-")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := options()
			o.Config = rest.CopyConfig(plane.Config)
			o.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					before, after := cut(r)
					if before {
						cancel()
						return nil, context.Canceled
					}
					response, err := next.RoundTrip(r)
					if after {
						cancel()
					}
					return response, err
				})
			})
			if _, err := apply.Run(ctx, build(t, hooked(namespace)), o); !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			if _, err := apply.Run(t.Context(), build(t, hooked(namespace)), options()); err != nil {
				t.Fatal(err)
			}
			if n := jobWrites(t, namespace); n != 1 {
				t.Errorf("the Job was written %d times", n)
			}
			if n := jobsIn(t, namespace); n != 0 {
				t.Errorf("%d Jobs are left", n)
			}
		})
	}
}

// A Job with a time to live counts as done once it was seen complete, also for a
// process that finds it gone.
func TestJobWithATimeToLive(t *testing.T) {
	job := migration("ttl", map[string]any{"ttlSecondsAfterFinished": int64(0)})
	job.SetGenerateName("")
	job.SetName("migrate-ttl")
	objects := []manifests.Object{planetest.Namespace("ttl"), ruled(job, manifests.Rules{}), ruled(planetest.ConfigMap("ttl", "later", "x"), manifests.Rules{Wave: 1})}
	for round := range 2 {
		r, err := apply.Run(t.Context(), build(t, objects), options())
		if err != nil {
			t.Fatal(err)
		}
		if got := resultsByName(r)["migrate-ttl"]; got.Status != health.Healthy || got.Adopted != (round == 1) {
			t.Errorf("round %d: %+v", round, got)
		}
		err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
			_, err := client(t).Resource(jobs).Namespace("ttl").Get(ctx, "migrate-ttl", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := jobWrites(t, "ttl"); n != 1 {
		t.Errorf("the Job was written %d times", n)
	}
}

func TestAFailedHookIsRemovedAndEndsTheRun(t *testing.T) {
	job := migration("failing", map[string]any{"backoffLimit": int64(0), "activeDeadlineSeconds": int64(1)})
	job = unschedulable(t, job)
	objects := []manifests.Object{planetest.Namespace("failing"),
		ruled(job, manifests.Rules{Phase: manifests.PhaseBefore, Hook: &manifests.Hook{DeleteFailed: true}}),
		ruled(planetest.ConfigMap("failing", "main", "x"), manifests.Rules{})}
	_, err := apply.Run(t.Context(), build(t, objects), options())
	var failed *apply.Error
	if !errors.As(err, &failed) || len(failed.Failed) != 1 || failed.Skipped != 1 || !strings.Contains(err.Error(), "DeadlineExceeded") {
		t.Errorf("error %v", err)
	}
	if n := jobsIn(t, "failing"); n != 0 {
		t.Errorf("%d Jobs are left", n)
	}
}

// pods of a namespace get a status as a kubelet would write it.
func setContainers(t *testing.T, namespace string, waiting map[string]any) {
	t.Helper()
	c := client(t).Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(namespace)
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		list, err := c.List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) == 0 {
			return false, nil
		}
		for _, p := range list.Items {
			status := map[string]any{"name": "main", "image": "x", "imageID": "", "ready": false, "restartCount": int64(7),
				"state":     map[string]any{"waiting": waiting},
				"lastState": map[string]any{"terminated": map[string]any{"exitCode": int64(3), "message": "hunter2"}}}
			if err := unstructured.SetNestedSlice(p.Object, []any{status}, "status", "containerStatuses"); err != nil {
				return false, err
			}
			if _, err := c.UpdateStatus(ctx, &p, metav1.UpdateOptions{}); err != nil {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// The pods say why a workload is late, or that waiting is in vain.
func TestAWorkloadFailsWithTheWordsOfItsPods(t *testing.T) {
	tests := map[string]struct {
		waiting map[string]any
		want    []string
	}{
		"crashing": {map[string]any{"reason": "CrashLoopBackOff", "message": "back-off 5m0s"},
			[]string{"not healthy within 6s", "pod web-", "container main waits: CrashLoopBackOff: back-off 5m0s, last exit code 3"}},
		"hopeless": {map[string]any{"reason": "InvalidImageName", "message": "no such form"},
			[]string{"it will not become healthy by waiting", "container main waits: InvalidImageName: no such form"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			web := unschedulable(t, planetest.Deployment("pods-"+name, "web", 1))
			var patched sync.WaitGroup
			patched.Go(func() { setContainers(t, "pods-"+name, tt.waiting) })
			_, err := apply.Run(t.Context(), build(t, []manifests.Object{planetest.Namespace("pods-" + name),
				ruled(web, manifests.Rules{Timeout: 6 * time.Second})}), options())
			patched.Wait()
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %v, want %q", err, part)
				}
			}
		})
	}
}
