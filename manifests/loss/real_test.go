package loss_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/adopt"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/order"
)

const canary = "correct-horse-battery"

func core(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: resource}
}

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	roles       = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	jobs        = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
)

func client(t *testing.T) dynamic.Interface {
	t.Helper()
	c, err := dynamic.NewForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// create an object under the name of a tool.
func create(t *testing.T, gvr schema.GroupVersionResource, manager, text string) {
	t.Helper()
	u := object(t, text)
	_, err := client(t).Resource(gvr).Namespace(u.GetNamespace()).Create(t.Context(), u, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		t.Fatalf("create %s: %v", manifests.IDOf(u), err)
	}
}

func patch(t *testing.T, gvr schema.GroupVersionResource, name, manager, body string) {
	t.Helper()
	_, err := client(t).Resource(gvr).Namespace("real").Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		t.Fatal(err)
	}
}

func inspected(t *testing.T, objects []manifests.Object, simulated bool) *loss.Preview {
	t.Helper()
	started := time.Now()
	p, err := loss.Inspect(t.Context(), objects, loss.Options{Config: plane.Config, Rules: loss.Rules{Now: time.Now(), Simulated: simulated}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("looked at %d objects in %s", p.Live, time.Since(started))
	return p
}

// lostOf names what counts, as "Object ConfigMap shop/mine".
func lostOf(p *loss.Preview) []string {
	var out []string
	for _, i := range p.Counting() {
		out = append(out, string(i.What)+" "+i.ID.String())
	}
	slices.Sort(out)
	return out
}

// await a field of an object, without polling.
func await(t *testing.T, gvr schema.GroupVersionResource, name string, path []string, want string) {
	t.Helper()
	w, err := client(t).Resource(gvr).Namespace("real").Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	late := time.After(time.Minute)
	for {
		select {
		case e := <-w.ResultChan():
			if u, ok := e.Object.(*unstructured.Unstructured); ok {
				if got, _, _ := unstructured.NestedString(u.Object, path...); got == want {
					return
				}
			}
		case <-late:
			t.Fatalf("%s never had %v %s", name, path, want)
		}
	}
}

// byHands makes what people make on a cluster, and says what of it would be lost.
func byHands(t *testing.T) []string {
	t.Helper()
	create(t, core("configmaps"), "kubectl-create", `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: real, name: mine}, data: {a: b}}`)
	create(t, core("secrets"), "kubectl-create", `{apiVersion: v1, kind: Secret, metadata: {namespace: real, name: key}, stringData: {password: `+canary+`}}`)
	create(t, core("namespaces"), "kubectl-create", `{apiVersion: v1, kind: Namespace, metadata: {name: stranger}}`)
	create(t, core("services"), "kubectl-expose", `{apiVersion: v1, kind: Service, metadata: {namespace: real, name: door}, spec: {selector: {app: hand}, ports: [{port: 80}]}}`)
	create(t, roles, "kubectl-create", `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "by:hand"}, rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]}`)
	create(t, deployments, "kubectl-create", `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: real, name: hand}, spec: {replicas: 1, selector: {matchLabels: {app: hand}},
		template: {metadata: {labels: {app: hand}}, spec: {containers: [{name: main, image: registry.example/x:1}]}}}}`)
	create(t, jobs, "kubectl-create", `{apiVersion: batch/v1, kind: Job, metadata: {namespace: real, name: once}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: main, image: registry.example/x:1}]}}}}`)
	create(t, core("persistentvolumes"), "kubectl-create", `{apiVersion: v1, kind: PersistentVolume, metadata: {name: disk}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], persistentVolumeReclaimPolicy: Delete,
		storageClassName: manual, csi: {driver: csi.example.com, volumeHandle: vol-1}, claimRef: {namespace: real, name: data}}}`)
	create(t, core("persistentvolumeclaims"), "kubectl-create", `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: real, name: data}, spec: {accessModes: [ReadWriteOnce], storageClassName: manual, volumeName: disk, resources: {requests: {storage: 1Gi}}}}`)
	await(t, core("persistentvolumeclaims"), "data", []string{"status", "phase"}, "Bound")

	patch(t, deployments, "web", "kubectl-scale", `{"spec":{"replicas":3}}`)
	patch(t, core("configmaps"), "drifted", "somebody", `{"data":{"value":"other"}}`)
	patch(t, core("configmaps"), "labelled", "kubectl-label", `{"metadata":{"labels":{"team":"x"}}}`)
	await(t, core("serviceaccounts"), "default", []string{"metadata", "name"}, "default")
	patch(t, core("serviceaccounts"), "default", "kubectl-patch", `{"imagePullSecrets":[{"name":"registry"}]}`)
	patch(t, core("configmaps"), "newer", "refloat", `{"data":{"value":"what an earlier commit had"}}`)
	return []string{
		"Data PersistentVolumeClaim real/data",
		"Fields ConfigMap real/drifted", "Fields ConfigMap real/labelled", "Fields Deployment.apps real/web", "Fields ServiceAccount real/default",
		"Object ClusterRole.rbac.authorization.k8s.io by:hand", "Object ConfigMap real/mine", "Object Deployment.apps real/hand", "Object Job.batch real/once",
		"Object Namespace stranger", "Object PersistentVolume disk", "Object PersistentVolumeClaim real/data", "Object Secret real/key", "Object Service real/door",
	}
}

// TestRealCluster lists on a real API server exactly what hands made, and nothing of it any
// more once the repository has what adopt writes.
func TestRealCluster(t *testing.T) {
	objects := append(planetest.Mixed(40, "loss"), planetest.Namespace("real"), planetest.Deployment("real", "web", 1),
		planetest.ConfigMap("real", "drifted", "one"), planetest.ConfigMap("real", "labelled", "one"), planetest.ConfigMap("real", "newer", "one"))
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply.Run(t.Context(), g, apply.Options{Config: plane.Config, Simulated: true, Timeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if p := inspected(t, objects, false); !p.Clean() || p.Live < len(objects) || p.ClusterID == "" {
		t.Fatalf("of a cluster that was just applied, this would be lost: %v (%d live)", lostOf(p), p.Live)
	}
	want := byHands(t)
	slices.Sort(want)
	p := inspected(t, objects, false)
	if got := lostOf(p); !slices.Equal(got, want) {
		t.Errorf("lost\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	text, err := json.Marshal(p)
	if err != nil || strings.Contains(string(text), canary) {
		t.Errorf("the preview tells a secret (%v)", err)
	}
	for _, i := range p.Counting() {
		if i.What == loss.Object && (!i.By.Person || i.By.Time == nil) {
			t.Errorf("%s: written by %+v", i.ID, i.By)
		}
	}
	if p := inspected(t, objects, true); slices.Contains(lostOf(p), "Data PersistentVolumeClaim real/data") {
		t.Error("data is lost where no container runs")
	}
	adopted := adoptedFrom(t, p)
	after := lostOf(inspected(t, append(slices.Clone(objects), adopted...), false))
	left := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return strings.HasPrefix(s, "Object ") })
	if !slices.Equal(after, left) {
		t.Errorf("after adopting, this would be lost:\n%s\nwant\n%s", strings.Join(after, "\n"), strings.Join(left, "\n"))
	}
}

// adoptedFrom the cluster, by way of files.
func adoptedFrom(t *testing.T, p *loss.Preview) []manifests.Object {
	t.Helper()
	resources := map[string]schema.GroupVersionResource{
		"ConfigMap": core("configmaps"), "Secret": core("secrets"), "Namespace": core("namespaces"), "Service": core("services"),
		"ClusterRole": roles, "Deployment": deployments, "Job": jobs, "PersistentVolumeClaim": core("persistentvolumeclaims"), "PersistentVolume": core("persistentvolumes"),
	}
	var out []manifests.Object
	for _, i := range p.Counting() {
		if i.What != loss.Object {
			continue
		}
		live, err := client(t).Resource(resources[i.ID.Kind]).Namespace(i.ID.Namespace).Get(t.Context(), i.ID.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := adopt.NewFile(live, "by a test")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s\n%s", f.Name, strings.ReplaceAll(string(f.Content), canary, "…"))
		out = append(out, manifests.Object{Unstructured: object(t, string(f.Content)), Origin: manifests.Origin{File: f.Name, Line: 1}})
	}
	return out
}
