package main

import (
	ctrl "sigs.k8s.io/controller-runtime"

	recoverycontroller "github.com/refloat-dev/refloat/recovery/controller"
	"github.com/refloat-dev/refloat/recovery/failover/controller"
)

// setUpFailover watches clusters with the same access as runs have, and orders runs as the
// scheduler does.
func setUpFailover(mgr ctrl.Manager, access roles, system, reportsAddr string) error {
	clusters, err := recoverycontroller.NewClusters(mgr, recoverycontroller.Options{Applier: access.applier, Destroyer: access.destroyer})
	if err != nil {
		return err
	}
	return controller.SetupWithManager(mgr, controller.Options{Access: access.scheduler, Clusters: clusters, System: system, WebhookAddr: reportsAddr})
}
