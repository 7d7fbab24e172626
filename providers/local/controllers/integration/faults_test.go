package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/stdr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
)

// The environment that makes the test binary a provider; see TestMain.
const (
	childKubeconfig = "REFLOAT_TEST_PROVIDER_KUBECONFIG"
	childStateDir   = "REFLOAT_TEST_PROVIDER_STATE"
)

// TestMain makes the test binary double as a provider in a process of its own,
// which can be killed as no goroutine can.
func TestMain(m *testing.M) {
	if path := os.Getenv(childKubeconfig); path != "" {
		if err := childProvider(path, os.Getenv(childStateDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childProvider(kubeconfig, stateDir string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	programs, err := findBinaries(ctx)
	if err != nil {
		return err
	}
	return runProvider(ctx, config, stateDir, programs, stdr.New(nil))
}

// startChild runs the provider in a process and returns a function that kills it
// without warning.
func (m *management) startChild(t *testing.T) (kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childKubeconfig+"="+m.kubeconfig, childStateDir+"="+m.stateDir)
	if err := child.Start(); err != nil {
		t.Fatalf("start the provider: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = child.Wait()
	}()
	kill = func() {
		_ = child.Process.Kill()
		<-ended
	}
	t.Cleanup(kill)
	return kill
}

// testKilled kills the provider while it starts a plane, while the plane runs and
// while it is deleted; the next one goes on each time.
func testKilled(t *testing.T, m *management) {
	ctx := t.Context()
	kill := m.startChild(t)
	cluster := m.create(ctx, t, "killed")
	controlPlane := &controlplanev1.LocalControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "killed"}}
	await(ctx, t, m.client, controlPlane, "starting", func() bool {
		return conditions.GetReason(controlPlane, controlplanev1.AvailableCondition) == controlplanev1.StartingReason
	})
	kill()

	kill = m.startChild(t)
	m.awaitAvailable(ctx, t, cluster)
	before := processIDs(t, m.stateDir)
	kill()

	kill = m.startChild(t)
	// A process of the plane that dies now must be missed by the new provider.
	victim := before["kube-scheduler"]
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatalf("kill the scheduler: %v", err)
	}
	awaitProcess(ctx, t, m.stateDir, "kube-scheduler", victim)
	after := processIDs(t, m.stateDir)
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kwok"} {
		if before[name] == 0 || before[name] != after[name] {
			t.Errorf("%s was process %d and is %d; it should have been adopted", name, before[name], after[name])
		}
	}

	if err := m.client.Delete(ctx, cluster); err != nil {
		t.Fatal(err)
	}
	await(ctx, t, m.client, controlPlane, "being deleted", func() bool { return !controlPlane.DeletionTimestamp.IsZero() })
	kill()
	kill = m.startChild(t)
	awaitGone(ctx, t, m.client, cluster)
	m.checkNothingLeft(ctx, t)
	kill()
}

// testSeveral makes clusters at the same time and deletes them all while the API
// server of one hangs: it holds connections and answers nothing.
func testSeveral(t *testing.T, m *management) {
	ctx := t.Context()
	stop := m.startProvider(ctx, t)
	began := time.Now()
	var clusters []*clusterv1.Cluster
	for _, name := range []string{"red", "green", "blue"} {
		clusters = append(clusters, m.create(ctx, t, name))
	}
	ports := map[int32]bool{}
	for _, cluster := range clusters {
		m.awaitAvailable(ctx, t, cluster)
		ports[cluster.Spec.ControlPlaneEndpoint.Port] = true
	}
	t.Logf("three clusters: create -> Available: %s", time.Since(began).Round(10*time.Millisecond))
	if len(ports) != 3 {
		t.Errorf("ports %v, want three", ports)
	}
	hung := processIDs(t, filepath.Join(m.stateDir, "clusters", "red-"))["kube-apiserver"]
	if err := syscall.Kill(hung, syscall.SIGSTOP); err != nil {
		t.Fatalf("stop the API server: %v", err)
	}
	began = time.Now()
	for _, cluster := range clusters {
		if err := m.client.Delete(ctx, cluster); err != nil {
			t.Fatal(err)
		}
	}
	for _, cluster := range clusters {
		awaitGone(ctx, t, m.client, cluster)
	}
	t.Logf("three clusters, one hung: delete -> gone: %s", time.Since(began).Round(10*time.Millisecond))
	m.checkNothingLeft(ctx, t)
	stop()
}
