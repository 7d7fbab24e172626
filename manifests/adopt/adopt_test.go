package adopt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/adopt"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// TestClean leaves what people wrote and nothing else.
func TestClean(t *testing.T) {
	for name, test := range map[string]struct{ live, want string }{
		"no record of ownership": {
			live: `{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web, uid: u, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", generation: 2,
				finalizers: [service.kubernetes.io/x, foregroundDeletion], ownerReferences: [{name: x}], annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}},
				spec: {clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ports: [{port: 80}]}, status: {loadBalancer: {}}}`,
			want: `{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web, finalizers: [service.kubernetes.io/x]}, spec: {ports: [{port: 80}]}}`,
		},
		"defaults that nobody owns": {
			live: `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web, labels: {a: b, c: d}, annotations: {deployment.kubernetes.io/revision: "3"}, managedFields: [
				{manager: kubectl, operation: Apply, apiVersion: apps/v1, fieldsV1: {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}},
				{manager: kube-controller-manager, operation: Update, apiVersion: apps/v1, fieldsV1: {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}},
				{manager: kubectl-label, operation: Update, apiVersion: apps/v1, fieldsV1: {"f:metadata": {"f:labels": {"f:c": {}}}}},
				{manager: kubelet, operation: Update, subresource: status, apiVersion: apps/v1, fieldsV1: {"f:status": {}}}]},
				spec: {replicas: 2, progressDeadlineSeconds: 600, template: {spec: {containers: [{name: main, image: x, imagePullPolicy: Always}, {name: injected, image: y}], dnsPolicy: ClusterFirst}}}, status: {replicas: 2}}`,
			want: `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: web, labels: {a: b, c: d}}, spec: {replicas: 2, template: {spec: {containers: [{name: main, image: x}]}}}}`,
		},
		"owned as a whole": {
			live: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, managedFields: [{manager: x, operation: Update, apiVersion: v1, fieldsV1: {"f:data": {}}}]}, data: {a: b}, binaryData: {c: d}}`,
			want: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {a: b}}`,
		},
		"a record of another version": {
			live: `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a, namespace: b, managedFields: [{manager: x, operation: Update, apiVersion: autoscaling/v1, fieldsV1: {"f:spec": {"f:targetCPUUtilizationPercentage": {}}}}]}, spec: {maxReplicas: 3}}`,
			want: `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a, namespace: b}, spec: {maxReplicas: 3}}`,
		},
		"headless service": {
			live: `{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web}, spec: {clusterIP: None, ports: [{port: 80}]}}`,
			want: `{apiVersion: v1, kind: Service, metadata: {namespace: shop, name: web}, spec: {clusterIP: None, ports: [{port: 80}]}}`,
		},
		"claim": {
			live: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: shop, name: a, finalizers: [kubernetes.io/pvc-protection], annotations: {pv.kubernetes.io/bind-completed: "yes"}}, spec: {volumeName: v, storageClassName: s}}`,
			want: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: shop, name: a}, spec: {storageClassName: s}}`,
		},
		"namespace": {
			live: `{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {kubernetes.io/metadata.name: a}}, spec: {finalizers: [kubernetes]}, status: {phase: Active}}`,
			want: `{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {kubernetes.io/metadata.name: a}}}`,
		},
		"job": {
			live: `{apiVersion: batch/v1, kind: Job, metadata: {namespace: a, name: b}, spec: {selector: {matchLabels: {x: y}}, template: {metadata: {labels: {controller-uid: u, batch.kubernetes.io/controller-uid: u, job-name: b}}}}}`,
			want: `{apiVersion: batch/v1, kind: Job, metadata: {namespace: a, name: b}, spec: {template: {metadata: {labels: {job-name: b}}}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(object(t, test.want).Object, adopt.Clean(object(t, test.live)).Object); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFileNames never lead anywhere else, and never to one another.
func TestFileNames(t *testing.T) {
	seen := map[string]manifests.ID{}
	for _, id := range []manifests.ID{
		{Kind: "ConfigMap", Namespace: "shop", Name: "a"}, {Kind: "Secret", Namespace: "shop", Name: "a"}, {Kind: "Namespace", Name: "shop"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "by:hand"}, {Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "by-hand"},
		{Kind: "ConfigMap", Namespace: "..", Name: "../../etc/passwd"}, {Kind: "../x", Name: ".."}, {Kind: "ConfigMap", Namespace: "a", Name: strings.Repeat("x", 253)},
	} {
		name := adopt.FileName(id)
		if filepath.Base(name) != name || strings.HasPrefix(name, ".") || len(name) > 200 || !strings.HasSuffix(name, ".yaml") {
			t.Errorf("%s: %q", id, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s share %s", id, other, name)
		}
		seen[name] = id
	}
}

func TestPattern(t *testing.T) {
	for text, want := range map[string]manifests.Pattern{
		"ConfigMap/shop/a*": {Kind: "ConfigMap", Namespace: "shop", Name: "a*"}, "Namespace/x": {Kind: "Namespace", Name: "x"},
		"Deployment.apps/shop/web": {Kind: "Deployment", Group: "apps", Namespace: "shop", Name: "web"},
	} {
		if got, err := adopt.Pattern(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "a", "a/", "/a", "a/b/c/d", "a//b"} {
		if got, err := adopt.Pattern(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestWriteToADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	files := []adopt.File{{Name: "a.yaml", Content: []byte("one")}, {Name: "b.yaml", Content: []byte("key"), Secret: true}}
	if err := adopt.Write(dir, files, false); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"a.yaml": 0o644, "b.yaml": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&^0o022 != mode&^0o022 || info.Mode().Perm()&0o077 != 0 && mode == 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	files[0].Content = []byte("two")
	files = append([]adopt.File{{Name: "c.yaml", Content: []byte("new")}}, files...)
	if err := adopt.Write(dir, files, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("overwriting: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "c.yaml")); err == nil {
		t.Error("some were written all the same")
	}
	if err := adopt.Write(dir, files, true); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "a.yaml")); string(text) != "two" {
		t.Errorf("forced: %q", text)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, f := range []adopt.File{{Name: "../escaped.yaml"}, {Name: "link.yaml", Content: []byte("x")}} {
		err := adopt.Write(dir, []adopt.File{f}, f.Name == "link.yaml")
		if _, missing := os.Stat(outside); missing == nil || err == nil && f.Name != "link.yaml" {
			t.Errorf("%s was written outside (%v)", f.Name, err)
		}
	}
}

func TestWithResources(t *testing.T) {
	for name, test := range map[string]struct{ have, want string }{
		"some":   {"# ours\nresources:\n- a.yaml # first\nnamespace: x\n", "# ours\nresources:\n- a.yaml # first\n- b.yaml\nnamespace: x\n"},
		"none":   {"namespace: x\n", "namespace: x\nresources:\n- a.yaml\n- b.yaml\n"},
		"all":    {"resources:\n- b.yaml\n- a.yaml\n", "resources:\n- b.yaml\n- a.yaml\n"},
		"no map": {"- a\n", ""},
		"broken": {"a: [", ""},
		"other":  {"resources: text\n", ""},
	} {
		got, err := adopt.WithResources([]byte(test.have), []string{"a.yaml", "b.yaml"})
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

var at = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
