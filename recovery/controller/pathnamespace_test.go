package controller

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func TestAPlansPathsGiveTheirNamespace(t *testing.T) {
	repository := filepath.Join(t.TempDir(), "fleet")
	for name, content := range map[string]string{
		"state/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"capi/c.yaml":  "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\n",
	} {
		file := filepath.Join(repository, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "one"}} {
		cmd := exec.Command("git", append([]string{"-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	engine := NewEngine(EngineOptions{CacheDir: t.TempDir(), Clock: clocktesting.NewFakeClock(time.Now())})
	rendered := func(namespace string) *Rendered {
		plan := v1alpha1.RecoveryPlanSpec{
			Source:  v1alpha1.GitSource{URL: "file://" + repository},
			Cluster: v1alpha1.ClusterTemplate{Path: "capi"},
			State:   []v1alpha1.StatePath{{Path: "state", Namespace: namespace}},
		}
		r, err := engine.Render(t.Context(), renderRequest(plan, "fleet", "dev", "", Access{}))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, other := rendered("default"), rendered("kube-public")
	if got := other.State[0].ID().String(); got != "ConfigMap kube-public/a" {
		t.Errorf("the state holds %s", got)
	}
	if one.Digest == other.Digest {
		t.Error("the digest does not cover the namespace")
	}
}

func TestAPlanSaysWhichClusterArgoCDMeans(t *testing.T) {
	request := renderRequest(v1alpha1.RecoveryPlanSpec{ArgoCD: &v1alpha1.ArgoCDPolicy{
		Namespace: "gitops", Clusters: []v1alpha1.ArgoCDCluster{{Name: "eu", Server: "https://eu.example.com"}},
	}}, "ns", "eu", "", Access{})
	got := (&engine{EngineOptions{Clock: clocktesting.NewFakeClock(time.Now())}}).expandOptions(request, "v1.36.0").ArgoCD
	if got.Namespace != "gitops" || len(got.Clusters) != 1 || got.Clusters[0].Name != "eu" || got.Clusters[0].Server != "https://eu.example.com" {
		t.Errorf("the expansion is told %+v", got)
	}
}
