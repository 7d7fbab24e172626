package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/deploy"
)

// box is the one sandbox that the tests share. Each test uses names of its own in it.
var box *sandbox

type sandbox struct {
	refloat string // the command under test
	dir     string // of the sandbox
	home    string // HOME of the command, so that nothing of the user's is read or written
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	work, err := os.MkdirTemp("", "refloat-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	// A zone of this directory is another one than the system's: see TestScheduleThroughDST.
	if err := os.Setenv("ZONEINFO", filepath.Join(work, "zoneinfo")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	box = &sandbox{refloat: filepath.Join(work, "refloat"), dir: filepath.Join(work, "sandbox"), home: work}
	defer func() {
		if err := box.down(); err != nil {
			fmt.Fprintln(os.Stderr, "sandbox down:", err)
			code = 1
		}
	}()
	if err := box.up(); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox up:", err)
		return 1
	}
	return m.Run()
}

func (s *sandbox) up() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.refloat, "../cmd/refloat")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	up := exec.CommandContext(ctx, s.refloat, "sandbox", "up", "--dir", s.dir, "--audit")
	up.Stdout, up.Stderr = io.Discard, os.Stderr
	return up.Run()
}

// down ends the sandbox and proves that it left neither process nor file.
func (s *sandbox) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.refloat, "sandbox", "down", "--purge", "--dir", s.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is still there: %w", s.dir, err)
	}
	if left := processesOf(s.dir); len(left) > 0 {
		return fmt.Errorf("processes left: %s", strings.Join(left, "; "))
	}
	return nil
}

// processesOf lists the processes that have a path in their command line or in their
// environment: control planes carry their directory in the latter.
func processesOf(path string) []string {
	var found []string
	for _, name := range []string{"cmdline", "environ"} {
		files, _ := filepath.Glob("/proc/[0-9]*/" + name)
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err == nil && bytes.Contains(data, []byte(path)) {
				found = append(found, f)
			}
		}
	}
	return found
}

// clusterFiles is how the files of a cluster that the local provider made are named.
func (s *sandbox) clusterFiles(cluster string) string {
	return filepath.Join(s.dir, "clusters", cluster+"-")
}

// planeDir is the directory of the control plane of a cluster.
func (s *sandbox) planeDir(t *testing.T, cluster string) string {
	t.Helper()
	found, err := filepath.Glob(s.clusterFiles(cluster) + "*/plane")
	if err != nil || len(found) != 1 {
		t.Fatalf("control planes of cluster %s: %v, %v; want one", cluster, found, err)
	}
	return found[0]
}

// result of one command.
type result struct {
	stdout, stderr string
	code           int
}

// run runs refloat with the sandbox as its management cluster.
func (s *sandbox) run(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.refloat, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(s.dir, "kubeconfig"), "HOME="+s.home)
	err := cmd.Run()
	exit, isExit := errors.AsType[*exec.ExitError](err)
	if err != nil && !isExit {
		t.Fatalf("refloat %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	if isExit {
		r.code = exit.ExitCode()
	}
	return r
}

// must runs refloat and fails the test unless it exits with 0.
func (s *sandbox) must(t *testing.T, args ...string) result {
	t.Helper()
	r := s.run(t, args...)
	if r.code != 0 {
		t.Fatalf("refloat %s: exit code %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r
}

// management is a client configuration of the management plane.
func (s *sandbox) management(t *testing.T) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.dir, "kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

// acting is the access of one of Refloat's accounts on the management plane, as its
// controller has it.
func (s *sandbox) acting(t *testing.T, account string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.dir, "controller.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	config.Impersonate.UserName = "system:serviceaccount:" + deploy.Namespace + ":" + account
	return config
}

// status is what `sandbox status -o json` prints, as far as the tests read it.
type status struct {
	Components []struct {
		Name    string `json:"name"`
		PID     int    `json:"pid"`
		Running bool   `json:"running"`
	} `json:"components"`
}

// pid of a component of the sandbox.
func (s *sandbox) pid(t *testing.T, component string) int {
	t.Helper()
	var st status
	out := s.must(t, "sandbox", "status", "--dir", s.dir, "-o", "json").stdout
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		t.Fatalf("sandbox status: %v\n%s", err, out)
	}
	for _, c := range st.Components {
		if c.Name == component && c.Running {
			return c.PID
		}
	}
	t.Fatalf("no %s is running:\n%s", component, out)
	return 0
}
