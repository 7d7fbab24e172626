package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/source"
)

// handedOver is a state of Flux with what an API server fills in, quantities, a Secret
// written as text, a definition of a kind and an object of it.
var handedOver = fstest.MapFS{
	"clusters/dev/apps.yaml": file(`apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: kinds, namespace: flux-system}
spec: {path: ./kinds, prune: true, wait: true, interval: 1h, sourceRef: {kind: GitRepository, name: flux-system}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  path: ./apps
  prune: true
  interval: 1h
  targetNamespace: shop
  dependsOn: [{name: kinds}]
  commonMetadata: {labels: {team: shop}}
  sourceRef: {kind: GitRepository, name: flux-system}
`),
	"kinds/crd.yaml": file(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`),
	"apps/web.yaml": file(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
        - {name: web, image: web:1, resources: {requests: {cpu: 0.5, memory: 1024Mi}}, ports: [{containerPort: 80}], envFrom: [{secretRef: {name: login}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {user: me}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: web, namespace: shop}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  minReplicas: 1
  maxReplicas: 2
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: a}
spec: {size: 1}
`),
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }

// TestFluxFindsNothingToChange rebuilds a state of Flux on a real API server, then does
// what kustomize-controller does when it comes up: with Flux's own library, under its own
// name, nothing may change, and nobody but it may own a rendered field.
func TestFluxFindsNothingToChange(t *testing.T) {
	ctx := t.Context()
	plane, err := planetest.Start(ctx, planetest.Options{Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
	snapshot := &source.Snapshot{FS: handedOver, URL: "https://git.example.com/fleet.git", Ref: "refs/heads/main", Commit: strings.Repeat("c", 40)}
	state, err := expand.Expand(ctx, snapshot, []string{"clusters/dev"}, expand.Options{})
	if err != nil {
		t.Fatal(err)
	}
	graph, err := order.Build(state.Objects, order.Options{Simulated: true, Units: state.Units})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply.Run(ctx, graph, apply.Options{Config: plane.Config, Simulated: true}); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(plane.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	manager := ssa.NewResourceManager(c, polling.NewStatusPoller(c, c.RESTMapper(), polling.Options{}),
		ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	byUnit := map[string][]*unstructured.Unstructured{}
	for _, o := range state.Objects {
		byUnit[o.Origin.Unit] = append(byUnit[o.Origin.Unit], o.DeepCopy())
		assertOneManager(ctx, t, c, o)
	}
	if len(byUnit) != 2 || len(state.Objects) != 9 {
		t.Fatalf("%d objects of %d units: want 9 of 2", len(state.Objects), len(byUnit))
	}
	for unit, objects := range byUnit {
		kind, name, _ := strings.Cut(unit, " ")
		namespace, name, _ := strings.Cut(name, "/")
		if kind != "Kustomization" {
			t.Fatalf("objects of %s", unit)
		}
		manager.SetOwnerLabels(objects, name, namespace)
		for _, o := range objects {
			entry, live, merged, err := manager.Diff(ctx, o.DeepCopy(), ssa.DefaultDiffOptions())
			if err != nil {
				t.Errorf("%s: %v", o.GetName(), err)
			} else if entry.Action != ssa.UnchangedAction {
				t.Errorf("%s is %s: live %v, as Flux would have it %v", entry.Subject, entry.Action, live, merged)
			}
		}
		set, err := manager.ApplyAll(ctx, objects, ssa.DefaultApplyOptions())
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range set.Entries {
			if entry.Action != ssa.UnchangedAction {
				t.Errorf("%s is %s when Flux applies it", entry.Subject, entry.Action)
			}
		}
	}
}

// assertOneManager reads who applied a live object.
func assertOneManager(ctx context.Context, t *testing.T, c client.Client, o manifests.Object) {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	if err := c.Get(ctx, client.ObjectKeyFromObject(o.Unstructured), live); err != nil {
		t.Fatalf("%s: %v", o.ID(), err)
	}
	var applied []string
	for _, m := range live.GetManagedFields() {
		if m.Operation == "Apply" {
			applied = append(applied, fmt.Sprint(m.Manager))
		}
	}
	if len(applied) != 1 || applied[0] != "kustomize-controller" {
		t.Errorf("%s is applied by %q: want kustomize-controller alone", o.ID(), applied)
	}
}
