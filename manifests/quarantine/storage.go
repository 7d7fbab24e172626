package quarantine

import (
	"slices"

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

// ofOutside is the kind of a volume that is outside; empty when it is none.
func ofOutside(volume map[string]any) string {
	for _, kind := range outside {
		if volume[kind] != nil {
			return kind
		}
	}
	return ""
}

// storage leaves out volumes that exist already, and lets what claims them have empty ones.
func (q *quarantine) storage() {
	left := map[string]string{} // their storage classes by name
	for i, o := range q.objects {
		switch o.ID().GroupKind() {
		case schema.GroupKind{Kind: "PersistentVolume"}:
			if kind := ofOutside(mapping(o.Object, "spec")); kind != "" && q.mine(i) {
				left[o.GetName()] = str(o.Object, "spec", "storageClassName")
				q.omit(i, "Storage", realData)
			}
		case schema.GroupKind{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshotContent"}:
			if q.mine(i) && q.set(i, "Retain", "spec", "deletionPolicy") {
				q.record(i, "Storage", "is retained", "the cleanup of the drill would delete the real snapshot")
			}
		}
	}
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

// mine tells whether the plan leaves an object to the rules.
func (q *quarantine) mine(i int) bool {
	id := q.objects[i].ID()
	return !q.gone[i] && q.exception(id) == nil && q.class(id) == nil
}

// freed tells whether a claim was for a volume that is left out; then it is for any.
func (q *quarantine) freed(claim map[string]any, left map[string]string) bool {
	class, said := claim["storageClassName"].(string)
	_, named := left[str(claim, "volumeName")]
	byClass := said && slices.Contains(valuesOf(left), class) && !q.provisions(class)
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

func valuesOf(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// provisions tells whether a storage class makes volumes. One that the state does not have
// is taken to: the cluster may come with it.
func (q *quarantine) provisions(class string) bool {
	if class == "" {
		return false
	}
	for _, o := range q.objects {
		if id := o.ID(); id.Kind == "StorageClass" && id.Name == class {
			return str(o.Object, "provisioner") != "kubernetes.io/no-provisioner"
		}
	}
	return true
}

// mounts of a workload: volumes in its pods, and claims that it makes.
func (q *quarantine) mounts(w *workload, left map[string]string) {
	var kinds []string
	for _, v := range list(w.pod, "volumes") {
		// A csi volume of a pod is made for it and goes with it.
		if kind := ofOutside(v); kind != "" && kind != "csi" {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) > 0 {
		q.edit(w.at)
		w.pod = workloadOf(q.objects[w.at], w.at).pod
		for _, v := range list(w.pod, "volumes") {
			if kind := ofOutside(v); kind != "" && kind != "csi" {
				delete(v, kind)
				v["emptyDir"] = map[string]any{}
			}
		}
		q.record(w.at, "Storage", "mounts an empty volume instead of "+kinds[0], realData)
	}
	if len(left) == 0 || len(list(q.objects[w.at].Object, "spec", "volumeClaimTemplates")) == 0 {
		return
	}
	freed := false
	for _, claim := range list(q.edit(w.at), "spec", "volumeClaimTemplates") {
		freed = q.freed(mapping(claim, "spec"), left) || freed
	}
	if freed {
		q.record(w.at, "Storage", "gets empty volumes", "those that it claims are left out")
	}
}
