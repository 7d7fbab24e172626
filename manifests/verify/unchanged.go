package verify

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// Unchanged tells, without a request, that applying a rendered object to the live one would
// change nothing. It may say no where that is so; it does not say yes where it is not.
func Unchanged(o manifests.Object, r cluster.Resource, live *unstructured.Unstructured) bool {
	return proven(cluster.Desired(o.Unstructured, r), live, managerOf(o))
}

// Holds tells whether a live object has every field of the rendered one, with its value.
// What it has besides is not looked at: for objects of which no record of an apply exists.
func Holds(o manifests.Object, r cluster.Resource, live *unstructured.Unstructured) bool {
	d := differ{subset: true, lenient: true, ignored: always}
	d.walk(nil, cluster.Desired(o.Unstructured, r), live.Object)
	return len(d.found) == 0
}
