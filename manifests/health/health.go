// Package health tells from one live object whether it does what it was applied for,
// and how far that can be known. It is pure: it reads the object and nothing else.
package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Status of one object.
type Status string

const (
	// Healthy objects have reached what they declare, or a legal end state such as
	// a suspended Job.
	Healthy Status = "Healthy"
	// Progressing objects are on their way; only time tells.
	Progressing Status = "Progressing"
	// Failed objects will not get there without a change.
	Failed Status = "Failed"
	// NotProvable objects depend on code that does not run on a simulated cluster.
	// They are counted apart: never as healthy, never as failed.
	NotProvable Status = "NotProvable"
	// Missing objects do not exist.
	Missing Status = "Missing"
)

// Assessment is a status and the sentence that explains it. A Healthy object has a
// message only when there is something to know, such as that it is suspended.
type Assessment struct {
	Status  Status
	Message string
}

// Environment is what an assessment needs to know beyond the object.
type Environment struct {
	// Simulated says that no container runs on the cluster.
	Simulated bool
	// StatusSubresource tells whether a kind has a status subresource, which an
	// operator is expected to write. Optional: nil means unknown.
	StatusSubresource func(schema.GroupVersionKind) bool
	// WaitsForConsumer tells whether the StorageClass of that name (empty: the
	// default class) binds a claim only when a pod uses it. Optional: nil means no.
	WaitsForConsumer func(storageClass string) bool
}

// Assess the live object; nil means that it does not exist.
func Assess(u *unstructured.Unstructured, env Environment) Assessment {
	if u == nil || u.Object == nil {
		return Assessment{Status: Missing, Message: "it does not exist"}
	}
	return Assessment{Status: Progressing, Message: "health of " + u.GetKind() + " is not assessed yet"}
}
