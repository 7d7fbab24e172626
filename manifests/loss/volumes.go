package loss

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// volume is one PersistentVolume that may hold data, with its claim if that is there.
type volume struct {
	Volume
	pv    *verify.Live
	claim *verify.Live
	// where it is kept, when that is within the cluster; empty when outside.
	inside string
}

// volumes judges the data of every volume that was ever bound, whoever asks for it: the
// repository brings a claim back, and an empty volume with it.
func (j *judge) volumes() []Item {
	var out []Item
	seen := map[manifests.ID]bool{}
	for i := range j.Live {
		l := &j.Live[i]
		if l.ID.GroupKind().String() != "PersistentVolume" || l.Object == nil {
			continue
		}
		v, holds := j.volumeOf(l)
		if !holds {
			continue
		}
		if v.claim != nil {
			seen[v.claim.ID] = true
		}
		out = append(out, j.data(v))
	}
	for i := range j.Live {
		// A claim that says it is bound to a volume that nobody sees.
		l := &j.Live[i]
		if l.ID.GroupKind().String() == "PersistentVolumeClaim" && l.Object != nil && !seen[l.ID] && text(l.Object, "status", "phase") == "Bound" {
			out = append(out, j.data(volume{claim: l, Volume: Volume{
				Name: text(l.Object, "spec", "volumeName"), Class: text(l.Object, "spec", "storageClassName"), Size: text(l.Object, "status", "capacity", "storage"),
			}}))
		}
	}
	return out
}

// volumeOf a PersistentVolume; false when nothing ever used it.
func (j *judge) volumeOf(pv *verify.Live) (volume, bool) {
	o := pv.Object
	v := volume{pv: pv, Volume: Volume{
		Name: pv.ID.Name, Class: text(o, "spec", "storageClassName"), Size: text(o, "spec", "capacity", "storage"),
		Reclaim: text(o, "spec", "persistentVolumeReclaimPolicy"),
	}}
	v.Driver, v.Handle, v.inside = storage(o)
	name := text(o, "spec", "claimRef", "name")
	if name == "" {
		return v, false
	}
	id := manifests.ID{Kind: "PersistentVolumeClaim", Namespace: text(o, "spec", "claimRef", "namespace"), Name: name}
	if claim := j.byID[id]; claim != nil && (text(o, "spec", "claimRef", "uid") == "" || text(o, "spec", "claimRef", "uid") == string(claim.UID)) {
		v.claim = claim
	}
	return v, text(o, "status", "phase") != "Available"
}

// data judges what is on a volume.
func (j *judge) data(v volume) Item {
	item := Item{What: Data, Class: Lost, Volume: &v.Volume, Reason: "the repository does not hold the data of a volume"}
	subject := v.claim
	if subject == nil {
		subject = v.pv
	}
	item.ID, item.UID, item.By = subject.ID, string(subject.UID), last(subject.Writers)
	if class, reason, settled := j.harmless(v, subject); settled {
		item.Class, item.Reason = class, reason
		return item
	}
	covered, why := j.sources.data(v)
	switch {
	case covered:
		item.Class, item.Reason = Covered, why
	case v.Reclaim == "Retain" && v.inside == "" && v.Handle != "":
		item.Class, item.Reason = Retained, "its reclaim policy is Retain: the volume outlives the cluster in its storage, and nothing in the repository leads to it"
		if v.pv != nil && v.pv.Class == verify.Rendered {
			item.Reason = "its reclaim policy is Retain and the repository holds the PersistentVolume that leads to it"
		}
	case v.inside != "":
		item.Reason += "; it is kept " + v.inside + ", which goes with the cluster"
	case why != "":
		item.Reason += "; " + why
	}
	return item
}

// harmless settles what nobody needs back.
func (j *judge) harmless(v volume, subject *verify.Live) (Class, string, bool) {
	if j.Simulated {
		return Kubernetes, "no container runs on this cluster, so none wrote data", true
	}
	if j.DisposableData != "" {
		return Disposable, "the plan declares the data of volumes disposable: " + bounded(j.DisposableData), true
	}
	if class, reason := j.orDisposable(subject, ""); class == Disposable {
		return class, reason, true
	}
	if subject.Deleting {
		return Derived, "it is being deleted already", true
	}
	if v.claim != nil {
		for _, o := range v.claim.Owners {
			if o.Kind == "Pod" && o.APIVersion == "v1" {
				return Derived, "it is an ephemeral volume of a pod", true
			}
		}
	}
	return "", "", false
}

// storage of a PersistentVolume: driver, handle, and where within the cluster it is kept.
func storage(pv *unstructured.Unstructured) (driver, handle, inside string) {
	spec, _, _ := unstructured.NestedMap(pv.Object, "spec")
	switch {
	case spec["csi"] != nil:
		driver, handle = text(pv, "spec", "csi", "driver"), text(pv, "spec", "csi", "volumeHandle")
		return driver, handle, keptInside(driver)
	case spec["hostPath"] != nil:
		return "hostPath", text(pv, "spec", "hostPath", "path"), "on a node (hostPath)"
	case spec["local"] != nil:
		return "local", text(pv, "spec", "local", "path"), "on a node (local)"
	case spec["nfs"] != nil:
		server := text(pv, "spec", "nfs", "server")
		if ofService(server) {
			inside = "by a Service of this cluster (" + server + ")"
		}
		return "nfs", server + ":" + text(pv, "spec", "nfs", "path"), inside
	case spec["awsElasticBlockStore"] != nil:
		return "awsElasticBlockStore", text(pv, "spec", "awsElasticBlockStore", "volumeID"), ""
	case spec["gcePersistentDisk"] != nil:
		return "gcePersistentDisk", text(pv, "spec", "gcePersistentDisk", "pdName"), ""
	case spec["azureDisk"] != nil:
		return "azureDisk", text(pv, "spec", "azureDisk", "diskURI"), ""
	}
	return "", "", "" // without a handle nothing leads to the volume
}

// insiders are the beginnings and ends of CSI drivers that keep data on the nodes.
var insiders = []string{
	"driver.longhorn.io", "hostpath.csi.k8s.io", "local.csi.openebs.io", "zfs.csi.openebs.io", "lvm.csi.openebs.io", "rawfile.csi.openebs.io",
	"io.openebs.csi-mayastor", "cstor.csi.openebs.io", "jiva.csi.openebs.io", "topolvm.io", "topolvm.cybozu.com", "linstor.csi.linbit.com",
	"pxd.portworx.com", "csi-rclone-local", "local.refloat.dev",
}

func keptInside(driver string) string {
	for _, known := range insiders {
		if driver == known || strings.HasSuffix(driver, "."+known) {
			return "by a driver on the nodes (" + driver + ")"
		}
	}
	if strings.HasPrefix(driver, "rook-ceph.") {
		return "by a driver on the nodes (" + driver + ")"
	}
	return ""
}

// ofService tells whether an address is one of a Service.
func ofService(host string) bool {
	return strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local")
}

func text(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}
