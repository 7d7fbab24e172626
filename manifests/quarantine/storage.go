package quarantine

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// outside are kinds of volumes whose data is not on the nodes of the cluster. A drill that
// mounted one would write into real data, and its cleanup could delete the disk itself.
var outside = []string{
	"nfs", "csi", "awsElasticBlockStore", "gcePersistentDisk", "azureDisk", "azureFile", "cephfs", "rbd", "iscsi", "fc", "glusterfs",
	"vsphereVolume", "cinder", "portworxVolume", "quobyte", "scaleIO", "storageos", "photonPersistentDisk", "flexVolume",
}

// realData is why such volumes are not mounted.
const realData = "the drill would write into real data, and its cleanup could delete it"

// perPod are drivers whose volumes in pods are made for the pod and go with it. Those of
// every other driver may be a real share, mounted by its name.
var perPod = []string{
	"secrets-store.csi.k8s.io", "csi.cert-manager.io", "csi.cert-manager.io/spiffe", "spiffe.csi.cert-manager.io", "csi.spiffe.io",
}

// fixed are parameters of storage classes, in small letters, that name where all of their
// volumes are: a directory of a share that exists is no volume of the drill's own.
var fixed = []string{
	"server", "share", "subdir", "source", "sharename", "bucket", "bucketname", "filesystemid", "volumehandle", "volumeid", "parentvolumeid",
	"containername", "nfsserver", "nfspath", "nfsexport", "rootpath", "sysmgmtdhost",
}

// fixedAt is the parameter by which a storage class says where its volumes are; empty when
// each is a new one.
func fixedAt(class map[string]any) string {
	for _, key := range slices.Sorted(maps.Keys(mapping(class, "parameters"))) {
		if slices.Contains(fixed, strings.ToLower(key)) {
			return key
		}
	}
	return ""
}

// inPod is the kind of a pod's volume that is outside; empty when it is none.
func inPod(volume map[string]any) string {
	kind := ofOutside(volume)
	if kind == "csi" && slices.Contains(perPod, str(volume, "csi", "driver")) {
		return ""
	}
	return kind
}

// ofOutside is the kind of a volume that is outside; empty when it is none.
func ofOutside(volume map[string]any) string {
	for _, kind := range outside {
		if volume[kind] != nil {
			return kind
		}
	}
	return ""
}

// lost are the volumes that are left out, and the storage classes of these or that are so
// themselves.
type lost struct{ volumes, classes map[string]bool }

// storage leaves out volumes that exist already, and lets what claims them have empty ones.
func (q *quarantine) storage() {
	left := q.realStorage()
	for i, o := range q.objects {
		if o.ID().GroupKind() == (schema.GroupKind{Kind: "PersistentVolumeClaim"}) && q.mine(i) && q.freed(mapping(q.edit(i), "spec"), left) {
			q.record(i, "Storage", "gets an empty volume", "the one that it names is left out")
		}
	}
	for _, w := range q.pods {
		if w.fate != allowed && !q.gone[w.at] {
			q.mounts(w, left)
		}
	}
}

// realStorage leaves out what stands for storage that exists.
func (q *quarantine) realStorage() lost {
	left := lost{volumes: map[string]bool{}, classes: map[string]bool{}}
	for i, o := range q.objects {
		switch o.ID().GroupKind() {
		case schema.GroupKind{Kind: "PersistentVolume"}:
			if kind := ofOutside(mapping(o.Object, "spec")); kind != "" && q.mine(i) {
				left.volumes[o.GetName()] = true
				left.classes[str(o.Object, "spec", "storageClassName")] = true
				q.omit(i, "Storage", realData)
			}
		case schema.GroupKind{Group: "storage.k8s.io", Kind: "StorageClass"}:
			if at := fixedAt(o.Object); at != "" && q.mine(i) {
				left.classes[o.GetName()] = true
				q.omit(i, "Storage", "its parameter "+at+" names storage that exists: "+realData)
			}
		case schema.GroupKind{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshotContent"}:
			if q.mine(i) && q.set(i, "Retain", "spec", "deletionPolicy") {
				q.record(i, "Storage", "is retained", "the cleanup of the drill would delete the real snapshot")
			}
		}
	}
	return left
}

// mine tells whether the plan leaves an object to the rules.
func (q *quarantine) mine(i int) bool {
	id := q.objects[i].ID()
	return !q.gone[i] && q.exception(id) == nil && q.class(id) == nil
}

// freed tells whether a claim was for a volume that is left out; then it is for any.
func (q *quarantine) freed(claim map[string]any, left lost) bool {
	class, said := claim["storageClassName"].(string)
	named := left.volumes[str(claim, "volumeName")]
	byClass := said && left.classes[class] && !q.provisions(class)
	if !named && !byClass {
		return false
	}
	delete(claim, "volumeName")
	delete(claim, "selector")
	if said && !q.provisions(class) {
		delete(claim, "storageClassName")
	}
	return true
}

// provisions tells whether a storage class makes volumes. One that the state does not have
// is taken to: the cluster may come with it.
func (q *quarantine) provisions(class string) bool {
	if class == "" {
		return false
	}
	for i, o := range q.objects {
		if id := o.ID(); id.Kind == "StorageClass" && id.Name == class {
			return !q.gone[i] && str(o.Object, "provisioner") != "kubernetes.io/no-provisioner"
		}
	}
	return true
}

// mounts of a workload: volumes in its pods, and claims that it makes.
func (q *quarantine) mounts(w *workload, left lost) {
	var kinds []string
	for _, v := range list(w.pod, "volumes") {
		if kind := inPod(v); kind != "" {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) > 0 {
		q.edit(w.at)
		w.pod = workloadOf(q.objects[w.at], w.at).pod
		for _, v := range list(w.pod, "volumes") {
			if kind := inPod(v); kind != "" {
				delete(v, kind)
				v["emptyDir"] = map[string]any{}
			}
		}
		q.record(w.at, "Storage", "mounts an empty volume instead of "+kinds[0], realData)
	}
	q.claims(w, left)
}

// claims that a workload makes, for each of its pods or for as long as one is there.
func (q *quarantine) claims(w *workload, left lost) {
	if len(left.classes) == 0 {
		return
	}
	claims := list(q.edit(w.at), "spec", "volumeClaimTemplates")
	for _, v := range list(workloadOf(q.objects[w.at], w.at).pod, "volumes") {
		claims = append(claims, mapping(v, "ephemeral", "volumeClaimTemplate"))
	}
	freed := false
	for _, claim := range claims {
		freed = q.freed(mapping(claim, "spec"), left) || freed
	}
	if freed {
		q.record(w.at, "Storage", "gets empty volumes", "those that it claims are left out")
	}
}
