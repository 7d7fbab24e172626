package e2e

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/deploy"
	"github.com/refloat-dev/refloat/providers/capi"
)

// everyKind is what a plan's cluster path may hold besides the cluster itself.
const everyKind = `
---
apiVersion: v1
kind: Secret
metadata: {name: "${CLUSTER_NAME}-cloud"}
stringData: {token: canary}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "${CLUSTER_NAME}-settings"}
data: {region: here}
---
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: LocalClusterTemplate
metadata: {name: "${CLUSTER_NAME}"}
spec: {template: {spec: {}}}
---
apiVersion: controlplane.cluster.x-k8s.io/v1alpha1
kind: LocalControlPlaneTemplate
metadata: {name: "${CLUSTER_NAME}"}
spec: {template: {spec: {}}}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: ClusterClass
metadata: {name: "${CLUSTER_NAME}"}
spec:
  infrastructure: {templateRef: {apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1, kind: LocalClusterTemplate, name: "${CLUSTER_NAME}"}}
  controlPlane: {templateRef: {apiVersion: controlplane.cluster.x-k8s.io/v1alpha1, kind: LocalControlPlaneTemplate, name: "${CLUSTER_NAME}"}}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineHealthCheck
metadata: {name: "${CLUSTER_NAME}"}
spec:
  clusterName: "${CLUSTER_NAME}"
  selector: {matchLabels: {of: nothing}}
  checks: {unhealthyNodeConditions: [{type: Ready, status: "False", timeoutSeconds: 300}]}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineDrainRule
metadata: {name: "${CLUSTER_NAME}"}
spec:
  drain: {behavior: Skip}
  pods: [{selector: {matchLabels: {of: nothing}}}]
`

// workers are kinds that Cluster API acts on as soon as they are there.
const workers = `
---
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: LocalMachineTemplate
metadata: {name: "${CLUSTER_NAME}"}
spec: {template: {spec: {}}}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineDeployment
metadata: {name: "${CLUSTER_NAME}"}
spec:
  clusterName: "${CLUSTER_NAME}"
  replicas: 0
  selector: {matchLabels: {of: deployment}}
  template:
    metadata: {labels: {of: deployment}}
    spec:
      clusterName: "${CLUSTER_NAME}"
      version: v1.36.3
      bootstrap: {dataSecretName: none}
      infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: LocalMachineTemplate, name: "${CLUSTER_NAME}"}
---
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineSet
metadata: {name: "${CLUSTER_NAME}-set"}
spec:
  clusterName: "${CLUSTER_NAME}"
  replicas: 0
  selector: {matchLabels: {of: set}}
  template:
    metadata: {labels: {of: set}}
    spec:
      clusterName: "${CLUSTER_NAME}"
      version: v1.36.3
      bootstrap: {dataSecretName: none}
      infrastructureRef: {apiGroup: infrastructure.cluster.x-k8s.io, kind: LocalMachineTemplate, name: "${CLUSTER_NAME}"}
`

// TestAccountsMayHandleEveryKindOfAPlan makes and removes everything that a cluster path
// may hold, with the rights of the three accounts: when the creation is cut short before
// the Cluster, and when it is not.
func TestAccountsMayHandleEveryKindOfAPlan(t *testing.T) {
	example, err := os.ReadFile("../examples/cluster/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	clusters := actingClusters(t)
	stamp := capi.Stamp{Run: types.UID("every-kind"), Epoch: 1}
	cutShort := errors.New("the process was killed")

	half := parsed(t, string(example)+everyKind, "every-kind-half")
	preflighted(t, clusters, half)
	_, err = clusters.CreateWhile(t.Context(), half, stamp, func(context.Context) error { return cutShort })
	if !errors.Is(err, cutShort) {
		t.Fatalf("create: %v", err)
	}
	gone := capi.Incarnation{Namespace: "default", Name: half.Name}
	eventually(t, "what was created to be discarded", func(ctx context.Context) (bool, error) {
		err := clusters.Discard(ctx, gone, stamp)
		if apierrors.IsConflict(err) {
			return false, nil // Cluster API wrote to it meanwhile
		}
		return err == nil, err
	})
	nothingLeft(t, clusters, gone)

	whole := parsed(t, string(example)+everyKind+workers, "every-kind")
	preflighted(t, clusters, whole)
	inc, err := clusters.Create(t.Context(), whole, stamp)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	eventually(t, "the Cluster to be deleted", func(ctx context.Context) (bool, error) {
		err := clusters.Delete(ctx, inc, stamp)
		var changed *capi.NotReadyError
		if errors.As(err, &changed) {
			return false, nil
		}
		return err == nil, err
	})
	eventually(t, "the Cluster to be gone", func(ctx context.Context) (bool, error) {
		obs, err := clusters.Observe(ctx, inc.Namespace, inc.Name)
		return !obs.Exists, err
	})
	nothingLeft(t, clusters, inc)
}

// actingClusters is the access to Cluster API that the controller has.
func actingClusters(t *testing.T) *capi.Clusters {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clusterv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	as := func(account string) client.Client {
		c, err := client.New(box.acting(t, account), client.Options{Scheme: scheme})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return &capi.Clusters{
		Client: as(deploy.Applier), Reader: as(deploy.Planner), Destroyer: as(deploy.Destroyer),
		Clock: clock.RealClock{}, Endpoint: box.management(t).Host,
	}
}

func parsed(t *testing.T, text, name string) *capi.Manifests {
	t.Helper()
	m, err := capi.Parse(sourcesOf(t, text, name), name, "default")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func preflighted(t *testing.T, clusters *capi.Clusters, m *capi.Manifests) {
	t.Helper()
	if err := errors.Join(clusters.Preflight(t.Context(), m), clusters.Obstacles(t.Context(), m)); err != nil {
		t.Fatal(err)
	}
}

func nothingLeft(t *testing.T, clusters *capi.Clusters, inc capi.Incarnation) {
	t.Helper()
	eventually(t, "nothing to be left of "+inc.Name, func(ctx context.Context) (bool, error) {
		left, err := clusters.Contents(ctx, inc)
		return len(left) == 0, err
	})
}

// eventually waits for what nothing announces.
func eventually(t *testing.T, what string, done func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := wait.PollUntilContextCancel(ctx, conformanceLook, true, done); err != nil {
		t.Fatalf("waited in vain for %s: %v", what, err)
	}
}
