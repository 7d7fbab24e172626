// Package e2e runs the refloat command against real control planes: a real management
// plane, the real Cluster API core controller, and workload clusters that are real
// Kubernetes control planes, all on this machine. Its witness is not what Refloat says
// of itself but the audit logs of the API servers.
package e2e
