// Package sandbox runs a management cluster on this machine: a Kubernetes control
// plane, the unmodified controller of Cluster API core, and a controller that the
// caller gives, kept running by a supervisor that the caller gives too.
//
// All of it lives in one directory:
//
//	kubeconfig      of the management plane, for its user
//	controller.kubeconfig  of the management plane, for the controller
//	sandbox.json    how it was last brought up; what the supervisor works from
//	management/     the control plane
//	core/           certificate and port of Cluster API's webhooks
//	controller/     port of the controller's health
//	clusters/       the clusters that the local provider made
//	run/, log/      records and logs of supervisor, core and controller
//
// Every process is found again by its record, so it does not matter which of them was
// killed, or whether the machine was started anew: Up starts what is missing and leaves
// alone what runs.
package sandbox
