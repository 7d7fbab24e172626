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

// TestSharesOfPods are not mounted: only drivers that make a volume for each pod are.
func TestSharesOfPods(t *testing.T) {
	for driver, real := range map[string]bool{
		"nfs.csi.k8s.io": true, "smb.csi.k8s.io": true, "file.csi.azure.com": true, "gcsfuse.csi.storage.gke.io": true, "efs.csi.aws.com": true, "unknown.example": true, `""`: true,
		"secrets-store.csi.k8s.io": false, "csi.cert-manager.io": false, "spiffe.csi.cert-manager.io": false, "csi.spiffe.io": false,
	} {
		t.Run(driver, func(t *testing.T) {
			in := deployment("d", `{containers: [{name: c, image: x}], volumes: [{name: v, csi: {driver: `+driver+`, volumeAttributes: {share: /x}}}]}`)
			r := drill(t, in, quarantine.Options{})
			if spec := jsonOf(t, find(r, "Deployment", "d").Object); strings.Contains(spec, `"csi"`) == real || strings.Contains(spec, "emptyDir") != real || changed(r, "Storage") != real {
				t.Errorf("%s; changes %v", spec, r.Changes)
			}
			kept := drill(t, in, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "Deployment"}, Reason: "a copy"}}})
			if spec := jsonOf(t, find(kept, "Deployment", "d").Object); !strings.Contains(spec, `"csi"`) {
				t.Errorf("the plan allows it: %s", spec)
			}
		})
	}
}

// TestClassesOfOneShare make directories in what is real, and are left out.
func TestClassesOfOneShare(t *testing.T) {
	const claims = `
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p, namespace: a}, spec: {storageClassName: c, resources: {}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: a}, spec: {template: {spec: {containers: [{name: c, image: db}], volumes: [{name: e, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: c}}}}]}}, volumeClaimTemplates: [{metadata: {name: d}, spec: {storageClassName: c}}]}}`
	for parameters, real := range map[string]bool{
		"{server: files.example, share: /data}": true, "{subDir: x}": true, "{source: //files.example/data}": true, "{shareName: data}": true,
		"{bucketName: data}": true, "{bucket: data}": true, "{provisioningMode: efs-ap, fileSystemId: fs-1}": true, "{volumeHandle: x}": true,
		"{type: gp3}": false, "{clusterID: rook-ceph, pool: replicapool}": false, "null": false,
	} {
		t.Run(parameters, func(t *testing.T) {
			in := `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: c}, provisioner: x, parameters: ` + parameters + `}` + claims
			r := drill(t, in, quarantine.Options{})
			if left := find(r, "StorageClass", "c") == nil; left != real {
				t.Errorf("left out: %v; changes %v", left, r.Changes)
			}
			for kind, name := range map[string]string{"PersistentVolumeClaim": "p", "StatefulSet": "db"} {
				if spec := jsonOf(t, find(r, kind, name).Object); strings.Contains(spec, `"storageClassName":"c"`) == real {
					t.Errorf("%s claims %s", kind, spec)
				}
			}
			kept := drill(t, in, quarantine.Options{Allow: []quarantine.Exception{{Pattern: manifests.Pattern{Kind: "StorageClass"}, Reason: "a share for drills"}}})
			if find(kept, "StorageClass", "c") == nil || changed(kept, "Storage") {
				t.Errorf("the plan allows it: %v", kept.Changes)
			}
		})
	}
}
