package capi

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
)

// InputError is a fault of the manifests that a user wrote.
type InputError struct {
	// From is where it was written, file:line, or the path when no object is at fault.
	From string
	// Object at fault, Kind name; empty when it is the set as a whole.
	Object string
	// Problem in one sentence, with what to do.
	Problem string
}

func (e *InputError) Error() string {
	switch {
	case e.From != "" && e.Object != "":
		return e.From + ": " + e.Object + ": " + e.Problem
	case e.From != "":
		return e.From + ": " + e.Problem
	case e.Object != "":
		return e.Object + ": " + e.Problem
	}
	return e.Problem
}

// NameError says that the manifests hold a Cluster of another name than expected.
type NameError struct {
	From, Want, Got string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("%s: Cluster %s: the plan's cluster is %s; use that name or ${CLUSTER_NAME}", e.From, e.Got, e.Want)
}

// NotFoundError says that a cluster does not exist. A deletion ends with it.
type NotFoundError struct {
	Namespace, Name string
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("Cluster %s/%s does not exist", e.Namespace, e.Name)
}

// ForeignError says that an object exists that this run may not touch, because
// another run or nobody of Refloat made it.
type ForeignError struct {
	// Object is Kind namespace/name.
	Object string
	// Run in the object's stamp, empty when it has none.
	Run types.UID
}

func (e *ForeignError) Error() string {
	if e.Run == "" {
		return fmt.Sprintf("%s exists and was not made by Refloat; remove it, or annotate the Cluster with %s=true to hand it over", e.Object, AnnotationAdopt)
	}
	return fmt.Sprintf("%s exists and belongs to run %s; wait until that is cleaned up, or remove it", e.Object, e.Run)
}

// IdentityChangedError says that the object of this name is not the one that was
// pinned: somebody deleted and made it anew meanwhile.
type IdentityChangedError struct {
	Object    string
	Want, Got types.UID
}

func (e *IdentityChangedError) Error() string {
	return fmt.Sprintf("%s is another object than the pinned one (UID %s, not %s); it was left alone", e.Object, e.Got, e.Want)
}

// DeposedError says that a newer controller process works on this run.
type DeposedError struct {
	Object      string
	Mine, Found int64
}

func (e *DeposedError) Error() string {
	return fmt.Sprintf("%s carries epoch %d of this run and this process has %d: a newer process took over", e.Object, e.Found, e.Mine)
}

// NotReadyError says that something is not yet so; looking again later may help.
type NotReadyError struct {
	// Reason is one CamelCase word.
	Reason string
	// Message is one sentence that names the object.
	Message string
}

func (e *NotReadyError) Error() string { return e.Message }

// RefusedError says that Refloat will not do this, however often it is asked.
type RefusedError struct {
	// Reason is one CamelCase word.
	Reason string
	// Message is one sentence with what to do.
	Message string
}

func (e *RefusedError) Error() string { return e.Message }
