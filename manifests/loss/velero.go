package loss

import (
	"net/url"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/verify"
)

const (
	labelBackup = "velero.io/backup-name"
	labelClaim  = "velero.io/pvc-uid"
	// labelExclude keeps an object out of every backup.
	labelExclude = "velero.io/exclude-from-backup"
)

// backup is one finished Velero Backup.
type backup struct {
	name string
	// at is when it began: what changed since is not in it.
	at time.Time
	// unfit says why it holds nothing that counts; empty when it may.
	unfit string

	namespaces, withoutNamespaces []string
	resources, withoutResources   []string
	selectors                     []labels.Selector
	clusterWide                   *bool
	// claims whose data was copied file by file or moved.
	claims map[types.UID]bool
	// snapshots that were taken of volumes, all of them when complete.
	snapshots int64
	complete  bool
}

// part is a claim that one of a backup's own records tells of.
type part struct{ namespace, backup string }

// partsOf backups: the claims whose data was copied to the end.
func partsOf(live []verify.Live) map[part]map[types.UID]bool {
	out := map[part]map[types.UID]bool{}
	for _, l := range live {
		gk := l.ID.GroupKind().String()
		if l.Object == nil || gk != "PodVolumeBackup.velero.io" && gk != "DataUpload.velero.io" || text(l.Object, "status", "phase") != "Completed" {
			continue
		}
		key := part{l.ID.Namespace, l.Labels[labelBackup]}
		if out[key] == nil {
			out[key] = map[types.UID]bool{}
		}
		out[key][types.UID(l.Labels[labelClaim])] = true
	}
	return out
}

func newBackup(l *verify.Live, byID map[manifests.ID]*verify.Live, parts map[part]map[types.UID]bool) *backup {
	o := l.Object
	b := &backup{
		name: l.ID.String(), at: at(o, "status", "startTimestamp"), unfit: unfit(l, byID),
		namespaces: list(o, "includedNamespaces"), withoutNamespaces: list(o, "excludedNamespaces"),
		resources: list(o, "includedResources"), withoutResources: list(o, "excludedResources"),
		claims: parts[part{l.ID.Namespace, l.ID.Name}],
	}
	if wide, set, _ := unstructured.NestedBool(o.Object, "spec", "includeClusterResources"); set {
		b.clusterWide = &wide
	}
	b.readSelectors(o)
	if off, set, _ := unstructured.NestedBool(o.Object, "spec", "snapshotVolumes"); !set || off {
		b.readSnapshots(o)
	}
	return b
}

// readSelectors of labels. One that cannot be read selects nothing.
func (b *backup) readSelectors(o *unstructured.Unstructured) {
	var wanted []any
	if one, set, _ := unstructured.NestedMap(o.Object, "spec", "labelSelector"); set {
		wanted = append(wanted, one)
	}
	several, _, _ := unstructured.NestedSlice(o.Object, "spec", "orLabelSelectors")
	for _, raw := range append(wanted, several...) {
		m, _ := raw.(map[string]any)
		selector := &metav1.LabelSelector{}
		if m == nil || runtime.DefaultUnstructuredConverter.FromUnstructured(m, selector) != nil {
			b.unfit = "its label selector cannot be read"
			return
		}
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			b.unfit = "its label selector cannot be read"
			return
		}
		b.selectors = append(b.selectors, parsed)
	}
	for _, field := range []string{"includedNamespaceScopedResources", "includedClusterScopedResources", "resourcePolicy"} {
		if _, set, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", field); set {
			b.unfit = "it selects by spec." + field + ", which is not understood"
		}
	}
	b.withoutResources = append(b.withoutResources, list(o, "excludedNamespaceScopedResources")...)
	b.withoutResources = append(b.withoutResources, list(o, "excludedClusterScopedResources")...)
}

func (b *backup) readSnapshots(o *unstructured.Unstructured) {
	count := func(field string) int64 {
		n, _, _ := unstructured.NestedInt64(o.Object, "status", field)
		return n
	}
	b.snapshots = count("volumeSnapshotsCompleted") + count("csiVolumeSnapshotsCompleted")
	b.complete = b.snapshots > 0 && b.snapshots == count("volumeSnapshotsAttempted")+count("csiVolumeSnapshotsAttempted")
}

// unfit says why a backup does not count at all.
func unfit(l *verify.Live, byID map[manifests.ID]*verify.Live) string {
	o := l.Object
	location := text(o, "spec", "storageLocation")
	kept := byID[manifests.ID{Group: "velero.io", Kind: "BackupStorageLocation", Namespace: l.ID.Namespace, Name: location}]
	switch {
	case text(o, "status", "phase") != "Completed":
		return "it is not completed"
	case kept == nil:
		return "its storage location does not exist"
	case text(kept.Object, "status", "phase") == "Unavailable":
		return "its storage location is unavailable"
	case ofCluster(text(kept.Object, "spec", "config", "s3Url")):
		return "it is stored in the cluster itself"
	}
	return ""
}

// ofCluster tells whether an address leads to a Service of the cluster.
func ofCluster(address string) bool {
	if !strings.Contains(address, "://") {
		address = "//" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return false
	}
	return ofService(u.Hostname()) || !strings.Contains(u.Hostname(), ".")
}

// selects tells whether the backup took an object in.
func (b *backup) selects(l *verify.Live) bool {
	if l.Labels[labelExclude] == "true" || !b.selectsLabels(l.Labels) || !b.selectsKind(l.ID) {
		return false
	}
	namespace := namespaced(l.ID)
	if namespace == "" {
		if b.clusterWide != nil {
			return *b.clusterWide
		}
		return everything(b.namespaces) && len(b.withoutNamespaces) == 0
	}
	return (everything(b.namespaces) || slices.Contains(b.namespaces, namespace)) && !slices.Contains(b.withoutNamespaces, namespace)
}

func (b *backup) selectsLabels(have map[string]string) bool {
	if len(b.selectors) == 0 {
		return true
	}
	return slices.ContainsFunc(b.selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(have)) })
}

func (b *backup) selectsKind(id manifests.ID) bool {
	names := resourceNames(id)
	named := func(list []string) bool {
		return slices.ContainsFunc(list, func(r string) bool { return r == "*" || slices.Contains(names, strings.ToLower(r)) })
	}
	return (everything(b.resources) || named(b.resources)) && !named(b.withoutResources)
}

// resourceNames under which people select a kind, in lower case.
func resourceNames(id manifests.ID) []string {
	kind := strings.ToLower(id.Kind)
	plural := kind + "s"
	if k := builtin.Lookup(id.GroupKind()); k != nil && k.Resource != "" {
		plural = k.Resource
	}
	names := []string{kind, plural}
	if id.Group != "" {
		names = append(names, kind+"."+id.Group, plural+"."+id.Group)
	}
	switch id.Kind {
	case "PersistentVolumeClaim":
		names = append(names, "pvc", "pvcs")
	case "ConfigMap":
		names = append(names, "cm")
	case "Namespace":
		names = append(names, "ns")
	}
	return names
}

// withoutData says why the backup does not hold the data of a claim; empty when it does.
// Snapshots are only counted by Velero: there have to be as many as there are volumes
// that the backup selects.
func (b *backup) withoutData(claim *verify.Live, all []*verify.Live) string {
	if b.claims[claim.UID] {
		return ""
	}
	if !b.complete {
		return b.name + " holds the claim, and not the data"
	}
	if claim.Created.After(b.at) {
		return b.name + " is older than the claim"
	}
	want := int64(0)
	for _, c := range all {
		if !c.Created.After(b.at) && text(c.Object, "status", "phase") == "Bound" && b.selects(c) && !b.claims[c.UID] {
			want++
		}
	}
	if b.snapshots < want {
		return b.name + " has fewer snapshots than there are volumes"
	}
	return ""
}

func everything(list []string) bool { return len(list) == 0 || slices.Contains(list, "*") }

func list(o *unstructured.Unstructured, field string) []string {
	out, _, _ := unstructured.NestedStringSlice(o.Object, "spec", field)
	return out
}
