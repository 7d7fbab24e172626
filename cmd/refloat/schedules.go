package main

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	recoverycontroller "github.com/refloat-dev/refloat/recovery/controller"
	"github.com/refloat-dev/refloat/schedules/controller"
)

// setUpSchedules tells the controller of schedules, which knows no clusters, what it has to
// know about them.
func setUpSchedules(mgr ctrl.Manager, access roles) error {
	cached := mgr.GetCache()
	inUse, err := recoverycontroller.NewInUse(mgr, recoverycontroller.Options{Applier: access.applier, Destroyer: access.destroyer})
	if err != nil {
		return err
	}
	return controller.SetupWithManager(mgr, controller.Options{
		Access: access.scheduler, Secrets: mgr.GetAPIReader(), InUse: inUse, Elsewhere: recoverycontroller.NewElsewhere(mgr.GetAPIReader()),
		Exists: func(ctx context.Context, plan *v1alpha1.RecoveryPlan) (bool, error) {
			err := cached.Get(ctx, client.ObjectKey{Namespace: plan.Namespace, Name: plan.Spec.Cluster.Name}, &clusterv1.Cluster{})
			if apierrors.IsNotFound(err) {
				return false, nil
			}
			return err == nil, err
		},
	})
}
