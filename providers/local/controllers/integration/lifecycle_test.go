package integration

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/providers/local/api"
	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
)

// TestProvider runs everything on one management cluster with an unmodified
// Cluster API core, which takes some seconds to start.
func TestProvider(t *testing.T) {
	m := startManagement(t.Context(), t)
	t.Run("definitions", func(t *testing.T) { testDefinitions(t, m) })
	t.Run("life of a cluster", func(t *testing.T) { testLifecycle(t, m) })
	t.Run("machines", func(t *testing.T) { testMachines(t, m) })
	t.Run("killed", func(t *testing.T) { testKilled(t, m) })
	t.Run("several, one of them hung", func(t *testing.T) { testSeveral(t, m) })
}

// testLifecycle takes one cluster through its whole life: available, workloads of
// every kind ready, the provider gone and back, status lost, and deleted without
// a trace.
func testLifecycle(t *testing.T, m *management) {
	ctx := t.Context()
	stop := m.startProvider(ctx, t)

	began := time.Now()
	cluster := m.create(ctx, t, "one")
	m.awaitAvailable(ctx, t, cluster)
	t.Logf("create -> Available: %s", time.Since(began).Round(10*time.Millisecond))

	workload := m.connect(ctx, t, "one")
	checkMark(ctx, t, workload)
	began = time.Now()
	apply(ctx, t, workload, "testdata/workloads.yaml", "")
	awaitWorkloads(ctx, t, workload)
	t.Logf("apply -> all workloads ready: %s", time.Since(began).Round(10*time.Millisecond))

	stop()
	m.wipeStatus(ctx, t, "one")
	began = time.Now()
	stop = m.startProvider(ctx, t)
	m.awaitRestored(ctx, t, "one")
	t.Logf("new provider, status wiped -> adopted and derived again: %s", time.Since(began).Round(10*time.Millisecond))
	checkMark(ctx, t, workload) // the same cluster as before: its objects are there
	awaitWorkloads(ctx, t, workload)
	deleteNamespace(ctx, t, workload, "app")

	began = time.Now()
	if err := m.client.Delete(ctx, cluster); err != nil {
		t.Fatal(err)
	}
	awaitGone(ctx, t, m.client, cluster)
	t.Logf("delete -> gone: %s", time.Since(began).Round(10*time.Millisecond))
	m.checkNothingLeft(ctx, t)
	stop()
}

func (m *management) create(ctx context.Context, t *testing.T, name string) *clusterv1.Cluster {
	t.Helper()
	apply(ctx, t, m.client, "testdata/cluster.yaml", name)
	return &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
}

func (m *management) awaitAvailable(ctx context.Context, t *testing.T, cluster *clusterv1.Cluster) {
	t.Helper()
	await(ctx, t, m.client, cluster, "Available", func() bool {
		return conditions.IsTrue(cluster, clusterv1.AvailableCondition)
	})
}

// connect makes a client from the kubeconfig Secret, as any user of Cluster API does.
func (m *management) connect(ctx context.Context, t *testing.T, name string) client.WithWatch {
	t.Helper()
	secret := &corev1.Secret{}
	if err := m.client.Get(ctx, client.ObjectKey{Namespace: "default", Name: name + "-kubeconfig"}, secret); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wipeStatus does to our objects what a restored backup or clusterctl move does.
func (m *management) wipeStatus(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	key := client.ObjectKey{Namespace: "default", Name: name}
	local, controlPlane := &infrav1.LocalCluster{}, &controlplanev1.LocalControlPlane{}
	for _, o := range []client.Object{local, controlPlane} {
		if err := m.client.Get(ctx, key, o); err != nil {
			t.Fatal(err)
		}
	}
	local.Status, controlPlane.Status = infrav1.LocalClusterStatus{}, controlplanev1.LocalControlPlaneStatus{}
	for _, o := range []client.Object{local, controlPlane} {
		if err := m.client.Status().Update(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *management) awaitRestored(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: "default", Name: name}
	local := &infrav1.LocalCluster{ObjectMeta: meta}
	await(ctx, t, m.client, local, "Ready again", func() bool {
		p := local.Status.Initialization.Provisioned
		return p != nil && *p && conditions.IsTrue(local, infrav1.ReadyCondition)
	})
	controlPlane := &controlplanev1.LocalControlPlane{ObjectMeta: meta}
	await(ctx, t, m.client, controlPlane, "Available again", func() bool {
		return conditions.IsTrue(controlPlane, controlplanev1.AvailableCondition)
	})
}

// checkNothingLeft finds what a deleted cluster left behind.
func (m *management) checkNothingLeft(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, list := range []client.ObjectList{
		&infrav1.LocalClusterList{}, &infrav1.LocalMachineList{}, &clusterv1.MachineList{}, &controlplanev1.LocalControlPlaneList{}, &clusterv1.ClusterList{}, &corev1.SecretList{},
	} {
		if err := m.client.List(ctx, list, client.InNamespace("default")); err != nil {
			t.Fatal(err)
		}
		if raw, err := toItems(list); err != nil || len(raw) > 0 {
			t.Errorf("left behind: %T with %v (%v)", list, raw, err)
		}
	}
	err := filepath.WalkDir(filepath.Join(m.stateDir, "clusters"), func(path string, _ os.DirEntry, err error) error {
		if err == nil && path != filepath.Join(m.stateDir, "clusters") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if left := processesIn(t, m.stateDir); len(left) > 0 {
		t.Errorf("processes left behind: %q", left)
	}
}

func checkMark(ctx context.Context, t *testing.T, c client.Client) {
	t.Helper()
	system := &corev1.Namespace{}
	if err := c.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		t.Fatal(err)
	}
	if got := system.Labels[api.SimulatedLabel]; got != api.SimulatedValue {
		t.Errorf("label %s of kube-system is %q", api.SimulatedLabel, got)
	}
}

func awaitWorkloads(ctx context.Context, t *testing.T, c client.WithWatch) {
	t.Helper()
	in := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "app", Name: name} }
	deployment := &appsv1.Deployment{ObjectMeta: in("web")}
	await(ctx, t, c, deployment, "available", func() bool { return deployment.Status.AvailableReplicas == 3 })
	set := &appsv1.StatefulSet{ObjectMeta: in("db")}
	await(ctx, t, c, set, "ready", func() bool { return set.Status.ReadyReplicas == 2 })
	daemons := &appsv1.DaemonSet{ObjectMeta: in("agent")}
	await(ctx, t, c, daemons, "ready on three nodes", func() bool { return daemons.Status.NumberAvailable == 3 })
	job := &batchv1.Job{ObjectMeta: in("migrate")}
	await(ctx, t, c, job, "complete", func() bool { return job.Status.Succeeded == 2 && job.Status.CompletionTime != nil })
	for _, name := range []string{"data-db-0", "data-db-1", "alone", "cloud"} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: in(name)}
		await(ctx, t, c, claim, "bound", func() bool { return claim.Status.Phase == corev1.ClaimBound })
	}
	addresses := map[string]string{}
	for _, name := range []string{"front", "back"} {
		service := &corev1.Service{ObjectMeta: in(name)}
		await(ctx, t, c, service, "given an address", func() bool { return len(service.Status.LoadBalancer.Ingress) == 1 })
		addresses[service.Status.LoadBalancer.Ingress[0].IP] = name
	}
	if len(addresses) != 2 {
		t.Errorf("the two load balancers share an address: %v", addresses)
	}
}

// deleteNamespace checks that a namespace full of pods and claims ends, and that
// the volumes with it, except those that their class retains.
func deleteNamespace(ctx context.Context, t *testing.T, c client.WithWatch, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Delete(ctx, namespace); err != nil {
		t.Fatal(err)
	}
	awaitGone(ctx, t, c, namespace)
	var volumes corev1.PersistentVolumeList
	if err := c.List(ctx, &volumes); err != nil {
		t.Fatal(err)
	}
	for i := range volumes.Items {
		volume := &volumes.Items[i]
		if volume.Spec.StorageClassName == "cloud" {
			await(ctx, t, c, volume, "released", func() bool { return volume.Status.Phase == corev1.VolumeReleased })
			continue
		}
		awaitGone(ctx, t, c, volume)
	}
}

// apply creates the objects of a file, with NAME replaced by name.
func apply(ctx context.Context, t *testing.T, c client.Client, path, name string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(bytes.ReplaceAll(raw, []byte("NAME"), []byte(name))), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("decode %s: %v", path, err)
		}
		if err := c.Create(ctx, u); err != nil {
			t.Fatalf("create %s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
}
