// Package manifests turns a Git repository into a cluster's state: it reads a
// commit, renders objects, orders them into a graph, applies them behind gates and
// verifies the result. It knows no Cluster API and no schedules.
//
// The parts, in the order in which data flows through them:
//
//	source   a commit, read from the object store            -> a file tree
//	render   the file tree, plain YAML and kustomizations    -> objects
//	order    the objects, declared and inferred dependencies -> a graph with reasons
//	quarantine  the objects, for a drill                     -> objects that harm nobody
//	apply    the graph and a cluster                         -> applied, gate by gate
//	health   one live object                                 -> is it ready, and how do we know
//	verify   the objects and a cluster                       -> missing, changed, extra
//	certificate  what verify found                           -> a signed statement
//
// This package holds the vocabulary that they share.
package manifests

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ID names one object on a cluster. It leaves out the version, because versions
// are views of the same object.
type ID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// GroupKind of the object.
func (i ID) GroupKind() schema.GroupKind { return schema.GroupKind{Group: i.Group, Kind: i.Kind} }

// String is how people write it: Deployment.apps shop/cart.
func (i ID) String() string {
	kind := i.Kind
	if i.Group != "" {
		kind += "." + i.Group
	}
	if i.Namespace == "" {
		return kind + " " + i.Name
	}
	return kind + " " + i.Namespace + "/" + i.Name
}

// Compare orders IDs by namespace, group, kind and name.
func (i ID) Compare(other ID) int {
	for _, c := range []int{
		strings.Compare(i.Namespace, other.Namespace),
		strings.Compare(i.Group, other.Group),
		strings.Compare(i.Kind, other.Kind),
	} {
		if c != 0 {
			return c
		}
	}
	return strings.Compare(i.Name, other.Name)
}

// Origin is where in the repository an object was written.
type Origin struct {
	// Unit is the name of the unit that rendered the object.
	Unit string `json:"unit,omitempty"`
	// File within the repository, slash-separated.
	File string `json:"file,omitempty"`
	// Line of the document's first key, from 1; 0 when it is not known.
	Line int `json:"line,omitempty"`
}

// String is file:line, as editors take it.
func (o Origin) String() string {
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d", o.File, o.Line)
}

// Object is one rendered Kubernetes object and where it came from.
type Object struct {
	*unstructured.Unstructured
	Origin Origin
	// Rules are where the object departs from the ordinary course; nil for most.
	Rules *Rules
}

// ID of the object.
func (o Object) ID() ID { return IDOf(o.Unstructured) }

// Manager is the field manager under which the object is applied.
func (o Object) Manager() string {
	if o.Rules != nil && o.Rules.Manager != "" {
		return o.Rules.Manager
	}
	return FieldManager
}

// IDOf names an object. One that has only a generateName is named by that and a star,
// which no name can hold: Job.batch shop/migrate-*.
func IDOf(u *unstructured.Unstructured) ID {
	gvk := u.GroupVersionKind()
	id := ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
	if prefix := u.GetGenerateName(); id.Name == "" && prefix != "" {
		id.Name = prefix + "*"
	}
	return id
}

// FieldManager is the name under which objects are applied. An object on a pinned
// cluster that holds an Apply entry of this manager was written by the run.
const FieldManager = "refloat"

// SeedLabel marks what a run writes besides the state: Secrets that Git cannot hold and
// the namespaces they need. Such objects are expected on the cluster, not extra.
const SeedLabel = "refloat.dev/seed"

// AccessLabel marks the accounts that Refloat works with in a cluster, and their rights.
const AccessLabel = "refloat.dev/access"
