package clusterapi

import (
	"fmt"
	"strconv"
)

// Core says how the core controller runs on this machine.
type Core struct {
	// Kubeconfig of the management plane.
	Kubeconfig string
	// HealthPort and WebhookPort on the loopback interface.
	HealthPort, WebhookPort int
	// CertDir holds the webhooks' serving certificate; see ServingCertificate.
	CertDir string
	// Processors that it may keep busy; it bounds how much is reconciled at once.
	Processors int
}

// Arguments of the core controller's command line.
//
// Rate limiting is off because its floor of one reconcile a second for each object
// adds about four seconds to each cluster. Concurrency is near the number of
// processors: with upstream's defaults of 50 to 100, a small machine spends its time on
// conflicts. The grace period of the connection probe is short, since the network
// between the two planes is this machine's loopback interface.
func (c Core) Arguments() []string {
	args := []string{
		"--kubeconfig=" + c.Kubeconfig,
		"--leader-elect=false",
		"--diagnostics-address=0",
		"--health-addr=127.0.0.1:" + strconv.Itoa(c.HealthPort),
		"--webhook-port=" + strconv.Itoa(c.WebhookPort),
		"--webhook-cert-dir=" + c.CertDir,
		"--feature-gates=ReconcilerRateLimiting=false,ClusterTopology=true,MachinePool=false",
		"--remote-connection-grace-period=20s",
		"--skip-crd-migration-phases=StorageVersionMigration,CleanupManagedFields",
		"--v=1",
	}
	concurrency := max(3, 2*c.Processors)
	for _, controller := range []string{
		"cluster", "clustertopology", "clustercache", "clusterclass", "clusterresourceset", "extensionconfig",
		"machine", "machineset", "machinedeployment", "machinehealthcheck",
	} {
		args = append(args, fmt.Sprintf("--%s-concurrency=%d", controller, concurrency))
	}
	return args
}
