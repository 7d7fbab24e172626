package controllers

import (
	"context"
	"fmt"
	"maps"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/refloat-dev/refloat/providers/local/api"
)

// takeOn puts the finalizer and the mark of a simulated cluster on an object
// before anything is done for it, together with the correction that adjust makes
// and reports; nil makes none. It reports whether it wrote: the write wakes the
// controller again.
func takeOn(ctx context.Context, c client.Client, o client.Object, finalizer string, adjust func() bool) (bool, error) {
	if !o.GetDeletionTimestamp().IsZero() {
		return false, nil
	}
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return false, fmt.Errorf("copy %T: the copy is not an object", o)
	}
	changed := controllerutil.AddFinalizer(o, finalizer)
	if o.GetLabels()[api.SimulatedLabel] != api.SimulatedValue {
		labels := map[string]string{}
		maps.Copy(labels, o.GetLabels())
		labels[api.SimulatedLabel] = api.SimulatedValue
		o.SetLabels(labels)
		changed = true
	}
	if adjust != nil && adjust() {
		changed = true
	}
	if !changed {
		return false, nil
	}
	if err := c.Patch(ctx, o, client.MergeFrom(before)); err != nil {
		return false, fmt.Errorf("put the finalizer on %s: %w", o.GetName(), err)
	}
	return true, nil
}
