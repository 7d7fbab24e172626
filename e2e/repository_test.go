package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cluster is the Cluster API side of a test repository.
const cluster = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: "${CLUSTER_NAME}"}
spec:
  infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: LocalCluster, name: "${CLUSTER_NAME}"}
  controlPlaneRef: {apiGroup: controlplane.cluster.x-k8s.io, kind: LocalControlPlane, name: "${CLUSTER_NAME}"}
---
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: LocalCluster
metadata: {name: "${CLUSTER_NAME}"}
spec: {nodes: {count: 2}}
---
apiVersion: controlplane.cluster.x-k8s.io/v1alpha1
kind: LocalControlPlane
metadata: {name: "${CLUSTER_NAME}"}
spec: {version: v1.36.3}
`

// repository is a Git repository that a test makes: paths to contents.
type repository struct {
	dir string
}

// newRepository commits files, with the cluster manifests at cluster/cluster.yaml
// unless the files hold some.
func newRepository(t *testing.T, files map[string]string) *repository {
	t.Helper()
	r := &repository{dir: t.TempDir()}
	r.git(t, "init", "--quiet", "--initial-branch=main")
	if _, own := files["cluster/cluster.yaml"]; !own {
		r.write(t, "cluster/cluster.yaml", cluster)
	}
	r.commit(t, files)
	return r
}

func (r *repository) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", r.dir,
		"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) write(t *testing.T, name, content string) {
	t.Helper()
	file := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commit writes files, commits everything and returns the hash.
func (r *repository) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		r.write(t, name, content)
	}
	r.git(t, "add", "--all")
	r.git(t, "commit", "--quiet", "--allow-empty", "--message", "state")
	return r.git(t, "rev-parse", "HEAD")
}

// filesOf reads a tree into a map under the given prefix.
func filesOf(t *testing.T, root, prefix string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(root, path))
		files[prefix+path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// plan writes a plan file for a cluster of that name made from the repository.
func (r *repository) plan(t *testing.T, name string, extra string, paths ...string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: refloat.dev/v1alpha1
kind: RecoveryPlan
metadata: {name: %s, namespace: default}
spec:
  source: {url: "file://%s", ref: {branch: main}}
  cluster: {name: %s, path: cluster, ready: {timeout: 3m, minReadyNodes: 2}}
  state:
`, name, r.dir, name)
	for _, p := range paths {
		fmt.Fprintf(&b, "    - path: %s\n", p)
	}
	b.WriteString(extra)
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
