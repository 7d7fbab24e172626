package loss

import (
	"cmp"
	"time"

	"github.com/refloat-dev/refloat/manifests"
)

// Class of a live object or volume.
type Class string

// The classes.
const (
	// InGit is in the repository, or was and was taken out of it.
	InGit Class = "InGit"
	// Kubernetes makes it again.
	Kubernetes Class = "Kubernetes"
	// Derived comes back with another object.
	Derived Class = "Derived"
	// Covered by a backup or snapshot that is fresh enough.
	Covered Class = "Covered"
	// Retained volumes outlive the cluster, outside of it.
	Retained Class = "Retained"
	// Disposable was declared to be so.
	Disposable Class = "Disposable"
	// Lost is not known to come back.
	Lost Class = "Lost"
)

// What of an object would be lost.
type What string

// What there is to lose.
const (
	// Object as a whole.
	Object What = "Object"
	// Fields of an object that otherwise comes back.
	Fields What = "Fields"
	// Data of a volume.
	Data What = "Data"
)

// Writer is who wrote an object or field last, by its record of ownership.
type Writer struct {
	Manager   string     `json:"manager,omitempty"`
	Operation string     `json:"operation,omitempty"`
	Time      *time.Time `json:"time,omitempty"`
	// Person is true for tools of people, such as kubectl; false for controllers and for
	// tools that install.
	Person bool `json:"person,omitempty"`
}

// Field that would be lost. Values are JSON, cut where they are long, and left out of
// Secrets.
type Field struct {
	Path  string `json:"path"`
	InGit string `json:"inGit,omitempty"`
	Live  string `json:"live,omitempty"`
	By    Writer `json:"by,omitzero"`
}

// Volume that holds data.
type Volume struct {
	// Name of the PersistentVolume; empty when only its claim is known.
	Name    string `json:"name,omitempty"`
	Class   string `json:"class,omitempty"`
	Size    string `json:"size,omitempty"`
	Reclaim string `json:"reclaim,omitempty"`
	// Driver and Handle name it in the storage.
	Driver string `json:"driver,omitempty"`
	Handle string `json:"handle,omitempty"`
}

// Item is one object, some of its fields, or the data of one volume.
type Item struct {
	What  What         `json:"what"`
	ID    manifests.ID `json:"id"`
	UID   string       `json:"uid,omitempty"`
	Class Class        `json:"class"`
	// Reason of the class in one sentence.
	Reason string `json:"reason"`
	// Origin in the repository, of fields.
	Origin string  `json:"origin,omitempty"`
	By     Writer  `json:"by,omitzero"`
	Fields []Field `json:"fields,omitempty"`
	Volume *Volume `json:"volume,omitempty"`
	// Excuse says why the loss counts no more: a waiver or an accepted list.
	Excuse string `json:"excuse,omitempty"`
}

// Counts tells whether the item is a loss that nobody waived or accepted.
func (i Item) Counts() bool { return i.Class == Lost && i.Excuse == "" }

// key tells items of one cluster apart.
func (i Item) key() string { return string(i.What) + " " + i.ID.String() + " " + i.UID }

func compare(a, b Item) int {
	return cmp.Or(a.ID.Compare(b.ID), cmp.Compare(a.What, b.What))
}

// Group counts what is in a class for one reason.
type Group struct {
	Class   Class        `json:"class"`
	Reason  string       `json:"reason"`
	Count   int          `json:"count"`
	Example manifests.ID `json:"example"`
}

// Preview of what goes with a cluster.
type Preview struct {
	// ClusterID is the UID of the namespace kube-system.
	ClusterID string `json:"clusterID"`
	// At is when the cluster was read.
	At time.Time `json:"at"`
	// Live objects that were looked at.
	Live int `json:"live"`
	// Lost items, and those of them that are excused, sorted by ID.
	Lost []Item `json:"lost,omitempty"`
	// Volumes that are not lost, since people need to know where they are.
	Volumes []Item `json:"volumes,omitempty"`
	// Groups count everything, by class and reason.
	Groups []Group `json:"groups,omitempty"`
	// Notes are about waivers and backups that do not count.
	Notes []string `json:"notes,omitempty"`
	// Left out of Lost and Volumes to keep the list within its bound.
	LeftOut int `json:"leftOut,omitempty"`
	// Total of lost items that count, whatever was left out.
	Total int `json:"total"`
}

// Clean tells whether nothing is lost that was not waived or accepted.
func (p *Preview) Clean() bool { return p.Total == 0 }

// Counting are the lost items that nobody excused.
func (p *Preview) Counting() []Item {
	var out []Item
	for _, i := range p.Lost {
		if i.Counts() {
			out = append(out, i)
		}
	}
	return out
}
