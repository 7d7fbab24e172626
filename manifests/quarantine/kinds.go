package quarantine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

// kindRule changes the objects of a kind.
type kindRule func(q *quarantine, i int)

// kindRules by kind, where one kind needs one rule.
var kindRules = map[schema.GroupKind]kindRule{
	{Kind: "Service"}:   service,
	{Kind: "Secret"}:    alertmanagerFile,
	{Kind: "ConfigMap"}: alertmanagerFile,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}: networkPolicy,

	{Group: "networking.k8s.io", Kind: "Ingress"}: ingress,
	{Group: "extensions", Kind: "Ingress"}:        ingress,

	{Group: "cert-manager.io", Kind: "Issuer"}:         issuer,
	{Group: "cert-manager.io", Kind: "ClusterIssuer"}:  issuer,
	{Group: "acme.cert-manager.io", Kind: "Order"}:     leftOut("Certificates", "it would ask an authority outside"),
	{Group: "acme.cert-manager.io", Kind: "Challenge"}: leftOut("Certificates", "it would ask an authority outside"),

	{Group: "external-secrets.io", Kind: "PushSecret"}:        leftOut("PushSecret", "it would write into a store outside"),
	{Group: "external-secrets.io", Kind: "ClusterPushSecret"}: leftOut("PushSecret", "it would write into a store outside"),

	{Group: "external-secrets.io", Kind: "ExternalSecret"}: secretToCome,
	{Group: "bitnami.com", Kind: "SealedSecret"}:           secretToCome,

	{Group: "cilium.io", Kind: "CiliumNetworkPolicy"}:                 ciliumPolicy,
	{Group: "cilium.io", Kind: "CiliumClusterwideNetworkPolicy"}:      ciliumPolicy,
	{Group: "projectcalico.org", Kind: "NetworkPolicy"}:               calicoPolicy,
	{Group: "projectcalico.org", Kind: "GlobalNetworkPolicy"}:         calicoPolicy,
	{Group: "projectcalico.org", Kind: "NetworkSet"}:                  outsideSet,
	{Group: "projectcalico.org", Kind: "GlobalNetworkSet"}:            outsideSet,
	{Group: "crd.projectcalico.org", Kind: "NetworkPolicy"}:           calicoPolicy,
	{Group: "crd.projectcalico.org", Kind: "GlobalNetworkPolicy"}:     calicoPolicy,
	{Group: "crd.projectcalico.org", Kind: "NetworkSet"}:              outsideSet,
	{Group: "crd.projectcalico.org", Kind: "GlobalNetworkSet"}:        outsideSet,
	{Group: "policy.networking.k8s.io", Kind: "AdminNetworkPolicy"}:   adminPolicy,
	{Group: "policy.networking.k8s.io", Kind: "ClusterNetworkPolicy"}: adminPolicy,
	{Group: "crd.antrea.io", Kind: "NetworkPolicy"}:                   adminPolicy,
	{Group: "crd.antrea.io", Kind: "ClusterNetworkPolicy"}:            adminPolicy,
	{Group: "networking.gke.io", Kind: "FQDNNetworkPolicy"}:           outsideSet,

	{Group: "gateway.networking.k8s.io", Kind: "Gateway"}:        gateway,
	{Group: "gateway.envoyproxy.io", Kind: "EnvoyProxy"}:         envoyProxy,
	{Group: "monitoring.coreos.com", Kind: "AlertmanagerConfig"}: alertmanagerConfig,
	{Group: "monitoring.coreos.com", Kind: "Prometheus"}:         prometheus,
	{Group: "monitoring.coreos.com", Kind: "PrometheusAgent"}:    prometheus,
	{Group: "monitoring.coreos.com", Kind: "ThanosRuler"}:        thanosRuler,

	{Group: "argoproj.io", Kind: "Application"}:    application,
	{Group: "argoproj.io", Kind: "ApplicationSet"}: applicationSet,
	{Group: "argoproj.io", Kind: "CronWorkflow"}:   suspended("CronJob", "what it does on its timetable is not for a drill"),

	{Group: "velero.io", Kind: "Schedule"}:              flagged("Backups", "its backups would be taken for those of the real cluster", true, "spec", "paused"),
	{Group: "velero.io", Kind: "Backup"}:                leftOut("Backups", "it would be taken for a backup of the real cluster"),
	{Group: "velero.io", Kind: "DeleteBackupRequest"}:   leftOut("Backups", "it would delete a backup"),
	{Group: "velero.io", Kind: "BackupStorageLocation"}: readOnlyLocation,

	{Group: "postgresql.cnpg.io", Kind: "ScheduledBackup"}: suspended("Backups", "its backups would be taken for those of the real cluster"),
	{Group: "postgresql.cnpg.io", Kind: "Cluster"}:         postgres,
	{Group: "volsync.backube", Kind: "ReplicationSource"}:  flagged("Backups", "its backups would be taken for those of the real cluster", true, "spec", "paused"),
	{Group: "k8up.io", Kind: "Schedule"}:                   leftOut("Backups", "its backups would be taken for those of the real cluster"),
	{Group: "k8up.io", Kind: "Backup"}:                     leftOut("Backups", "its backups would be taken for those of the real cluster"),

	{Group: "infra.contrib.fluxcd.io", Kind: "Terraform"}: suspended("CloudResource", "it would change what it manages outside"),
	{Group: "pulumi.com", Kind: "Stack"}:                  leftOut("CloudResource", "it would change what it manages outside"),
	{Group: "cluster.x-k8s.io", Kind: "Cluster"}:          flagged("CloudResource", "it would make a cluster", true, "spec", "paused"),
	{Group: "refloat.dev", Kind: "RecoverySchedule"}:      leftOut("CloudResource", "it would rebuild clusters"),
	{Group: "refloat.dev", Kind: "FailoverPolicy"}:        leftOut("CloudResource", "it would rebuild clusters"),
	{Group: "refloat.dev", Kind: "RecoveryRun"}:           leftOut("CloudResource", "it would rebuild clusters"),

	{Group: "core.cnrm.cloud.google.com", Kind: "ConfigConnectorContext"}: flagged("CloudResource", "it would make or take over cloud resources", "Paused", "spec", "actuationMode"),
	{Group: "core.cnrm.cloud.google.com", Kind: "ConfigConnector"}:        flagged("CloudResource", "it would make or take over cloud resources", "Paused", "spec", "actuationMode"),

	{Group: "fluxcd.controlplane.io", Kind: "FluxInstance"}: annotated("GitOps", bringsBack, "fluxcd.controlplane.io/reconcile", "disabled"),
	{Group: "fluxcd.controlplane.io", Kind: "ResourceSet"}:  annotated("GitOps", bringsBack, "fluxcd.controlplane.io/reconcile", "disabled"),
}

// fluxKinds have spec.suspend.
var fluxKinds = map[string][]string{
	"kustomize.toolkit.fluxcd.io":    {"Kustomization"},
	"helm.toolkit.fluxcd.io":         {"HelmRelease"},
	"source.toolkit.fluxcd.io":       {"GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart"},
	"notification.toolkit.fluxcd.io": {"Alert", "Receiver"},
	"image.toolkit.fluxcd.io":        {"ImageRepository", "ImageUpdateAutomation"},
}

// fluxRule suspends an object of Flux; nil for every other kind.
func fluxRule(gk schema.GroupKind) kindRule {
	if !slices.Contains(fluxKinds[gk.Group], gk.Kind) {
		return nil
	}
	switch gk.Group {
	case "notification.toolkit.fluxcd.io":
		return unasked(suspended("GitOps", "it would tell people of the drill as if it were real"))
	case "image.toolkit.fluxcd.io":
		return unasked(suspended("GitOps", "it would write into the Git repository"))
	}
	return unasked(suspended("GitOps", bringsBack))
}

// bringsBack is why tools that keep a cluster as Git has it do not run in a drill.
const bringsBack = "it would bring back what the drill takes out"

// ruleOf a kind; nil when there is none.
func ruleOf(gk schema.GroupKind) kindRule {
	if rule := kindRules[gk]; rule != nil {
		return rule
	}
	if rule := balancingRule(gk); rule != nil {
		return rule
	}
	return announceRule(gk)
}

// byKind changes what is left, by its kind, and cloud resources by the group of theirs.
func (q *quarantine) byKind() {
	for i, o := range q.objects {
		id := o.ID()
		if q.gone[i] || q.exception(id) != nil {
			continue
		}
		if c := q.class(id); c != nil && workloadOf(o, i) == nil {
			q.classified(i, c.How)
			continue
		}
		q.unannounced(i)
		switch rule, suspends := ruleOf(id.GroupKind()), fluxRule(id.GroupKind()); {
		case q.meshed(i):
		case rule != nil:
			rule(q, i)
		case suspends != nil:
			suspends(q, i)
		case q.armed(i) != "":
			q.refuse(i, "has cloud credentials in "+q.armed(i)+" of what its operator starts, and no rule of the drill profile knows it",
				fmt.Sprintf("say in the plan what becomes of it in a drill: spec.drill.neutralise with {kind: %s, namespace: %s, name: %s, how: Omit}, or spec.drill.allow with a reason",
					id.Kind, quoted(id.Namespace), id.Name))
		default:
			q.cloudResource(i, id.Group)
		}
	}
}

// classified is an object without pods that the plan names.
func (q *quarantine) classified(i int, how How) {
	const why = "the plan says so (spec.drill.neutralise)"
	o := q.objects[i]
	switch {
	case how == Omit:
		q.omit(i, byPlan, why)
	case how == Suspend && builtin.Lookup(o.ID().GroupKind()) == nil:
		if q.set(i, true, "spec", "suspend") {
			q.record(i, byPlan, "is suspended", why)
		}
		q.rules(i).HealthIgnored = true
	case how == ScaleToZero && mapping(o.Object, "spec")["replicas"] != nil:
		q.set(i, int64(0), "spec", "replicas")
		q.record(i, byPlan, "has 0 replicas", why)
	default:
		q.refuse(i, fmt.Sprintf("cannot be neutralised by %s, as spec.drill.neutralise of the plan has it", how), "write how: Omit")
	}
}

func leftOut(rule, why string) kindRule {
	return func(q *quarantine, i int) { q.omit(i, rule, why) }
}

func suspended(rule, why string) kindRule {
	return func(q *quarantine, i int) {
		if q.set(i, true, "spec", "suspend") {
			q.record(i, rule, "is suspended", why)
		}
	}
}

func flagged(rule, why string, value any, path ...string) kindRule {
	return func(q *quarantine, i int) {
		if q.set(i, value, path...) {
			q.record(i, rule, "is paused", why)
		}
	}
}

func annotated(rule, why, key, value string) kindRule {
	return func(q *quarantine, i int) {
		if q.annotate(i, key, value) {
			q.record(i, rule, "is paused", why)
		}
	}
}

// unasked objects are not asked how they are: what is suspended never says.
func unasked(rule kindRule) kindRule {
	return func(q *quarantine, i int) {
		rule(q, i)
		q.rules(i).HealthIgnored = true
	}
}

// cloudResource pauses an object that stands for something outside, by the ways of those
// who define such kinds.
func (q *quarantine) cloudResource(i int, group string) {
	const why = "it stands for something outside of the cluster"
	changed := false
	switch {
	case group == "pkg.crossplane.io", group == "apiextensions.crossplane.io":
		return
	case strings.HasSuffix(group, ".crossplane.io"), strings.HasSuffix(group, ".upbound.io"):
		changed = q.annotate(i, "crossplane.io/paused", "true")
		if q.observes(i) {
			q.set(i, []any{"Observe"}, "spec", "managementPolicies")
		}
	case strings.HasSuffix(group, ".services.k8s.aws"):
		changed = q.annotate(i, "services.k8s.aws/read-only", "true")
		q.annotate(i, "services.k8s.aws/deletion-policy", "retain")
	case strings.HasSuffix(group, ".cnrm.cloud.google.com"):
		changed = q.annotate(i, "cnrm.cloud.google.com/deletion-policy", "abandon")
	case strings.HasSuffix(group, ".azure.com"):
		changed = q.annotate(i, "serviceoperator.azure.com/reconcile-policy", "skip")
	}
	if changed {
		q.record(i, "CloudResource", "is paused", why)
		q.rules(i).HealthIgnored = true
	}
}

// observes tells whether the definition of an object's kind has management policies, as
// far as it is in the state.
func (q *quarantine) observes(i int) bool {
	by, defined := q.defined[q.objects[i].ID().GroupKind()]
	if !defined {
		return false
	}
	for _, v := range list(q.objects[by].Object, "spec", "versions") {
		spec := mapping(v, "schema", "openAPIV3Schema", "properties", "spec", "properties", "managementPolicies")
		if str(v, "name") == q.objects[i].GroupVersionKind().Version && spec != nil {
			return true
		}
	}
	return false
}
