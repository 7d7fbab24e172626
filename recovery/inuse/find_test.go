package inuse_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery/inuse"
)

var plane *planetest.Plane

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(planetest.Main(m, &plane, planetest.Options{}))
}

// TestFind looks into a real cluster with the rights that a verifier has there.
func TestFind(t *testing.T) {
	lent, err := (&capi.Clusters{Clock: clock.RealClock{}}).Lend(t.Context(), plane.Config, capi.RoleVerifier)
	if err != nil {
		t.Fatal(err)
	}
	cluster := open(t, lent)
	kube := kubernetes.NewForConfigOrDie(plane.Config)
	find := func(policy v1alpha1.InUsePolicy, now time.Time) string {
		t.Helper()
		use, err := inuse.Find(t.Context(), cluster, policy, now)
		if err != nil {
			t.Fatal(err)
		}
		return use
	}
	wants := func(policy v1alpha1.InUsePolicy, now time.Time, want string) {
		t.Helper()
		if use := find(policy, now); use != want && (want == "" || !strings.HasPrefix(use, want)) {
			t.Errorf("%q, want %q", use, want)
		}
	}
	jobs, leases := v1alpha1.InUsePolicy{Jobs: true}, v1alpha1.InUsePolicy{Leases: true}
	writes := v1alpha1.InUsePolicy{WritesWithin: &metav1.Duration{Duration: 30 * time.Minute}}
	now := time.Now()
	for _, policy := range []v1alpha1.InUsePolicy{jobs, leases, writes} {
		wants(policy, now, "")
	}

	job := makeJob(t, kube, "default")
	makeJob(t, kube, "kube-system")
	wants(jobs, now, "Job default/build has run for 12m")
	if err := kube.BatchV1().Jobs("default").Delete(t.Context(), job, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}); err != nil {
		t.Fatal(err)
	}
	wants(jobs, now, "")

	makeLease(t, kube, "off", map[string]string{inuse.LabelInUse: "false"}, now)
	makeLease(t, kube, "unmarked", nil, now)
	wants(leases, now, "")
	makeLease(t, kube, "run-42", map[string]string{inuse.LabelInUse: ""}, now)
	wants(leases, now, "Lease default/run-42 lasts until ")
	wants(leases, now.Add(2*time.Minute), "")

	configure := func(name, manager string) {
		held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"a": "canary-value"}}
		if _, err := kube.CoreV1().ConfigMaps("default").Create(t.Context(), held, metav1.CreateOptions{FieldManager: manager}); err != nil {
			t.Fatal(err)
		}
	}
	configure("by-flux", "kustomize-controller")
	wants(writes, time.Now(), "")
	configure("by-ada", "kubectl-create")
	wants(writes, time.Now(), "ConfigMap default/by-ada was changed with kubectl-create ")
	wants(writes, time.Now().Add(time.Hour), "")
	if use := find(writes, time.Now()); strings.Contains(use, "canary-value") {
		t.Errorf("a value is told: %s", use)
	}
}

func open(t *testing.T, config *rest.Config) inuse.Cluster {
	t.Helper()
	cluster, err := inuse.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return cluster
}

// makeJob that no controller touches, and that runs.
func makeJob(t *testing.T, kube kubernetes.Interface, namespace string) string {
	t.Helper()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "build"}, Spec: batchv1.JobSpec{
		ManagedBy: ptr.To("example.com/ci"),
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "registry.example/a"}},
		}},
	}}
	job, err := kube.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	job.Status.Active, job.Status.StartTime = 1, ptr.To(metav1.NewTime(time.Now().Add(-12*time.Minute)))
	if _, err := kube.BatchV1().Jobs(namespace).UpdateStatus(t.Context(), job, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return job.Name
}

func makeLease(t *testing.T, kube kubernetes.Interface, name string, labels map[string]string, renewed time.Time) {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: coordinationv1.LeaseSpec{
		RenewTime: ptr.To(metav1.NewMicroTime(renewed)), LeaseDurationSeconds: ptr.To[int32](60), HolderIdentity: ptr.To("canary-holder"),
	}}
	if _, err := kube.CoordinationV1().Leases("default").Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestOneCheckFails does not keep another one from finding a use, and is told when none does.
func TestOneCheckFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/leases"):
			w.WriteHeader(http.StatusForbidden)
		case strings.HasSuffix(r.URL.Path, "/jobs"):
			fmt.Fprint(w, `{"kind":"JobList","apiVersion":"batch/v1","items":[{"metadata":{"namespace":"ci","name":"build"},"status":{"active":1}}]}`)
		}
	}))
	defer server.Close()
	cluster := open(t, &rest.Config{Host: server.URL})
	use, err := inuse.Find(t.Context(), cluster, v1alpha1.InUsePolicy{Leases: true, Jobs: true}, time.Now())
	if !strings.HasPrefix(use, "Job ci/build ") || err != nil {
		t.Errorf("%q, %v", use, err)
	}
	use, err = inuse.Find(t.Context(), cluster, v1alpha1.InUsePolicy{Leases: true}, time.Now())
	if use != "" || err == nil {
		t.Errorf("%q, %v", use, err)
	}
}

// endless lists of every kind have always another page.
type endless struct {
	metadata.Getter
	read *int
}

func (e endless) Resource(schema.GroupVersionResource) metadata.Getter { return e }

func (e endless) List(_ context.Context, o metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	list := &metav1.PartialObjectMetadataList{Items: make([]metav1.PartialObjectMetadata, o.Limit)}
	list.Continue = "more"
	*e.read += len(list.Items)
	return list, nil
}

// TestBound ends a look at a cluster that is too large, or that makes lists up.
func TestBound(t *testing.T) {
	read := 0
	cluster := inuse.Cluster{Metadata: endless{read: &read}}
	use, err := inuse.Find(t.Context(), cluster, v1alpha1.InUsePolicy{WritesWithin: &metav1.Duration{Duration: time.Hour}}, time.Now())
	if use != "" || err == nil || read != inuse.MaxObjects {
		t.Errorf("%q, %v after %d objects", use, err, read)
	}
}

// TestHangs: a cluster that gives no answer is given up with the context.
func TestHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := inuse.Find(ctx, open(t, &rest.Config{Host: server.URL}), v1alpha1.InUsePolicy{Leases: true, Jobs: true}, time.Now())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
