package lint

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// expectation is what a reference to a kind must find.
type expectation struct {
	rule string
	// severity of a reference without which the object still runs; "" means the
	// rule's.
	soft Severity
	// given tells what a cluster has by itself.
	given func(manifests.ID) bool
	// doubt lowers the severity for names that some providers bring along.
	doubt func(manifests.ID) bool
}

func named(names ...string) func(manifests.ID) bool {
	return func(id manifests.ID) bool { return slices.Contains(names, id.Name) }
}

func prefixed(prefixes ...string) func(manifests.ID) bool {
	return func(id manifests.ID) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(id.Name, p) })
	}
}

var expectations = map[schema.GroupKind]expectation{
	secretKind:    {rule: "missing-secret", soft: Warning},
	configMapKind: {rule: "missing-configmap", soft: Warning},
	accountKind:   {rule: "missing-service-account", given: named("default")},
	claimKind:     {rule: "missing-claim"},
	roleKind:      {rule: "missing-role", given: givenRole},
	clusterRoleKind: {rule: "missing-role",
		given: func(id manifests.ID) bool {
			return prefixed("system:", "kubeadm:")(id) || named("cluster-admin", "admin", "edit", "view")(id)
		}},
	priorityClassKind: {rule: "missing-priority-class", given: named("system-cluster-critical", "system-node-critical")},
	runtimeClassKind:  {rule: "missing-runtime-class", doubt: named("gvisor", "nvidia", "kata", "kata-containers", "runsc")},
	storageClassKind: {rule: "missing-storage-class", doubt: named("standard", "standard-rwo", "premium-rwo", "gp2", "gp3", "default",
		"managed", "managed-csi", "managed-csi-premium", "managed-premium", "azurefile", "azurefile-csi", "azurefile-premium",
		"do-block-storage", "linode-block-storage", "hcloud-volumes", "civo-volume", "vultr-block-storage", "scw-bssd", "cinder-csi",
		"oci-bv", "local-path", "hostpath", "microk8s-hostpath", "auto-ebs-sc")},
	ingressClassKind: {rule: "missing-ingress-class"},
	gatewayClassKind: {rule: "missing-gateway-class", given: prefixed("gke-l7-", "istio", "cilium")},
	certificateKind:  {rule: "missing-certificate"},
	issuerKind:       {rule: "missing-issuer"}, clusterIssuerKind: {rule: "missing-issuer"},
	secretStoreKind: {rule: "missing-secret-store"}, clusterStoreKind: {rule: "missing-secret-store"},
}

// givenRole knows the Roles that every cluster has.
func givenRole(id manifests.ID) bool {
	return (id.Namespace == "kube-system" || id.Namespace == "kube-public") &&
		(prefixed("system:", "kubeadm:")(id) || id.Name == "extension-apiserver-authentication-reader")
}

// expect is what a reference must find; false if nothing can be said.
func expect(gk schema.GroupKind) (expectation, bool) {
	if e, ok := expectations[gk]; ok {
		return e, true
	}
	if gk.Group == sourceGroup {
		return expectation{rule: "missing-source"}, true
	}
	if _, workload := podPaths[gk]; workload {
		return expectation{rule: "missing-scale-target"}, true
	}
	return expectation{}, false
}

// present tells whether an object will be on the cluster before or without anyone's
// doing beyond the repository and the seeds.
func (s *state) present(id manifests.ID) bool {
	return s.byID[id] != nil || s.seeds[id] || s.produced.has(id)
}

// references must find what they name.
func (c *checker) references() {
	for _, r := range c.refs {
		e, ok := expect(r.to.GroupKind())
		if !ok || r.optional || r.key != "" || c.present(r.to) || e.given != nil && e.given(r.to) {
			continue
		}
		f := finding{rule: e.rule, subject: r.subject(), by: c.brings(r.to.Namespace),
			message: fmt.Sprintf("%s %s, which nothing in the given paths makes", r.how, r.to)}
		if r.soft {
			f.severity = e.soft
		}
		if e.doubt != nil && e.doubt(r.to) {
			f.severity = Warning
			f.message += ", though some providers bring it along"
		}
		if r.to.Kind == "Secret" {
			f.fix = fmt.Sprintf("Add %s/%s to the seeds of the plan, or a SealedSecret, ExternalSecret or Certificate that makes it.", r.to.Namespace, r.to.Name)
		}
		c.report(r.from, f)
	}
}

// keys are entries of rendered Secrets and ConfigMaps that must exist in them.
func (c *checker) keys() {
	for _, r := range c.refs {
		target := c.byID[r.to]
		if r.key == "" || r.optional || target == nil || c.seeds[r.to] || c.filled(target) {
			continue
		}
		for _, part := range []string{"data", "stringData", "binaryData"} {
			if _, ok := mapping(target.raw, part)[r.key]; ok {
				target = nil
				break
			}
		}
		if target != nil {
			c.report(r.from, finding{rule: "missing-key", subject: r.subject() + " " + r.key,
				message: fmt.Sprintf("%s key %s of %s (%s), which has no such key", r.how, r.key, target.id, target.Origin)})
		}
	}
}

// filled tells whether somebody adds entries to a rendered Secret or ConfigMap: one
// that is written empty, is a token, or may be changed by name.
func (c *checker) filled(it *item) bool {
	empty := len(mapping(it.raw, "data")) == 0 && len(mapping(it.raw, "stringData")) == 0 && len(mapping(it.raw, "binaryData")) == 0
	if empty && len(it.annotations)+len(it.labels) > 0 {
		return true
	}
	for key := range it.annotations {
		if strings.Contains(key, "secret-generator") || strings.Contains(key, "inject") {
			return true
		}
	}
	return str(it.raw, "type") == "kubernetes.io/service-account-token" || c.produced.has(it.id)
}

// defaultStorage notes claims that rely on the cluster's default class.
func (c *checker) defaultStorage() {
	for _, sc := range c.byKind[storageClassKind] {
		if sc.annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return
		}
	}
	var claims []*item
	for _, it := range c.byKind[claimKind] {
		if _, given := builtin.ClaimClass(it.raw); !given && str(it.spec, "volumeName") == "" {
			claims = append(claims, it)
		}
	}
	for _, it := range c.byKind[statefulSetKind] {
		for _, t := range list(it.spec, "volumeClaimTemplates") {
			if _, given := builtin.ClaimClass(t); !given {
				claims = append(claims, it)
				break
			}
		}
	}
	if len(claims) > 0 && c.brings("") == nil {
		c.reportAll(claims, finding{rule: "default-storage-class", message: "storage of the default class, which the given paths lack, is claimed by {}"})
	}
}
