package quarantine_test

import (
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

const realVolumes = `{apiVersion: v1, kind: PersistentVolume, metadata: {name: data}, spec: {storageClassName: "", csi: {driver: efs.csi.aws.com, volumeHandle: fs-1}, persistentVolumeReclaimPolicy: Delete}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: node}, spec: {storageClassName: local, hostPath: {path: /x}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: claim, namespace: a}, spec: {storageClassName: "", volumeName: data, resources: {}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: other, namespace: a}, spec: {storageClassName: fast, resources: {}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: a}, spec: {template: {spec: {containers: [{name: c, image: db}]}}, volumeClaimTemplates: [{metadata: {name: d}, spec: {storageClassName: "", resources: {}}}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: files, namespace: a}, spec: {template: {spec: {containers: [{name: c, image: files}], volumes: [{name: share, nfs: {server: nfs.example.com, path: /}}, {name: s, csi: {driver: secrets-store.csi.k8s.io}}]}}}}
---
{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshotContent, metadata: {name: snap}, spec: {deletionPolicy: Delete, source: {snapshotHandle: snap-1}}}`

// TestRealDataIsNotMounted, and not deleted when the drill cleans up.
func TestRealDataIsNotMounted(t *testing.T) {
	r := drill(t, realVolumes, quarantine.Options{})
	if find(r, "PersistentVolume", "data") != nil || find(r, "PersistentVolume", "node") == nil {
		t.Errorf("volumes: %v", r.Changes)
	}
	for kind, want := range map[string]string{
		"PersistentVolumeClaim claim": `{"resources":{}}`, "PersistentVolumeClaim other": `{"resources":{},"storageClassName":"fast"}`,
		"StatefulSet db":             `"volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{"resources":{}}}]`,
		"Deployment files":           `"volumes":[{"emptyDir":{},"name":"share"},{"csi":{"driver":"secrets-store.csi.k8s.io"},"name":"s"}]`,
		"VolumeSnapshotContent snap": `"deletionPolicy":"Retain"`,
	} {
		k, name, _ := strings.Cut(kind, " ")
		if spec := jsonOf(t, find(r, k, name).Object["spec"]); !strings.Contains(spec, want) {
			t.Errorf("%s: %s, want %s", kind, spec, want)
		}
	}
	if before, after := dump(t, parse(t, realVolumes)), parse(t, realVolumes); true {
		if _, err := quarantine.Apply(after, nil, quarantine.Options{}); err != nil || dump(t, after) != before {
			t.Errorf("the given objects were changed: %v", err)
		}
	}
	kept := drill(t, realVolumes, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "PersistentVolume"}, Reason: "a copy"}}})
	if find(kept, "PersistentVolume", "data") == nil || find(kept, "PersistentVolumeClaim", "claim").Object["spec"].(map[string]any)["volumeName"] != "data" {
		t.Errorf("the plan allows it: %v", kept.Changes)
	}
}
