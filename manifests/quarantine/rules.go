package quarantine

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// loadBalancerFields of a Service are refused, or mean nothing, without a load balancer.
var loadBalancerFields = []string{
	"loadBalancerIP", "loadBalancerClass", "allocateLoadBalancerNodePorts", "loadBalancerSourceRanges", "externalTrafficPolicy", "healthCheckNodePort",
}

// service makes an inner one of a load balancer. A NodePort stays: it opens the nodes of
// the throw-away cluster, and reaches for nobody.
func service(q *quarantine, i int) {
	uncloud(q, i)
	if q.drop(i, "spec", "externalIPs") {
		q.record(i, "LoadBalancer", "loses spec.externalIPs", "requests for these addresses are for the real cluster")
	}
	if str(q.objects[i].Object, "spec", "type") != "LoadBalancer" {
		return
	}
	q.set(i, "ClusterIP", "spec", "type")
	for _, field := range loadBalancerFields {
		q.drop(i, "spec", field)
	}
	for _, port := range list(q.edit(i), "spec", "ports") {
		delete(port, "nodePort")
	}
	q.record(i, "LoadBalancer", "is of type ClusterIP instead of LoadBalancer", "a load balancer costs money, and may take the address of the real one")
}

// gateway controllers ask for a load balancer each. Those that can be told ask for an inner
// Service; the others are refused by the guard, and the Gateway never gets an address.
func gateway(q *quarantine, i int) {
	uncloud(q, i)
	if q.drop(i, "spec", "addresses") {
		q.record(i, "LoadBalancer", "loses spec.addresses", "requests for these addresses are for the real cluster")
	}
	if q.cloudGateway(str(q.objects[i].Object, "spec", "gatewayClassName")) && q.set(i, nobody, "spec", "gatewayClassName") {
		q.record(i, "LoadBalancer", "is served by nobody", cloudWhy)
	}
	q.annotate(i, "networking.istio.io/service-type", "ClusterIP")
	q.rules(i).HealthIgnored = true
	q.record(i, "LoadBalancer", "is not asked how it is", "it gets no address where there are no load balancers")
}

func envoyProxy(q *quarantine, i int) {
	if q.set(i, "ClusterIP", "spec", "provider", "kubernetes", "envoyService", "type") {
		q.record(i, "LoadBalancer", "asks for a Service of type ClusterIP", "a load balancer costs money, and may take the address of the real one")
	}
}

// issuer signs by itself, so that Certificates become ready without any authority. An
// issuer that signs with a key of the cluster does so already.
func issuer(q *quarantine, i int) {
	spec := mapping(q.objects[i].Object, "spec")
	if has, self := spec["ca"], spec["selfSigned"]; has != nil || self != nil {
		return
	}
	kinds := slices.Sorted(maps.Keys(spec))
	q.set(i, map[string]any{"selfSigned": map[string]any{}}, "spec")
	q.record(i, "Certificates", "signs by itself", fmt.Sprintf("instead of by %s: it would use up the limits of an authority outside, or answer for real names", strings.Join(kinds, " and ")))
}

// silence is a configuration of Alertmanager that tells nobody.
const silence = "route:\n  receiver: \"null\"\nreceivers:\n- name: \"null\"\n"

// alertmanagerFiles are keys under which Alertmanager finds its configuration.
var alertmanagerFiles = []string{"alertmanager.yaml", "alertmanager.yml", "alertmanager.yaml.gz"}

const alertsWhy = "alerts of the drill would reach those who are on call"

// alertmanagerFile replaces the configuration in a Secret or ConfigMap. What it was is
// not said anywhere: it holds addresses and passwords.
func alertmanagerFile(q *quarantine, i int) {
	secret := q.objects[i].GetKind() == "Secret"
	for _, field := range []string{"data", "stringData", "binaryData"} {
		for _, key := range alertmanagerFiles {
			if _, there := mapping(q.objects[i].Object, field)[key]; !there {
				continue
			}
			q.drop(i, field, key)
			if secret {
				q.set(i, base64.StdEncoding.EncodeToString([]byte(silence)), "data", strings.TrimSuffix(key, ".gz"))
				q.drop(i, "stringData", strings.TrimSuffix(key, ".gz"))
			} else {
				q.set(i, silence, "data", strings.TrimSuffix(key, ".gz"))
			}
			q.record(i, "Alerts", "has a configuration of Alertmanager that tells nobody", alertsWhy)
		}
	}
}

// secretToCome leaves out what would bring a configuration of Alertmanager later.
func secretToCome(q *quarantine, i int) {
	o := q.objects[i].Object
	keys := slices.Collect(maps.Keys(mapping(o, "spec", "encryptedData")))
	keys = slices.AppendSeq(keys, maps.Keys(mapping(o, "spec", "target", "template", "data")))
	for _, d := range list(o, "spec", "data") {
		keys = append(keys, str(d, "secretKey"))
	}
	if slices.ContainsFunc(keys, func(key string) bool { return slices.Contains(alertmanagerFiles, key) }) {
		q.omit(i, "Alerts", alertsWhy)
	}
}

func alertmanagerConfig(q *quarantine, i int) {
	null := map[string]any{"route": map[string]any{"receiver": "null"}, "receivers": []any{map[string]any{"name": "null"}}}
	if q.set(i, null, "spec") {
		q.record(i, "Alerts", "tells nobody", alertsWhy)
	}
}

func prometheus(q *quarantine, i int) {
	q.dropAll(i, "Metrics", "metrics of the drill would be taken for those of the real cluster",
		[]string{"spec", "remoteWrite"}, []string{"spec", "thanos", "objectStorageConfig"}, []string{"spec", "thanos", "objectStorageConfigFile"})
	q.dropAll(i, "Alerts", alertsWhy, []string{"spec", "additionalAlertManagerConfigs"})
}

func thanosRuler(q *quarantine, i int) {
	q.dropAll(i, "Metrics", "metrics of the drill would be taken for those of the real cluster",
		[]string{"spec", "remoteWrite"}, []string{"spec", "objectStorageConfig"}, []string{"spec", "objectStorageConfigFile"})
	q.dropAll(i, "Alerts", alertsWhy, []string{"spec", "alertmanagersConfig"}, []string{"spec", "alertmanagersUrl"})
}

// dropAll drops fields and records which there were.
func (q *quarantine) dropAll(i int, rule, why string, fields ...[]string) {
	for _, path := range fields {
		if q.drop(i, path...) {
			q.record(i, rule, "loses "+strings.Join(path, "."), why)
		}
	}
}

func application(q *quarantine, i int) {
	q.drop(i, "operation")
	q.drop(i, "spec", "syncPolicy", "automated")
	q.annotate(i, "argocd.argoproj.io/skip-reconcile", "true")
	q.record(i, "GitOps", "does not sync", bringsBack)
	q.rules(i).HealthIgnored = true
}

func applicationSet(q *quarantine, i int) {
	q.drop(i, "spec", "template", "spec", "syncPolicy", "automated")
	q.drop(i, "spec", "templatePatch")
	q.record(i, "GitOps", "makes Applications that do not sync", bringsBack)
	q.rules(i).HealthIgnored = true
}

func readOnlyLocation(q *quarantine, i int) {
	if q.set(i, "ReadOnly", "spec", "accessMode") {
		q.record(i, "Backups", "is read-only", "backups of the real cluster would be changed")
	}
}

// postgres archives nothing: its archive would be written into that of the real database.
func postgres(q *quarantine, i int) {
	const why = "it would write into the archive of the real database"
	q.dropAll(i, "Backups", why, []string{"spec", "backup"})
	for _, key := range identities {
		if q.drop(i, "spec", "serviceAccountTemplate", "metadata", "annotations", key) {
			q.record(i, "CloudIdentity", "loses "+key, why)
		}
	}
	var kept []any
	plugins, _, _ := unstructured.NestedSlice(q.objects[i].Object, "spec", "plugins")
	for _, p := range plugins {
		if plugin, _ := p.(map[string]any); plugin["isWALArchiver"] != true {
			kept = append(kept, p)
		}
	}
	if len(kept) < len(plugins) {
		q.set(i, kept, "spec", "plugins")
		q.record(i, "Backups", "loses the plugin that archives", why)
	}
}

// networkPolicy keeps of what pods may connect to only what is in the cluster: one policy
// that allows more is enough to undo those of the drill.
func networkPolicy(q *quarantine, i int) {
	if q.o.OpenEgress {
		return
	}
	rules, _, _ := unstructured.NestedSlice(q.objects[i].Object, "spec", "egress")
	var kept []any
	for _, r := range rules {
		if rule, _ := r.(map[string]any); inside(rule) {
			kept = append(kept, r)
		}
	}
	if len(kept) == len(rules) {
		return
	}
	// Without policyTypes the rules themselves say that it is about egress.
	if len(kept) == 0 {
		q.drop(i, "spec", "egress")
	} else {
		q.set(i, kept, "spec", "egress")
	}
	q.record(i, "Egress", "allows no connection to the outside", "the drill's own policies would be undone")
}

// inside tells whether an egress rule names pods only.
func inside(rule map[string]any) bool {
	peers := list(rule, "to")
	return len(peers) > 0 && !slices.ContainsFunc(peers, func(p map[string]any) bool { return p["ipBlock"] != nil })
}
