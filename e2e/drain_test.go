package e2e

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// holding keeps a load balancer, a volume outside and one on a node, and what stands for Flux.
const holding = `
apiVersion: v1
kind: Namespace
metadata: {name: outside}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: outside}
spec: {type: LoadBalancer, ports: [{port: 80}], selector: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kustomize-controller, namespace: outside, labels: {app.kubernetes.io/part-of: flux}}
spec:
  replicas: 2
  selector: {matchLabels: {app: flux}}
  template:
    metadata: {labels: {app: flux}}
    spec: {containers: [{name: c, image: example.com/flux}]}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: outside}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Delete
  storageClassName: ""
  csi: {driver: csi.example.com, volumeHandle: vol-1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: outside, namespace: outside}
spec: {storageClassName: "", volumeName: outside, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: node, namespace: outside}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: outside}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: c, image: example.com/db, volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /b}]}]
      volumes:
        - {name: a, persistentVolumeClaim: {claimName: outside}}
        - {name: b, persistentVolumeClaim: {claimName: node}}
`

// TestDrain tears a cluster down whose claim nobody lets go, cancels that, and then lets go,
// which changes a volume by hand.
func TestDrain(t *testing.T) {
	const name = "holding"
	repo := newRepository(t, map[string]string{"state/a.yaml": holding})
	plan := repo.plan(t, name, "  teardown: {drain: {timeout: 10m}, loss: {policy: Warn}}\n", "state")
	box.must(t, "rebuild", "-f", plan, "--confirm", name)
	kube := kubernetes.NewForConfigOrDie(workload(t, name))
	claims := kube.CoreV1().PersistentVolumeClaims("outside")
	claim, err := claims.Get(t.Context(), "outside", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	claim.Finalizers = append(claim.Finalizers, "example.com/backup")
	if _, err := claims.Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}

	id := start(t, "teardown", name, "-n", "default", "--confirm", name)
	await(t, id, "the claim", func(r *v1alpha1.RecoveryRun) bool {
		return r.Status.Waiting != nil && strings.Contains(r.Status.Waiting.For, "PersistentVolumeClaim outside/outside to be released") && stopped(t, kube, "db")
	})
	if _, err := kube.CoreV1().Services("outside").Get(t.Context(), "web", metav1.GetOptions{}); err == nil {
		t.Error("the load balancer is there after the drain went on to claims")
	}
	if why := box.run(t, "why", id, "-n", "default"); !strings.Contains(why.stdout, "PersistentVolumeClaim outside/outside") || !strings.Contains(why.stdout, "drain") {
		t.Errorf("why:\n%s", why.stdout)
	}
	box.must(t, "cancel", id, "-n", "default", "--reason", "wrong cluster")
	run := await(t, id, "the end", func(r *v1alpha1.RecoveryRun) bool { return r.Status.FinishedAt != nil })
	if run.Status.Previous.Drain.ResumedAt == nil || stopped(t, kube, "db") {
		t.Errorf("what was stopped was not started again: %+v", run.Status.Previous.Drain)
	}
	flux, err := kube.AppsV1().Deployments("outside").Get(t.Context(), "kustomize-controller", metav1.GetOptions{})
	if err != nil || *flux.Spec.Replicas != 2 {
		t.Errorf("Flux: %v, %v", flux, err)
	}

	letGo(t, kube)
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}

// stopped tells whether a StatefulSet was scaled to zero.
func stopped(t *testing.T, kube kubernetes.Interface, name string) bool {
	t.Helper()
	set, err := kube.AppsV1().StatefulSets("outside").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return *set.Spec.Replicas == 0
}

// letGo takes the finalizers away, and stands for the driver that lets go of the volume.
func letGo(t *testing.T, kube kubernetes.Interface) {
	t.Helper()
	done := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := kube.CoreV1().PersistentVolumes().Patch(t.Context(), "outside", types.MergePatchType, []byte(`{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}`), metav1.PatchOptions{})
	done(err)
	_, err = kube.CoreV1().PersistentVolumeClaims("outside").Patch(t.Context(), "outside", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	done(err)
}
