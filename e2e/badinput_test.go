package e2e

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
)

const aNamespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: fine}\n"

// TestBadInputDestroysNothing gives a run all kinds of bad input. Each ends in one clear
// sentence, with nothing made and the cluster that was there untouched.
func TestBadInputDestroysNothing(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		extra string
		paths []string
		want  []string
	}{
		"path that does not exist": {
			files: map[string]string{"state/a.yaml": aNamespace},
			paths: []string{"sate"}, want: []string{"sate"},
		},
		"syntax error": {
			files: map[string]string{"state/a.yaml": "apiVersion: v1\nkind: [\n"},
			paths: []string{"state"}, want: []string{"state/a.yaml"},
		},
		"custom resource without definition": {
			files: map[string]string{"state/a.yaml": "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: default}\n"},
			paths: []string{"state"}, want: []string{"Widget", "state/a.yaml:1"},
		},
		"no cluster in the manifests": {
			files: map[string]string{"state/a.yaml": aNamespace, "cluster/cluster.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"},
			paths: []string{"state"}, want: []string{"Cluster"},
		},
		"two clusters in the manifests": {
			files: map[string]string{"state/a.yaml": aNamespace, "cluster/second.yaml": strings.ReplaceAll(cluster, "${CLUSTER_NAME}", "other")},
			paths: []string{"state"}, want: []string{"other"},
		},
		"cluster of another name": {
			files: map[string]string{"state/a.yaml": aNamespace, "cluster/cluster.yaml": strings.ReplaceAll(cluster, "${CLUSTER_NAME}", "other")},
			paths: []string{"state"}, want: []string{"other"},
		},
		"seed that is not there": {
			files: map[string]string{"state/a.yaml": aNamespace},
			extra: "  seeds: [{secretRef: {name: sops-age}, namespace: fine}]\n",
			paths: []string{"state"}, want: []string{"sops-age"},
		},
		"nothing in the path": {
			files: map[string]string{"state/README.md": "nothing here\n"},
			paths: []string{"state"}, want: []string{"state"},
		},
	}
	const name = "untouched"
	good := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	box.must(t, "rebuild", "-f", good.plan(t, name, "", "state"), "--confirm", name)
	before := clusterUID(t, name)
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			repo := newRepository(t, test.files)
			r := box.run(t, "rebuild", "-f", repo.plan(t, name, test.extra, test.paths...), "--confirm", name)
			if r.code != 1 && r.code != 2 {
				t.Errorf("exit code %d, want 1 or 2\n%s", r.code, r.stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("the message does not name %q:\n%s", want, r.stderr)
				}
			}
			if uid := clusterUID(t, name); uid != before {
				t.Fatalf("the cluster was replaced: UID %s, before %s", uid, before)
			}
		})
	}
	box.must(t, "rebuild", "-f", good.plan(t, name, "", "state"), "--confirm", name)
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
	assertNoClusters(t, name)
}

// assertNoClusters checks that no Cluster whose name starts so was left half made.
func assertNoClusters(t *testing.T, prefix string) {
	t.Helper()
	c, err := dynamic.NewForConfig(box.management(t))
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Resource(clusters).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		if strings.HasPrefix(item.GetName(), prefix) {
			t.Errorf("Cluster %s was left", item.GetName())
		}
	}
}
