package lint

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

const enforceLabel = "pod-security.kubernetes.io/enforce"

// podSecurity levels must admit the pods of their namespace.
func (c *checker) podSecurity() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return // the library's own checks are valid, or its tests would fail
	}
	for _, ns := range c.byKind[namespaceKind] {
		level, err := api.ParseLevel(ns.labels[enforceLabel])
		if ns.labels[enforceLabel] == "" || err != nil || level == api.LevelPrivileged {
			continue
		}
		version := api.LatestVersion()
		if v, err := api.ParseVersion(ns.labels[enforceLabel+"-version"]); err == nil {
			version = v
		}
		for _, w := range c.inNamespace[ns.id.Name] {
			if detail := refusal(evaluator, w, api.LevelVersion{Level: level, Version: version}); detail != "" {
				c.report(w.item, finding{rule: "pod-security-refuses", subject: string(level),
					message: fmt.Sprintf("pods of %s are refused by level %s of %s (%s): %s", w.id, level, ns.id, ns.Origin, detail)})
			}
		}
	}
}

// refusal says why a level refuses the pods of a workload; "" if it does not, or the
// pods cannot be read.
func refusal(evaluator policy.Evaluator, w *workload, level api.LevelVersion) (detail string) {
	defer func() {
		if recover() != nil { // the checks take what an API server has validated
			detail = ""
		}
	}()
	var spec corev1.PodSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(w.pod, &spec); err != nil {
		return ""
	}
	meta := metav1.ObjectMeta{Labels: w.podLabel, Annotations: stringMap(w.template, "metadata", "annotations")}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &meta, &spec))
	if result.Allowed {
		return ""
	}
	return result.ForbiddenDetail()
}

// directions of a NetworkPolicy, as the API server defaults them.
func restricts(it *item, direction string) bool {
	types := texts(it.spec, "policyTypes")
	if len(types) == 0 {
		return direction == "Ingress" || field(it.spec, "egress") != nil
	}
	return contains(types, direction)
}

// networkPolicies that cut off what nobody thinks of.
func (c *checker) networkPolicies() {
	for _, it := range c.byKind[networkPolicyKind] {
		if len(mapping(it.spec, "podSelector")) > 0 || !restricts(it, "Egress") || len(list(it.spec, "egress")) > 0 {
			continue
		}
		var cut []string
		for _, w := range c.inNamespace[it.id.Namespace] {
			if !c.opens(w, "egress", func(r map[string]any) bool { return allowsPort(r, "53", "dns", "dns-tcp") }) {
				cut = append(cut, w.id.String())
			}
		}
		if len(cut) > 0 {
			c.report(it, finding{rule: "egress-blocks-dns", message: fmt.Sprintf("%s denies all egress, and no other policy lets %s ask DNS", it.id, some(cut))})
		}
	}
	c.blockedBackends()
}

// opens tells whether a policy that selects the workload's pods allows something.
func (c *checker) opens(w *workload, direction string, allows func(map[string]any) bool) bool {
	for _, it := range c.byKind[networkPolicyKind] {
		if it.id.Namespace != w.id.Namespace {
			continue
		}
		selector, ok := parseSelector(mapping(it.spec, "podSelector"))
		if !ok || !selector.Matches(labels.Set(w.podLabel)) {
			continue
		}
		for _, r := range list(it.spec, direction) {
			if allows(r) {
				return true
			}
		}
	}
	return false
}

// allowsPort is true for a rule without ports.
func allowsPort(r map[string]any, ports ...string) bool {
	listed := list(r, "ports")
	if len(listed) == 0 {
		return true
	}
	for _, p := range listed {
		if p["port"] == nil || contains(ports, fmt.Sprint(p["port"])) || p["endPort"] != nil {
			return true
		}
	}
	return false
}

// blockedBackends are what the API server calls and a policy does not let it reach:
// it calls from outside the network of pods, which only a rule without peers, or with
// addresses, allows.
func (c *checker) blockedBackends() {
	for _, gk := range webhookKinds {
		for _, it := range c.byKind[gk] {
			for _, w := range list(it.raw, "webhooks") {
				c.blockedBackend(it, mapping(w, "clientConfig", "service"))
			}
		}
	}
	for _, it := range c.byKind[apiServiceKind] {
		c.blockedBackend(it, mapping(it.spec, "service"))
	}
}

func (c *checker) blockedBackend(it *item, ref map[string]any) {
	b, _ := c.backendOf(ref)
	for _, w := range b.workloads {
		if !c.restricted(w) || c.opens(w, "ingress", openToAll) {
			continue
		}
		c.report(it, finding{rule: "ingress-blocks-webhook", subject: w.id.String(),
			message: fmt.Sprintf("%s is answered by %s, which a NetworkPolicy does not let the API server reach", it.id, w.id)})
	}
}

// restricted tells whether some policy limits who may connect to the workload.
func (c *checker) restricted(w *workload) bool {
	for _, it := range c.byKind[networkPolicyKind] {
		selector, ok := parseSelector(mapping(it.spec, "podSelector"))
		if it.id.Namespace == w.id.Namespace && ok && restricts(it, "Ingress") && selector.Matches(labels.Set(w.podLabel)) {
			return true
		}
	}
	return false
}

func openToAll(r map[string]any) bool {
	peers := list(r, "from")
	if len(peers) == 0 {
		return true
	}
	for _, p := range peers {
		if p["ipBlock"] != nil {
			return true
		}
	}
	return false
}
