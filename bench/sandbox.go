package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// sandbox is a real one, driven by the command as a user drives it.
type sandbox struct {
	refloat, work string
}

// startSandbox brings one up. The command is what `make build` made.
func startSandbox(ctx context.Context) (*sandbox, error) {
	refloat, err := filepath.Abs(filepath.Join("..", "bin", "refloat"))
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "bench-sandbox-")
	if err != nil {
		return nil, err
	}
	s := &sandbox{refloat: refloat, work: work}
	if _, err := s.run(ctx, "sandbox", "up", "--dir", s.dir()); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *sandbox) dir() string { return filepath.Join(s.work, "sandbox") }

func (s *sandbox) stop(ctx context.Context) error {
	_, err := s.run(ctx, "sandbox", "down", "--purge", "--dir", s.dir())
	return errors.Join(err, os.RemoveAll(s.work))
}

func (s *sandbox) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.refloat, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(s.dir(), "kubeconfig"), "XDG_STATE_HOME="+filepath.Join(s.work, "state"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("refloat %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// drillReport is what the benchmarks read of a report.
type drillReport struct {
	StartedAt, FinishedAt time.Time
	Phases                []struct {
		Name    string
		Seconds float64
	}
}

// drill commits the objects to a repository of their own and drills it.
func (s *sandbox) drill(ctx context.Context, name string, objects []manifests.Object) (drillReport, error) {
	var r drillReport
	plan, err := s.plan(ctx, name, objects)
	if err != nil {
		return r, err
	}
	out, err := s.run(ctx, "drill", "-f", plan, "-o", "json")
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// plan commits the objects to a repository of their own and writes a plan for it.
func (s *sandbox) plan(ctx context.Context, name string, objects []manifests.Object) (string, error) {
	repository := filepath.Join(s.work, name)
	if err := writeRepository(ctx, repository, objects); err != nil {
		return "", err
	}
	plan := filepath.Join(s.work, name+".yaml")
	content := fmt.Sprintf(`apiVersion: refloat.dev/v1alpha1
kind: RecoveryPlan
metadata: {name: %s, namespace: default}
spec:
  source: {url: "file://%s"}
  cluster: {name: %s, path: cluster}
  state: [{path: state}]
  drill: {profile: None} # what it is compared with is applied as it is
  evaluate: {every: 0s}
`, name, repository, name)
	return plan, os.WriteFile(plan, []byte(content), 0o600)
}

func writeRepository(ctx context.Context, dir string, objects []manifests.Object) error {
	cluster, err := os.ReadFile(filepath.Join("..", "examples", "cluster", "cluster.yaml"))
	if err != nil {
		return err
	}
	var state strings.Builder
	files := map[string]string{"cluster/cluster.yaml": string(cluster)}
	for i, o := range objects {
		document, err := yaml.Marshal(o.Object)
		if err != nil {
			return err
		}
		state.WriteString("---\n" + string(document))
		const perFile = 200
		if i%perFile == perFile-1 || i == len(objects)-1 {
			files[fmt.Sprintf("state/%d.yaml", i)] = state.String()
			state.Reset()
		}
	}
	if err := writeTree(dir, files); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"add", "--all"},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", "state"},
	} {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// writeTree writes files by their names below dir.
func writeTree(dir string, files map[string]string) error {
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}
