package health

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// known are custom kinds that say how they are, but not with a Ready condition, so that
// kstatus takes any status of theirs for good. Their input has a status in which
// kstatus found nothing wrong.
var known = map[schema.GroupKind]func(*unstructured.Unstructured) Assessment{
	{Group: "gateway.networking.k8s.io", Kind: "GatewayClass"}: needs("Accepted"),
	{Group: "gateway.networking.k8s.io", Kind: "Gateway"}:      needs("Accepted", "Programmed"),
	{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}:    route,
	{Group: "gateway.networking.k8s.io", Kind: "GRPCRoute"}:    route,
	{Group: "gateway.networking.k8s.io", Kind: "TLSRoute"}:     route,
	{Group: "gateway.networking.k8s.io", Kind: "TCPRoute"}:     route,
	{Group: "gateway.networking.k8s.io", Kind: "UDPRoute"}:     route,

	{Group: "pkg.crossplane.io", Kind: "Provider"}:                              needs("Installed", "Healthy"),
	{Group: "pkg.crossplane.io", Kind: "Function"}:                              needs("Installed", "Healthy"),
	{Group: "pkg.crossplane.io", Kind: "Configuration"}:                         needs("Installed", "Healthy"),
	{Group: "apiextensions.crossplane.io", Kind: "CompositeResourceDefinition"}: needs("Established"),
	{Group: "templates.gatekeeper.sh", Kind: "ConstraintTemplate"}:              created,
	{Group: "bitnami.com", Kind: "SealedSecret"}:                                needs("Synced"),
	{Group: "monitoring.coreos.com", Kind: "Prometheus"}:                        needs("Available", "Reconciled"),
	{Group: "monitoring.coreos.com", Kind: "PrometheusAgent"}:                   needs("Available", "Reconciled"),
	{Group: "monitoring.coreos.com", Kind: "Alertmanager"}:                      needs("Available", "Reconciled"),
	{Group: "monitoring.coreos.com", Kind: "ThanosRuler"}:                       needs("Available", "Reconciled"),
	{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshot"}:                  snapshot,
	{Group: "velero.io", Kind: "BackupStorageLocation"}:                         phase("Available"),
	restores: restored,
	{Group: "elasticsearch.k8s.elastic.co", Kind: "Elasticsearch"}: phase("Ready"),
	{Group: "argoproj.io", Kind: "Application"}:                    application,
	{Group: "argoproj.io", Kind: "Rollout"}:                        rollout,
}

var restores = schema.GroupKind{Group: "velero.io", Kind: "Restore"}

// restored is a Restore of Velero that brought everything back: what comes after it may
// write to the data.
func restored(u *unstructured.Unstructured) Assessment {
	reasons, _, _ := unstructured.NestedStringSlice(u.Object, "status", "validationErrors")
	switch p := stringAt(u, "status", "phase"); p {
	case "Completed":
		return healthy("")
	case "Failed", "PartiallyFailed", "FinalizingPartiallyFailed", "WaitingForPluginOperationsPartiallyFailed", "FailedValidation":
		return failed("the restore is %s%s", p, because(append([]string{stringAt(u, "status", "failureReason")}, reasons...)...))
	default:
		return progressing("the restore is %q, not Completed", p)
	}
}

// created tells whether Gatekeeper has made the kind of a template.
func created(u *unstructured.Unstructured) Assessment {
	if made, _, _ := unstructured.NestedBool(u.Object, "status", "created"); !made {
		return progressing("its operator has not made the kind of its constraints yet")
	}
	return healthy("")
}

// needs conditions that have to be True.
func needs(types ...string) func(*unstructured.Unstructured) Assessment {
	return func(u *unstructured.Unstructured) Assessment {
		for _, kind := range types {
			switch c := conditionOf(u, kind); c.Status {
			case "True":
			case "":
				return progressing("its operator does not say yet that it is %s", kind)
			default:
				return progressing("it is not %s%s", kind, because(c.why()))
			}
		}
		return healthy("")
	}
}

func phase(good string) func(*unstructured.Unstructured) Assessment {
	return func(u *unstructured.Unstructured) Assessment {
		if p := stringAt(u, "status", "phase"); p != good {
			return progressing("its phase is %q, not %s%s", p, good, because(stringAt(u, "status", "message")))
		}
		return healthy("")
	}
}

// route is attached when all Gateways that have looked at it accept it.
func route(u *unstructured.Unstructured) Assessment {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "parents")
	parents := maps(list)
	if len(parents) == 0 {
		return progressing("no Gateway has looked at it yet")
	}
	for _, p := range parents {
		of := &unstructured.Unstructured{Object: map[string]any{"status": p}}
		name, _, _ := unstructured.NestedString(p, "parentRef", "name")
		if c := conditionOf(of, "Accepted"); c.Status != "True" {
			return progressing("Gateway %s does not accept it%s", name, because(c.why()))
		}
	}
	return healthy("")
}

func snapshot(u *unstructured.Unstructured) Assessment {
	if boolAt(u, "status", "readyToUse") {
		return healthy("")
	}
	return progressing("the snapshot is not ready to use%s", because(stringAt(u, "status", "error", "message")))
}

// application is healthy when what it deploys is, and is what Git says.
func application(u *unstructured.Unstructured) Assessment {
	state, sync := stringAt(u, "status", "health", "status"), stringAt(u, "status", "sync", "status")
	switch {
	case state == "Suspended":
		return healthy("suspended")
	case state != "Healthy":
		return progressing("the application is %q, not Healthy%s", state,
			because(stringAt(u, "status", "health", "message"), stringAt(u, "status", "operationState", "message")))
	case sync != "Synced":
		return progressing("the application is %q, not Synced%s", sync, because(stringAt(u, "status", "operationState", "message")))
	}
	return healthy("")
}

func rollout(u *unstructured.Unstructured) Assessment {
	switch p, message := stringAt(u, "status", "phase"), stringAt(u, "status", "message"); p {
	case "Healthy":
		return healthy("")
	case "Paused":
		return healthy("paused%s", because(message))
	default:
		return progressing("the rollout is %q, not Healthy%s", p, because(message))
	}
}
