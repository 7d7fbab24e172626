package integration

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controllers"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/crds"
)

// management is a management cluster with Cluster API core on it.
type management struct {
	config *rest.Config
	// kubeconfig is a file with the same content as config.
	kubeconfig string
	client     client.WithWatch
	binaries   assets.Binaries
	// stateDir is where the provider keeps its clusters.
	stateDir string
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(controllers.AddToScheme(scheme))
	return scheme
}

// startManagement starts a management cluster and Cluster API core for one test.
func startManagement(ctx context.Context, t *testing.T) *management {
	t.Helper()
	// Not t.TempDir: its long path does not leave room for the path of a socket.
	root, err := os.MkdirTemp("", "refloat-it-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("XDG_STATE_HOME", filepath.Join(root, "registry"))
	binaries, err := findBinaries(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "management")
	t.Cleanup(func() {
		if err := controlplane.Purge(context.Background(), dir); err != nil {
			t.Errorf("purge the management plane: %v", err)
		}
	})
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Dir: dir, Name: "management", Role: controlplane.Management, Binaries: binaries, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatalf("start the management plane: %v", err)
	}
	scheme := newScheme()
	c, err := client.NewWithWatch(plane.AdminConfig(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	stateDir := filepath.Join(root, "state")
	t.Cleanup(func() { purgeClusters(t, stateDir) })
	m := &management{
		config: plane.AdminConfig(), kubeconfig: filepath.Join(root, "core", "kubeconfig"),
		client: c, binaries: binaries, stateDir: stateDir,
	}
	m.installDefinitions(ctx, t)
	m.startCore(ctx, t, plane, filepath.Join(root, "core"))
	return m
}

// purgeClusters ends what a failed test left running, and shows why.
func purgeClusters(t *testing.T, stateDir string) {
	t.Helper()
	planes, err := filepath.Glob(filepath.Join(stateDir, "clusters", "*", "plane"))
	if err != nil {
		t.Error(err)
	}
	for _, plane := range planes {
		logs, _ := filepath.Glob(filepath.Join(plane, "log", "*.log"))
		for _, log := range logs {
			logTail(t, log, log)
		}
		if err := controlplane.Purge(context.Background(), plane); err != nil {
			t.Errorf("purge a cluster: %v", err)
		}
	}
}

// findBinaries takes the programs from REFLOAT_ASSETS, or builds them.
func findBinaries(ctx context.Context) (assets.Binaries, error) {
	return assets.Get(ctx, assets.Options{})
}

// installDefinitions creates the definitions of Cluster API core and ours and
// waits until all are served.
func (m *management) installDefinitions(ctx context.Context, t *testing.T) {
	t.Helper()
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, coreDefinitions(ctx, t)...)
	for _, crd := range all {
		if err := m.client.Create(ctx, crd); err != nil {
			t.Fatalf("create definition %s: %v", crd.Name, err)
		}
	}
	for _, crd := range all {
		await(ctx, t, m.client, crd, "established", func() bool {
			for _, c := range crd.Status.Conditions {
				if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
					return true
				}
			}
			return false
		})
	}
}

// coreDefinitions reads the definitions of Cluster API core from its module and
// removes the old version, which would need a conversion webhook.
func coreDefinitions(ctx context.Context, t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api").Output()
	if err != nil {
		t.Fatalf("find the module of Cluster API: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "core/config/crd/bases/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the definitions of Cluster API: %v, %d files", err, len(files))
	}
	var found []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(raw, crd); err != nil {
			t.Fatalf("decode %s: %v", file, err)
		}
		var versions []apiextensionsv1.CustomResourceDefinitionVersion
		for _, v := range crd.Spec.Versions {
			if v.Storage {
				versions = append(versions, v)
			}
		}
		crd.Spec.Versions = versions
		found = append(found, crd)
	}
	return found
}

// startCore runs Cluster API core until the test ends.
func (m *management) startCore(ctx context.Context, t *testing.T, plane *controlplane.Plane, dir string) {
	t.Helper()
	authorities := plane.Authorities()
	pair, err := authorities.ServerPair("webhook", time.Now(), net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := plane.Kubeconfig(controlplane.Admin)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tls.crt": pair.Cert, "tls.key": pair.Key, "kubeconfig": kubeconfig} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	core := exec.CommandContext(context.WithoutCancel(ctx), m.binaries.ClusterAPICore,
		"--kubeconfig="+filepath.Join(dir, "kubeconfig"),
		"--diagnostics-address=0", "--health-addr=127.0.0.1:0",
		"--webhook-port="+strconv.Itoa(freePort(t)), "--webhook-cert-dir="+dir,
		"--feature-gates=ReconcilerRateLimiting=false,MachinePool=false",
		"--skip-crd-migration-phases=StorageVersionMigration,CleanupManagedFields",
		"--cluster-concurrency=3", "--clustercache-concurrency=3", "--machine-concurrency=3",
		"--machineset-concurrency=3", "--machinedeployment-concurrency=3", "-v=2",
	)
	core.Stdout, core.Stderr = log, log
	if err := core.Start(); err != nil {
		t.Fatalf("start Cluster API core: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- core.Wait() }()
	t.Cleanup(func() {
		_ = core.Process.Kill()
		<-ended
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			logTail(t, "Cluster API core", filepath.Join(dir, "log"))
		}
	})
}

func logTail(t *testing.T, who, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Logf("read the log of %s: %v", who, err)
		return
	}
	t.Logf("the end of the log of %s:\n%s", who, raw[max(0, len(raw)-6000):])
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startProvider runs the controllers of the local provider and returns a function
// that ends them. The clusters go on.
func (m *management) startProvider(ctx context.Context, t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- runProvider(ctx, m.config, m.stateDir, m.binaries, testr.NewWithOptions(t, testr.Options{}))
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the provider ended with: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func runProvider(ctx context.Context, config *rest.Config, stateDir string, binaries assets.Binaries, log logr.Logger) error {
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: newScheme(), Logger: log,
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	})
	if err != nil {
		return err
	}
	err = controllers.SetupWithManager(ctx, mgr, controllers.Options{
		StateDir: stateDir, Binaries: binaries, SkipNameValidation: true, Log: log,
	})
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}
