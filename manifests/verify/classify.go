package verify

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// Class of a live object. Findings and groups are about those that were not rendered.
type Class string

const (
	// Rendered objects are in the repository.
	Rendered Class = "Rendered"
	// Expected by the caller, such as a seed.
	Expected Class = "Expected"
	// Derived from another object, which vouches for it.
	Derived Class = "Derived"
	// System objects are made by Kubernetes or by what set the cluster up.
	System Class = "System"
	// Extra is everything else.
	Extra Class = "Extra"
)

// stray is a live object that was not rendered, as far as its class needs.
type stray struct {
	id                  manifests.ID
	labels, annotations map[string]string
	generateName        string
	managers            []string
	provisioner         string
	live                *Live
}

// stray sorts in one live object of a list. whole is nil when only its metadata was read.
func (v *verifier) stray(r cluster.Resource, m *metav1.PartialObjectMetadata, whole *unstructured.Unstructured) {
	provisioner := ""
	if whole != nil {
		provisioner, _, _ = unstructured.NestedString(whole.Object, "provisioner")
	}
	s := stray{
		id:     manifests.ID{Group: r.Group, Kind: r.Kind, Namespace: m.Namespace, Name: m.Name},
		labels: m.Labels, annotations: m.Annotations, generateName: m.GenerateName, provisioner: provisioner,
	}
	for _, entry := range m.ManagedFields {
		if !slices.Contains(s.managers, entry.Manager) {
			s.managers = append(s.managers, entry.Manager)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.identify(s.id, string(m.UID))
	if _, rendered := v.index[s.id]; rendered {
		v.inventoried(r, m, whole, Rendered, "it is in the repository")
		return
	}
	if len(m.OwnerReferences) > 0 {
		// By far the most, and they need no look at what else there is.
		v.group(Derived, byOwner, s.id)
		v.inventoried(r, m, whole, Derived, byOwner)
		return
	}
	s.live = v.inventoried(r, m, whole, "", "")
	v.strays = append(v.strays, s)
}

// identify the cluster by its namespace kube-system. The lock is held.
func (v *verifier) identify(id manifests.ID, uid string) {
	if id == (manifests.ID{Kind: "Namespace", Name: "kube-system"}) {
		v.report.ClusterID = uid
	}
}

// group counts an object that is there for a reason. The lock is held.
func (v *verifier) group(class Class, reason string, id manifests.ID) {
	key := Group{Class: class, Reason: reason}
	g, ok := v.groups[key]
	if !ok {
		g = Group{Class: class, Reason: reason, Example: id}
	}
	g.Count++
	if id.Compare(g.Example) < 0 {
		g.Example = id
	}
	v.groups[key] = g
}

func metadataOf(u *unstructured.Unstructured) *metav1.PartialObjectMetadata {
	m := headOf(u)
	m.GenerateName, m.OwnerReferences, m.ManagedFields = u.GetGenerateName(), u.GetOwnerReferences(), u.GetManagedFields()
	return m
}

// headOf a rendered object, which is classified already: without what costs time to decode.
func headOf(u *unstructured.Unstructured) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID(), Labels: u.GetLabels(), Annotations: u.GetAnnotations(),
		CreationTimestamp: u.GetCreationTimestamp(), DeletionTimestamp: u.GetDeletionTimestamp(),
	}}
}

// sortOut classifies the strays, once all are known.
func (v *verifier) sortOut() {
	known := map[manifests.ID]bool{}
	for id := range v.index {
		known[id] = true
	}
	for _, s := range v.strays {
		known[s.id] = true
	}
	for _, s := range v.strays {
		class, reason := classify(s, known, v.expected)
		if class == Extra && v.generated(s.id, s.generateName) {
			class, reason = Expected, ofNameless
		}
		if s.live != nil {
			s.live.Class, s.live.Reason = class, reason
		}
		if class == Extra {
			v.report.Extra = append(v.report.Extra, Finding{ID: s.id, Detail: reason})
			continue
		}
		v.group(class, reason, s.id)
	}
	for _, g := range v.groups {
		v.report.Others = append(v.report.Others, g)
	}
	slices.SortFunc(v.report.Others, func(a, b Group) int {
		return cmp.Or(strings.Compare(string(a.Class), string(b.Class)), strings.Compare(a.Reason, b.Reason))
	})
}

// Reasons that callers tell apart.
const (
	// SeedByLabel is said of what nobody but its label calls a seed.
	SeedByLabel = "written by the run as a seed"
	// BornWithNamespace is said of what every namespace has.
	BornWithNamespace = "every namespace has it"
)

const (
	byOwner    = "owned by another object"
	ofNameless = "made of a rendered object that has metadata.generateName"
)

// origin tells who made an extra object, as far as it is recorded.
func origin(s stray) string {
	if len(s.managers) == 0 {
		return "it is not in the repository"
	}
	return "it is not in the repository; written by " + strings.Join(s.managers, ", ")
}

// skipped kinds are not inventoried: they are records and measurements that come and
// go, or views of other objects. Every other kind that can be listed is.
func skipped(gk schema.GroupKind) bool {
	if strings.HasSuffix(gk.Group, "metrics.k8s.io") {
		return true
	}
	switch gk.Group {
	case "wgpolicyk8s.io", "openreports.io", "reports.kyverno.io": // findings about other objects
		return true
	}
	switch gk.String() {
	case "Event", "Event.events.k8s.io", "ComponentStatus", "Lease.coordination.k8s.io",
		"LeaseCandidate.coordination.k8s.io", "StorageVersion.internal.apiserver.k8s.io",
		"CertificateSigningRequest.certificates.k8s.io", "IPAddress.networking.k8s.io":
		return true
	}
	return false
}

// accesses are the kinds that an access is made of.
var accesses = map[string]bool{
	"ServiceAccount": true, "ClusterRole.rbac.authorization.k8s.io": true, "ClusterRoleBinding.rbac.authorization.k8s.io": true,
}

// classify one object that is neither rendered nor owned, and say why. known holds all
// live and rendered objects.
func classify(s stray, known, wanted map[manifests.ID]bool) (Class, string) {
	switch {
	case wanted[s.id]:
		return Expected, "expected by the caller"
	case s.labels[manifests.SeedLabel] != "":
		return Expected, SeedByLabel
	case s.labels[manifests.AccessLabel] != "" && accesses[s.id.GroupKind().String()]:
		return Expected, "the access of Refloat itself"
	}
	if reason := derivedFrom(s, known); reason != "" {
		return Derived, reason
	}
	if reason := ofSystem(s); reason != "" {
		return System, reason
	}
	return Extra, origin(s)
}
