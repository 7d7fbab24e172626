package quarantine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// backends removes the webhooks and APIServices that nothing answers any more, which
// would refuse every write, and webhooks that are called outside of the cluster: the API
// server itself would call them, whatever its pods may.
func (q *quarantine) backends() {
	dead, away := q.deadServices(), q.outsideServices()
	for i, o := range q.objects {
		id := o.ID()
		if q.gone[i] || q.exception(id) != nil {
			continue
		}
		switch id.GroupKind() {
		case schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
			schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:
			q.webhooks(i, dead, away)
		case schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}:
			service := serviceAt(o.Object, "spec", "service")
			if by := dead[service]; by != "" {
				q.omit(i, "Webhook", by+", which is stopped, would answer for it")
			} else if away[service] {
				q.omit(i, "Webhook", service.String()+", which is outside of the cluster, would answer for it")
			}
		case definitionKind:
			q.conversion(i, dead, away)
		}
	}
}

// conversion of a custom kind.
func (q *quarantine) conversion(i int, dead map[manifests.ID]string, away map[manifests.ID]bool) {
	client := mapping(q.objects[i].Object, "spec", "conversion", "webhook", "clientConfig")
	service := serviceAt(client, "service")
	why := ""
	switch {
	case str(client, "url") != "" || away[service]:
		why = "it would be called outside of the cluster"
	case dead[service] != "":
		why = dead[service] + ", which is stopped, would do it"
	default:
		return
	}
	q.set(i, map[string]any{"strategy": "None"}, "spec", "conversion")
	q.record(i, "Webhook", "converts nothing", why)
}

// webhooks of one configuration.
func (q *quarantine) webhooks(i int, dead map[manifests.ID]string, away map[manifests.ID]bool) {
	var kept []any
	var why []string
	all, _ := q.objects[i].Object["webhooks"].([]any)
	for _, entry := range all {
		hook, _ := entry.(map[string]any)
		service := serviceAt(hook, "clientConfig", "service")
		switch by := dead[service]; {
		case str(hook, "clientConfig", "url") != "" || away[service]:
			why = append(why, str(hook, "name")+" is called outside of the cluster")
		case by != "":
			why = append(why, fmt.Sprintf("%s is answered by %s, which is stopped", str(hook, "name"), by))
		default:
			kept = append(kept, entry)
		}
	}
	switch {
	case len(why) == 0:
	case len(kept) == 0:
		q.omit(i, "Webhook", strings.Join(why, "; "))
	default:
		q.set(i, kept, "webhooks")
		q.record(i, "Webhook", fmt.Sprintf("loses %d of %d webhooks", len(why), len(all)), strings.Join(why, "; "))
	}
}

// outsideServices have a name or addresses outside behind them: the state says where they
// lead, instead of which pods.
func (q *quarantine) outsideServices() map[manifests.ID]bool {
	written := map[manifests.ID]bool{}
	for i, o := range q.objects {
		switch id := o.ID(); {
		case q.gone[i]:
		case id.GroupKind() == schema.GroupKind{Kind: "Endpoints"}:
			written[manifests.ID{Kind: "Service", Namespace: id.Namespace, Name: id.Name}] = true
		case id.GroupKind() == schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:
			written[manifests.ID{Kind: "Service", Namespace: id.Namespace, Name: o.GetLabels()["kubernetes.io/service-name"]}] = true
		}
	}
	away := map[manifests.ID]bool{}
	for _, o := range q.objects {
		id := o.ID()
		if id.GroupKind() != (schema.GroupKind{Kind: "Service"}) || q.exception(id) != nil {
			continue
		}
		away[id] = str(o.Object, "spec", "type") == "ExternalName" || written[id] && len(stringMap(o.Object, "spec", "selector")) == 0
	}
	return away
}

// serviceAt is the Service that a reference names.
func serviceAt(m map[string]any, path ...string) manifests.ID {
	ref := mapping(m, path...)
	return manifests.ID{Kind: "Service", Namespace: str(ref, "namespace"), Name: str(ref, "name")}
}

// deadServices are those behind which there are pods of stopped workloads only, with one
// of these.
func (q *quarantine) deadServices() map[manifests.ID]string {
	dead := map[manifests.ID]string{}
	for _, o := range q.objects {
		id := o.ID()
		selector := stringMap(o.Object, "spec", "selector")
		if id.Kind != "Service" || id.Group != "" || len(selector) == 0 {
			continue
		}
		by, alive := "", false
		for _, w := range q.inNamespace[id.Namespace] {
			switch {
			case w.id.Kind == "CronJob" || w.id.Kind == "Job" || !selects(selector, w.podLabels):
			case w.fate == stopped:
				by = w.id.String()
			default:
				alive = true
			}
		}
		if by != "" && !alive {
			dead[id] = by
		}
	}
	return dead
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// unanswered leaves out objects of kinds that a stopped controller would have defined, and
// does not ask how the others are on which it would have acted.
func (q *quarantine) unanswered() {
	made := map[schema.GroupKind]bool{}
	if q.still["Crossplane"] != nil {
		for _, o := range q.objects {
			for _, kind := range manifests.KindsMadeFrom(o.Unstructured) {
				if o.ID().Group == "apiextensions.crossplane.io" {
					made[kind.GroupKind] = true
				}
			}
		}
	}
	names := make([]string, 0, len(q.still))
	for name := range q.still {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, o := range q.objects {
		gk := o.ID().GroupKind()
		if q.gone[i] || q.exception(o.ID()) != nil {
			continue
		}
		if made[gk] {
			q.omit(i, "KnownController", "Crossplane, which is stopped, would define its kind")
			continue
		}
		for _, name := range names {
			q.unansweredBy(i, gk, name)
		}
	}
}

func (q *quarantine) unansweredBy(i int, gk schema.GroupKind, name string) {
	_, defined := q.defined[gk]
	switch {
	case !q.still[name].acts(gk) || q.gone[i]:
	case !defined:
		q.omit(i, "KnownController", name+", which is stopped, would define its kind")
	default:
		if r := q.objects[i].Rules; r == nil || !r.HealthIgnored {
			q.rules(i).HealthIgnored = true
			q.record(i, "KnownController", "is not asked how it is", name+", which is stopped, would act on it")
		}
	}
}

// unitsOf without what is left out, and each after the guards.
func (q *quarantine) unitsOf(units []manifests.Unit, guarded bool) []manifests.Unit {
	gone := func(id manifests.ID) bool {
		i, known := q.index[id]
		return known && q.gone[i]
	}
	out := slices.Clone(units)
	for n := range out {
		if gone(out[n].Definition) {
			out[n].Definition = manifests.ID{}
		}
		out[n].Ready.Objects = slices.DeleteFunc(slices.Clone(out[n].Ready.Objects), gone)
		if guarded && len(out[n].After) == 0 { // those that wait for another one go after it anyway
			out[n].After = []manifests.Dependency{{Unit: UnitName, Reason: "the guards of a drill go before all objects"}}
		}
	}
	if guarded {
		out = append([]manifests.Unit{{Name: UnitName}}, out...)
	}
	return out
}

// dependsOn is the annotation by which an object names those that it goes after.
const dependsOn = "config.kubernetes.io/depends-on"

// unreferenced removes from such annotations what is left out.
func (q *quarantine) unreferenced() {
	gone := map[string]bool{}
	for i := range q.gone {
		id := q.objects[i].ID()
		gone[strings.Join([]string{id.Group, "namespaces", id.Namespace, id.Kind, id.Name}, "/")] = true
		gone[strings.Join([]string{id.Group, id.Kind, id.Name}, "/")] = true
	}
	for i, o := range q.objects {
		text, found := o.GetAnnotations()[dependsOn]
		if !found || q.gone[i] || len(gone) == 0 {
			continue
		}
		refs := strings.Split(text, ",")
		kept := slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return gone[strings.TrimSpace(ref)] })
		switch {
		case len(kept) == len(refs):
			continue
		case len(kept) == 0:
			q.drop(i, "metadata", "annotations", dependsOn)
		default:
			q.annotate(i, dependsOn, strings.Join(kept, ","))
		}
		q.record(i, "Order", "goes after fewer objects", "what it waits for is left out")
	}
}
