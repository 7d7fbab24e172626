package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

const (
	// clusterName of the plan, and names of the objects around it.
	clusterName = "dev"
	planName    = "plan"
	runName     = "run"
	seedName    = "age"
	// The canaries are values of Secrets; they may be nowhere else.
	seedCanary  = "canary-of-the-seed-7f3a"
	stateCanary = "canary-of-the-state-91c2"
)

// files of the repository: a cluster, and a state of three declared waves with a kind of
// its own.
var files = map[string]string{
	"capi/cluster.yaml": `apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: "${CLUSTER_NAME}"}
spec:
  infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: LocalCluster, name: "${CLUSTER_NAME}"}
  controlPlaneRef: {apiGroup: controlplane.cluster.x-k8s.io, kind: LocalControlPlane, name: "${CLUSTER_NAME}"}
---
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: LocalCluster
metadata: {name: "${CLUSTER_NAME}"}
spec: {nodes: {count: 1}}
---
apiVersion: controlplane.cluster.x-k8s.io/v1alpha1
kind: LocalControlPlane
metadata: {name: "${CLUSTER_NAME}"}
spec: {version: v1.36.3}
---
apiVersion: v1
kind: Secret
metadata: {name: "${CLUSTER_NAME}-cloud"}
stringData: {token: ` + stateCanary + `}
`,
	"state/kinds.yaml": `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.chaos.example.com}
spec:
  group: chaos.example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
---
apiVersion: v1
kind: Namespace
# With a label: of an object with nothing but a name the server keeps no record, and notes that at the second apply.
metadata: {name: shop, labels: {part-of: chaos}}
`,
	"state/shop.yaml": `apiVersion: v1
kind: ServiceAccount
metadata: {name: clerk, namespace: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: till, namespace: shop}
stringData: {password: ` + stateCanary + `}
---
apiVersion: chaos.example.com/v1
kind: Widget
metadata: {name: one, namespace: shop}
spec: {size: 1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second, namespace: shop, annotations: {argocd.argoproj.io/sync-wave: "1"}}
data: {wave: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: third, namespace: shop, annotations: {argocd.argoproj.io/sync-wave: "2"}}
data: {wave: "2"}
`,
	// Where users are led, by the switch of a failover.
	"names/users.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: ` + usersName + `}
data: {cluster: "${CLUSTER_NAME}"}
`,
}

// before are the pairs of the state that must come one after the other.
var before = [][2]string{
	{"namespaces/shop", "serviceaccounts/shop/clerk"}, {"namespaces/shop", "secrets/shop/till"}, {"namespaces/shop", "widgets/shop/one"},
	{"customresourcedefinitions/widgets.chaos.example.com", "widgets/shop/one"},
	{"widgets/shop/one", "configmaps/shop/second"}, {"secrets/shop/till", "configmaps/shop/second"}, {"serviceaccounts/shop/clerk", "configmaps/shop/second"},
	{"configmaps/shop/second", "configmaps/shop/third"}, {"namespaces/flux-system", "secrets/flux-system/" + seedName},
}

var state = []string{
	"customresourcedefinitions/widgets.chaos.example.com", "namespaces/shop", "serviceaccounts/shop/clerk", "secrets/shop/till",
	"widgets/shop/one", "configmaps/shop/second", "configmaps/shop/third",
}

// makeRepository commits the files into a new directory.
func makeRepository(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			return err
		}
	}
	return errors.Join(git(ctx, dir, "init", "-q", "-b", "main"), git(ctx, dir, "add", "-A"), git(ctx, dir, "commit", "-q", "-m", "state"))
}

// git runs git, whose time is fixed so that every repository has the same commits.
func git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_AUTHOR_DATE=2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE=2026-01-01T00:00:00Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

// planOf the cluster, which other sides of a failover are like.
func planOf(namespace, repository string) *v1alpha1.RecoveryPlan {
	return &v1alpha1.RecoveryPlan{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: planName},
		Spec: v1alpha1.RecoveryPlanSpec{
			Source: v1alpha1.GitSource{URL: "file://" + repository, Ref: v1alpha1.GitRef{Branch: "main"}},
			Cluster: v1alpha1.ClusterTemplate{Name: clusterName, Path: "capi",
				Ready: v1alpha1.ClusterReadiness{Timeout: metav1.Duration{Duration: 5 * time.Minute}, MinReadyNodes: ptr.To[int32](0)}},
			State:     []v1alpha1.StatePath{{Path: "state"}},
			Seeds:     []v1alpha1.Seed{{SecretRef: v1alpha1.LocalSecretReference{Name: seedName}, Namespace: "flux-system"}},
			Objective: v1alpha1.Objective{RecoveryTime: &metav1.Duration{Duration: time.Hour}},
			Evaluate:  v1alpha1.EvaluatePolicy{Every: &metav1.Duration{}}, // its write would be counted
		},
	}
}

func orderOf(namespace, name string, operation v1alpha1.Operation) *v1alpha1.RecoveryRun {
	run := &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: planName}, Operation: operation, Reason: "chaos"},
	}
	if takesOver(operation) {
		run.Spec.Failover = &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: sidesOf(operation).toPlan}}
	}
	return run
}

// order makes the plans, the seed and the run.
func (t *trial) order(ctx context.Context, clusters *capi.Clusters) (*v1alpha1.RecoveryRun, error) {
	c, namespace := t.client, t.namespace
	plan := planOf(namespace, t.source)
	if err := t.prepareSides(ctx, clusters, plan); err != nil {
		return nil, err
	}
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: seedName}, StringData: map[string]string{"age.key": seedCanary}}
	run := orderOf(namespace, runName, t.point.Operation)
	for _, o := range []client.Object{plan, seed, run} {
		if err := c.Create(ctx, o); err != nil {
			return nil, fmt.Errorf("create %T: %w", o, err)
		}
	}
	return run, nil
}

// clusterSources are the cluster's manifests, for the cluster that an earlier run made.
func clusterSources(name string) ([]capi.Source, error) {
	var out []capi.Source
	for i, document := range strings.Split(files["capi/cluster.yaml"], "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(document, "${CLUSTER_NAME}", name)), &u.Object); err != nil {
			return nil, err
		}
		out = append(out, capi.Source{Object: u, From: fmt.Sprintf("cluster.yaml, document %d", i+1)})
	}
	return out, nil
}
