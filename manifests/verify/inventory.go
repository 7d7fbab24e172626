package verify

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// Inventory asks for every live object that is read, besides the findings about those
// that differ.
type Inventory struct {
	// Whole says of which kinds the objects are kept with all their fields; nil for none.
	Whole func(schema.GroupKind) bool
	// Each is called once for every live object, one after another, when all are known.
	Each func(Live)
}

// Live is one live object and what it is there for.
type Live struct {
	ID      manifests.ID
	UID     types.UID
	Created time.Time
	// Deleting is true for what somebody is deleting already.
	Deleting bool
	Class    Class
	// Reason of the class, in words.
	Reason              string
	Labels, Annotations map[string]string
	Owners              []metav1.OwnerReference
	// Writers by the object's record of ownership, without those of its status.
	Writers []Writer
	// Object has all fields, for kinds of which they were asked for; nil otherwise.
	Object *unstructured.Unstructured

	hands []metav1.ManagedFieldsEntry
}

// Writer is one entry of an object's record of ownership.
type Writer struct {
	Manager   string
	Operation string
	Time      time.Time
}

// ByHand tells whether a person wrote, with a tool for people.
func (w Writer) ByHand() bool { return ByHand(w.Manager) }

// Kubernetes tells whether a part of Kubernetes wrote.
func (w Writer) Kubernetes() bool { return components[w.Manager] }

// HandField is one field that a person set.
type HandField struct {
	// Path of the field; elements of lists are named by their keys.
	Path string
	By   Writer
}

// mostHandFields bounds what is listed of one object.
const mostHandFields = 50

// HandFields lists the fields that people own, by the record. Values are not told.
func (l Live) HandFields() []HandField {
	var out []HandField
	for _, m := range l.hands {
		fields, ok := fieldsOf(m)
		if !ok {
			continue
		}
		eachLeaf(nil, fields, func(path []string) bool {
			out = append(out, HandField{Path: pathOf(path), By: writerOf(m)})
			return len(out) < mostHandFields
		})
	}
	slices.SortFunc(out, func(a, b HandField) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// eachLeaf visits the ends of recorded paths until visit says that it is enough.
func eachLeaf(path []string, fields map[string]any, visit func([]string) bool) bool {
	for key, below := range fields {
		name, isField := strings.CutPrefix(key, "f:")
		switch {
		case key == "." || slices.Contains(annotationsOfHands, name):
			continue
		case !isField:
			_, rest, _ := strings.Cut(key, ":")
			name = "[" + rest + "]"
		}
		at := append(slices.Clone(path), name)
		deeper, _ := below.(map[string]any)
		if onlySelf(deeper) {
			if !visit(at) {
				return false
			}
		} else if !eachLeaf(at, deeper, visit) {
			return false
		}
	}
	return true
}

// onlySelf is true for the end of a recorded path.
func onlySelf(fields map[string]any) bool {
	_, self := fields["."]
	return len(fields) == 0 || self && len(fields) == 1
}

func writerOf(m metav1.ManagedFieldsEntry) Writer {
	w := Writer{Manager: m.Manager, Operation: string(m.Operation)}
	if m.Time != nil {
		w.Time = m.Time.Time
	}
	return w
}

// inventoried remembers a live object; nil when nobody asked. The lock is held.
func (v *verifier) inventoried(r cluster.Resource, m *metav1.PartialObjectMetadata, whole *unstructured.Unstructured, class Class, reason string) *Live {
	if v.Inventory == nil {
		return nil
	}
	l := &Live{
		ID:  manifests.ID{Group: r.Group, Kind: r.Kind, Namespace: m.Namespace, Name: m.Name},
		UID: m.UID, Created: m.CreationTimestamp.Time, Deleting: m.DeletionTimestamp != nil,
		Class: class, Reason: reason, Labels: m.Labels, Annotations: m.Annotations, Owners: m.OwnerReferences,
	}
	for _, entry := range m.ManagedFields {
		if entry.Subresource == "status" {
			continue
		}
		l.Writers = append(l.Writers, writerOf(entry))
		if ByHand(entry.Manager) {
			l.hands = append(l.hands, entry)
		}
	}
	if v.wants(l.ID.GroupKind()) {
		l.Object = whole
	}
	v.live[l.ID] = l // a list that was resumed shows objects twice
	return l
}

// wants tells whether objects of a kind are kept whole.
func (v *verifier) wants(gk schema.GroupKind) bool {
	return v.Inventory != nil && v.Inventory.Whole != nil && v.Inventory.Whole(gk)
}

// tellInventory hands over what was remembered, sorted.
func (v *verifier) tellInventory() {
	if v.Inventory == nil || v.Inventory.Each == nil {
		return
	}
	all := make([]*Live, 0, len(v.live))
	for _, l := range v.live {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *Live) int { return a.ID.Compare(b.ID) })
	for _, l := range all {
		v.Inventory.Each(*l)
	}
}

// Classify live objects that somebody else has read, by the same rules. Rendered objects
// are not compared.
func Classify(live []*unstructured.Unstructured, objects []manifests.Object, expected []manifests.ID, inventory Inventory) {
	v := newVerifier(objects, Options{Expected: expected, Inventory: &inventory}, nil)
	for i, o := range objects {
		v.index[o.ID()] = i
	}
	for _, u := range live {
		gvk := u.GroupVersionKind()
		v.stray(cluster.Resource{GroupVersionResource: gvk.GroupVersion().WithResource(""), Kind: gvk.Kind}, metadataOf(u), u)
	}
	v.sortOut()
	v.tellInventory()
}
