package controller

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/recovery"
)

// TestDrillIsFrozenHarmless renders a commit for a rebuild and for a drill.
func TestDrillIsFrozenHarmless(t *testing.T) {
	const shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: web}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: web}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n"
	const mover = "apiVersion: v1\nkind: Pod\nmetadata: {name: mover, namespace: default}\nspec: {containers: [{name: c, image: mover, env: [{name: AWS_ROLE_ARN, value: x}]}]}\n"
	const cluster = "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\nspec: {clusterNetwork: {apiServerPort: 7443, pods: {cidrBlocks: [10.244.0.0/16]}}, topology: {version: v1.36.0}}\n"
	repository := committed(t, map[string]string{"state/a.yaml": shop, "unknown/a.yaml": mover, "capi/c.yaml": cluster})
	engine := NewEngine(EngineOptions{CacheDir: t.TempDir(), Clock: clocktesting.NewFakeClock(time.Now())})
	render := func(operation v1alpha1.Operation, path string, policy v1alpha1.DrillPolicy) (*Rendered, error) {
		plan := v1alpha1.RecoveryPlanSpec{
			Source: v1alpha1.GitSource{URL: "file://" + repository}, Cluster: v1alpha1.ClusterTemplate{Path: "capi"},
			State: []v1alpha1.StatePath{{Path: path}}, Drill: policy,
		}
		run := &v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{Operation: operation}, Status: v1alpha1.RecoveryRunStatus{Pinned: &v1alpha1.PinnedInputs{Plan: plan}}}
		request := renderRequest(plan, "fleet", "dev", "", Access{})
		var err error
		if request.Drill, err = drillOptions(run); err != nil {
			return nil, err
		}
		return engine.Render(t.Context(), request)
	}
	must := func(r *Rendered, err error) *Rendered {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	rebuild, drill := must(render(v1alpha1.OperationRebuild, "state", v1alpha1.DrillPolicy{})), must(render(v1alpha1.OperationDrill, "state", v1alpha1.DrillPolicy{}))
	again, asIs := must(render(v1alpha1.OperationDrill, "state", v1alpha1.DrillPolicy{})), must(render(v1alpha1.OperationDrill, "state", v1alpha1.DrillPolicy{Profile: v1alpha1.ProfileNone}))
	if drill.Digest != again.Digest || !slices.EqualFunc(drill.State, again.State, sameObject) {
		t.Error("a drill does not come out the same again, as it has to after a restart")
	}
	if rebuild.Digest == drill.Digest || asIs.Digest != rebuild.Digest || len(rebuild.Drilled)+len(asIs.Drilled) != 0 || len(drill.Drilled) == 0 {
		t.Errorf("digests: rebuild %s, drill %s, drill as it is %s", rebuild.Digest, drill.Digest, asIs.Digest)
	}
	if kind := serviceType(rebuild.State) + " " + serviceType(drill.State); kind != "LoadBalancer ClusterIP" {
		t.Errorf("types of the Service: %s", kind)
	}
	if policy := named(drill.State, "refloat-drill-egress"); !strings.Contains(policy, "7443") || !strings.Contains(policy, "10.244.0.0/16") {
		t.Errorf("the policy does not know the cluster's network: %s", policy)
	}
	_, err := render(v1alpha1.OperationDrill, "unknown", v1alpha1.DrillPolicy{})
	if fault := recovery.AsFault(err); fault == nil || fault.Reason != "DrillRefused" || !strings.Contains(fault.Message, "unknown/a.yaml:1: Pod default/mover") {
		t.Errorf("an unknown controller: %v", err)
	}
	must(render(v1alpha1.OperationRebuild, "unknown", v1alpha1.DrillPolicy{}))
}

func committed(t *testing.T, files map[string]string) string {
	t.Helper()
	repository := filepath.Join(t.TempDir(), "fleet")
	for name, content := range files {
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
	return repository
}

func sameObject(a, b manifests.Object) bool {
	x, _ := a.MarshalJSON()
	y, _ := b.MarshalJSON()
	return string(x) == string(y)
}

func named(objects []manifests.Object, name string) string {
	for _, o := range objects {
		if o.GetName() == name {
			text, _ := o.MarshalJSON()
			return string(text)
		}
	}
	return ""
}

func serviceType(objects []manifests.Object) string {
	for _, o := range objects {
		if spec, ok := o.Object["spec"].(map[string]any); ok && o.GetKind() == "Service" {
			kind, _ := spec["type"].(string)
			return kind
		}
	}
	return ""
}
