package capi

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Role is what Refloat does in a workload cluster, and the name of the service account in
// kube-system that it does it as.
type Role string

const (
	// RoleApplier writes what the repository says. That may be anything, roles and
	// webhooks among it, so it is an administrator: what one may bind, one has to hold.
	RoleApplier Role = "refloat-applier"
	// RoleVerifier reads everything and writes nothing.
	RoleVerifier Role = "refloat-verifier"
	// RoleDestroyer gives back what the cluster holds outside of itself.
	RoleDestroyer Role = "refloat-destroyer"
	// RoleProber keeps a Lease, to prove that the API server can be written to.
	RoleProber Role = "refloat-prober"
)

// ProbeLease is the Lease in kube-system that the prober keeps.
const ProbeLease = "refloat-probe"

// rights of a role.
type rights struct {
	// rules of a ClusterRole of the role's name; none to bind another one.
	rules []rbacv1.PolicyRule
	// to is the ClusterRole that is bound when there are no rules.
	to string
	// proof is what is allowed once the API server knows of the rights.
	proof authorizationv1.ResourceAttributes
}

func (r rights) bound(role Role) string {
	if len(r.rules) > 0 {
		return string(role)
	}
	return r.to
}

// own is how every role proves that it is in the right cluster.
var own = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{"kube-system"}, Verbs: []string{"get"}}

var roles = map[Role]rights{
	RoleApplier: {
		to:    "cluster-admin",
		proof: authorizationv1.ResourceAttributes{Verb: "*", Group: "*", Resource: "*"},
	},
	RoleVerifier: {
		rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}}},
		proof: authorizationv1.ResourceAttributes{Verb: "list", Group: "*", Resource: "*"},
	},
	RoleDestroyer: {
		rules: []rbacv1.PolicyRule{
			own,
			{APIGroups: []string{"apps"}, Resources: []string{"deployments", "statefulsets"}, Verbs: []string{"list", "watch", "patch"}},
			{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"list"}},
			{APIGroups: []string{""}, Resources: []string{"services", "persistentvolumeclaims", "pods"}, Verbs: []string{"list", "watch", "delete"}},
			{APIGroups: []string{""}, Resources: []string{"persistentvolumes"}, Verbs: []string{"list", "watch"}},
			{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses"}, Verbs: []string{"list", "watch", "delete"}},
			{APIGroups: []string{"gateway.networking.k8s.io"}, Resources: []string{"gateways"}, Verbs: []string{"list", "watch", "delete"}},
		},
		proof: authorizationv1.ResourceAttributes{Verb: "delete", Group: "gateway.networking.k8s.io", Resource: "gateways"},
	},
	RoleProber: {
		rules: []rbacv1.PolicyRule{
			own,
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create"}}, // a name cannot be given for it
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{ProbeLease}, Verbs: []string{"patch", "watch"}},
		},
		proof: authorizationv1.ResourceAttributes{
			Verb: "patch", Group: "coordination.k8s.io", Resource: "leases", Namespace: metav1.NamespaceSystem, Name: ProbeLease,
		},
	},
}
