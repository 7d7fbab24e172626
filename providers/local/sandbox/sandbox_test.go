package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/providers/local/process"
)

// The test binary plays the controller and the supervisor, as refloat does.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var err error
	switch os.Args[1] {
	case "play-controller":
		server := &http.Server{Addr: os.Args[3], Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})} //nolint:gosec // a test
		go func() { <-ctx.Done(); server.Close() }()
		err = server.ListenAndServe()
	case "play-supervisor":
		err = Supervise(ctx, os.Args[2], logr.Discard())
	default:
		os.Exit(m.Run())
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func options(t *testing.T, dir string) Options {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Dir:        dir,
		Controller: []string{program, "play-controller"},
		Supervisor: []string{program, "play-supervisor", dir},
		Line:       func(line string) { t.Log(line) },
		Log:        logr.Discard(),
	}
}

// pids of the parts that run.
func pids(t *testing.T, dir string) map[string]int {
	t.Helper()
	status, err := Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	running := map[string]int{}
	for _, c := range status.Components {
		if c.Running {
			running[c.Name] = c.PID
		}
	}
	return running
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

var everyPart = []string{
	ClusterAPICore, Controller, "etcd", "kube-apiserver", "kube-controller-manager", Supervisor,
}

func assertRunning(t *testing.T, dir string) map[string]int {
	t.Helper()
	running := pids(t, dir)
	for _, name := range everyPart {
		if running[name] == 0 {
			t.Errorf("%s does not run: %v", name, running)
		}
	}
	return running
}

// TestSandboxSurvives brings a sandbox up, kills each part of it with -9, repairs it,
// and takes it down without a trace.
func TestSandboxSurvives(t *testing.T) {
	root, err := os.MkdirTemp("", "refloat-sandbox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	t.Setenv("XDG_STATE_HOME", filepath.Join(root, "registry"))
	dir := filepath.Join(root, "box")
	t.Cleanup(func() {
		if err := Down(context.Background(), dir, true); err != nil {
			t.Errorf("down: %v", err)
		}
	})
	o := options(t, dir)
	if err := Up(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	first := assertRunning(t, dir)
	assertCoreServes(t, dir)

	t.Run("everything listens on loopback only", func(t *testing.T) {
		for name, pid := range first {
			for _, address := range listening(t, pid) {
				if address != "0100007F" && address != "00000000000000000000000001000000" {
					t.Errorf("%s listens on %s", name, address)
				}
			}
		}
		if len(listening(t, first[ClusterAPICore])) != 2 {
			t.Errorf("%s listens on %v, want its health and its webhooks", ClusterAPICore, listening(t, first[ClusterAPICore]))
		}
	})
	t.Run("up again changes nothing but the supervisor", func(t *testing.T) {
		if err := Up(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for name, pid := range assertRunning(t, dir) {
			if name != Supervisor && pid != first[name] {
				t.Errorf("%s was restarted", name)
			}
		}
	})
	t.Run("the supervisor restarts what dies", func(t *testing.T) {
		for _, name := range []string{Controller, ClusterAPICore, "kube-apiserver"} {
			old := pids(t, dir)[name]
			kill(t, old)
			awaitOther(t, dir, name, old)
		}
	})
	t.Run("up repairs when everything was killed", func(t *testing.T) {
		running := pids(t, dir)
		kill(t, running[Supervisor]) // first, or it would restart the others meanwhile
		delete(running, Supervisor)
		for _, pid := range running {
			kill(t, pid)
		}
		if err := Up(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		assertRunning(t, dir)
		assertCoreServes(t, dir)
	})
	t.Run("down finds what runs when the files are gone", func(t *testing.T) {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := Down(t.Context(), dir, true); err != nil {
			t.Fatal(err)
		}
		for _, below := range []string{dir, layout(dir).management()} {
			if left, err := process.Running(below); err != nil || len(left) > 0 {
				t.Errorf("still running for %s: %v, %v", below, left, err)
			}
		}
		if err := Up(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		assertRunning(t, dir)
	})
	t.Run("down keeps the state and purge nothing", func(t *testing.T) {
		if err := Down(t.Context(), dir, false); err != nil {
			t.Fatal(err)
		}
		if left, err := process.Running(dir); err != nil || len(left) > 0 {
			t.Errorf("still running: %v, %v", left, err)
		}
		if _, err := os.Stat(Kubeconfig(dir)); err != nil {
			t.Errorf("the kubeconfig is gone: %v", err)
		}
		if err := Down(t.Context(), dir, true); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
		if _, err := Inspect(dir); !errors.Is(err, ErrNone) {
			t.Errorf("inspect after purge: %v, want ErrNone", err)
		}
	})
}

// awaitOther waits until a part runs as another process. Nothing tells of it: the
// supervisor is a process of its own.
func awaitOther(t *testing.T, dir, name string, old int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid := pids(t, dir)[name]; pid != 0 && pid != old {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s was not restarted", name)
		}
	}
}

// assertCoreServes creates a Cluster, which the core controller's webhook and
// reconciler must answer, and deletes it.
func assertCoreServes(t *testing.T, dir string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", Kubeconfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	clusters := client.Resource(schema.GroupVersionResource{Group: "cluster.x-k8s.io", Version: "v1beta2", Resource: "clusters"}).Namespace("default")
	invalid := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster",
		"metadata": map[string]any{"name": "invalid"},
		"spec": map[string]any{"infrastructureRef": map[string]any{
			"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "LocalCluster", "name": "invalid"},
			"topology": map[string]any{"classRef": map[string]any{"name": "none"}, "version": "not-a-version"}},
	}}
	if _, err := clusters.Create(t.Context(), invalid, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a Cluster that the webhook must refuse: %v", err)
	}
	namespaces, err := kubernetes.NewForConfigOrDie(config).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(namespaces.Items) < 3 {
		t.Errorf("namespaces: %v, %v", namespaces, err)
	}
}

// listening returns the addresses, as the kernel prints them, on which a process
// accepts TCP connections.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	sockets := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:[") {
			sockets[strings.Trim(target, "socket:[]")] = true
		}
	}
	var addresses []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6 on this machine
		}
		for line := range strings.Lines(string(data)) {
			const listen = "0A"
			if f := strings.Fields(line); len(f) > 9 && f[3] == listen && sockets[f[9]] {
				host, _, _ := strings.Cut(f[1], ":")
				addresses = append(addresses, host)
			}
		}
	}
	return addresses
}

func TestPurgeRefusesADirectoryThatIsNoSandbox(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(precious, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Names that a sandbox uses too do not make it one.
	if err := os.Mkdir(filepath.Join(dir, "git"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, purge := range []bool{true, false} {
		if err := Down(t.Context(), dir, purge); !errors.Is(err, ErrNone) {
			t.Errorf("down, purge %v, of a directory that is no sandbox: %v, want ErrNone", purge, err)
		}
	}
	if err := Up(t.Context(), options(t, dir)); err == nil {
		t.Error("up in a directory that holds other files: want an error")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the directory holds %v now (%v), want its two entries", entries, err)
	}
}

func TestEnvironmentKeepsTokensOut(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "canary")
	t.Setenv("HOME", "/home/somebody")
	if env := environment(); slices.Contains(env, "AWS_SECRET_ACCESS_KEY=canary") || !slices.Contains(env, "HOME=/home/somebody") {
		t.Errorf("environment of the parts: %v", env)
	}
}
