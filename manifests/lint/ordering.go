package lint

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
)

const (
	dependsOnAnnotation = "config.kubernetes.io/depends-on"
	waveAnnotation      = "argocd.argoproj.io/sync-wave"
	hookAnnotation      = "argocd.argoproj.io/hook"
)

// declared are the objects that one declares to depend on, and what cannot be read.
func declared(it *item) (ids []manifests.ID, unreadable []string) {
	value, ok := it.annotations[dependsOnAnnotation]
	if !ok {
		return nil, nil
	}
	for _, text := range strings.Split(value, ",") {
		f := strings.Split(strings.TrimSpace(text), "/")
		switch {
		case len(f) == 3 && f[1] != "" && f[2] != "":
			ids = append(ids, manifests.ID{Group: f[0], Kind: f[1], Name: f[2]})
		case len(f) == 5 && f[1] == "namespaces" && f[2] != "" && f[3] != "" && f[4] != "":
			ids = append(ids, manifests.ID{Group: f[0], Namespace: f[2], Kind: f[3], Name: f[4]})
		default:
			unreadable = append(unreadable, strings.TrimSpace(text))
		}
	}
	return ids, unreadable
}

// dependsOn must name something.
func (c *checker) dependsOn() {
	for _, it := range c.items {
		ids, unreadable := declared(it)
		for _, text := range unreadable {
			c.report(it, finding{rule: "missing-dependency", subject: text,
				message: fmt.Sprintf("%s declares that it depends on %q, which names no object", it.id, text),
				fix:     "Write group/kind/name, or group/namespaces/namespace/kind/name, with an empty group for core kinds."})
		}
		for _, id := range append(ids, fluxDependencies(it)...) {
			if c.byID[id] == nil {
				c.report(it, finding{rule: "missing-dependency", subject: id.String(), by: c.brings(id.Namespace),
					message: fmt.Sprintf("%s declares that it depends on %s, which the given paths do not have", it.id, id)})
			}
		}
	}
}

// place of an object in its unit's declared order.
type place struct{ phase, wave int }

func (p place) before(q place) bool {
	return p.phase < q.phase || p.phase == q.phase && p.wave < q.wave
}

func (p place) String() string {
	text := map[int]string{-1: "phase PreSync, ", 1: "phase PostSync, "}[p.phase]
	return text + "wave " + strconv.Itoa(p.wave)
}

// placed reads what the object declares; false when it belongs to no ordinary run.
func placed(it *item) (place, bool) {
	if it.Rules != nil {
		return place{int(it.Rules.Phase), it.Rules.Wave}, it.Rules.Write != manifests.WriteNever
	}
	wave, err := strconv.Atoi(strings.TrimSpace(it.annotations[waveAnnotation]))
	if err != nil {
		wave = 0
	}
	hooks := strings.Split(it.annotations[hookAnnotation], ",")
	for i := range hooks {
		hooks[i] = strings.TrimSpace(hooks[i])
	}
	switch {
	case contains(hooks, "PreSync"):
		return place{-1, wave}, true
	case contains(hooks, "", "Sync"):
		return place{0, wave}, true
	case contains(hooks, "PostSync"):
		return place{1, wave}, true
	}
	return place{}, false
}

// waves that put an object before what it cannot work without.
func (c *checker) waves() {
	for _, it := range c.items {
		if text, ok := it.annotations[waveAnnotation]; ok {
			if _, err := strconv.Atoi(strings.TrimSpace(text)); err != nil {
				c.report(it, finding{rule: "sync-wave-contradiction", severity: Warning, subject: waveAnnotation,
					message: fmt.Sprintf("sync-wave %q of %s is not a whole number and counts as 0", text, it.id)})
			}
		}
		c.contradiction(it, c.find(namespaceKind, "", it.id.Namespace), Warning, "it is in")
		if d, ok := c.definitions[it.id.GroupKind()]; ok {
			c.contradiction(it, d.by, Warning, "it is defined by")
		}
	}
	for _, r := range c.refs {
		if r.optional || !blocking[r.to.GroupKind()] {
			continue
		}
		severity := Error
		if _, workload := podPaths[r.from.id.GroupKind()]; !workload || r.soft {
			severity = Warning
		}
		c.contradiction(r.from, c.byID[r.to], severity, r.how)
	}
}

// blocking are kinds without which pods do not start.
var blocking = map[schema.GroupKind]bool{
	secretKind: true, configMapKind: true, accountKind: true, claimKind: true, priorityClassKind: true, runtimeClassKind: true,
}

func (c *checker) contradiction(it, needed *item, severity Severity, how string) {
	if needed == nil || needed == it || needed.Origin.Unit != it.Origin.Unit {
		return
	}
	first, ok := placed(it)
	second, known := placed(needed)
	if ok && known && first.before(second) {
		c.report(it, finding{rule: "sync-wave-contradiction", severity: severity, subject: needed.id.String(),
			message: fmt.Sprintf("%s goes in %s, but %s %s, which goes in %s", it.id, first, how, needed.id, second)})
	}
}

// cycles of declared order. What other rules report is mended for the graph, so that
// it shows what remains.
func (c *checker) cycles() {
	c.fluxCycles()
	graphed := make([]manifests.Object, 0, len(c.items))
	scopes := map[schema.GroupKind]bool{}
	for _, it := range c.items {
		namespaced, seen := scopes[it.id.GroupKind()]
		if !seen {
			namespaced = it.id.Namespace != ""
			scopes[it.id.GroupKind()] = namespaced
		}
		if namespaced == (it.id.Namespace != "") {
			graphed = append(graphed, c.mended(it))
		}
	}
	_, err := order.Build(graphed, order.Options{
		Units:             c.in.Units,
		KnownKind:         func(gvk schema.GroupVersionKind) (bool, bool) { return scopes[gvk.GroupKind()], true },
		ExistingNamespace: func(string) bool { return true },
	})
	var faults order.Faults
	if err != nil && !errors.As(err, &faults) {
		faults = order.Faults{err}
	}
	for _, fault := range faults {
		c.orderFault(fault)
	}
}

// mended is the object without references that cannot be followed.
func (c *checker) mended(it *item) manifests.Object {
	ids, unreadable := declared(it)
	kept := make([]string, 0, len(ids))
	for _, id := range ids {
		if c.byID[id] != nil && id != it.id {
			middle := id.Kind
			if id.Namespace != "" {
				middle = "namespaces/" + id.Namespace + "/" + id.Kind
			}
			kept = append(kept, id.Group+"/"+middle+"/"+id.Name)
		}
	}
	if len(unreadable) == 0 && len(kept) == len(ids) {
		return it.Object
	}
	o := it.Object
	o.Unstructured = o.Unstructured.DeepCopy()
	annotations := o.GetAnnotations()
	delete(annotations, dependsOnAnnotation)
	if len(kept) > 0 {
		annotations[dependsOnAnnotation] = strings.Join(kept, ",")
	}
	o.SetAnnotations(annotations)
	return o
}

func (c *checker) orderFault(fault error) {
	var cycle *order.CycleError
	if !errors.As(fault, &cycle) {
		c.found = append(c.found, Finding{Rule: "order-fault", Severity: Error, Message: strings.ReplaceAll(fault.Error(), "\n", " "),
			Why: rule("order-fault").Why, Fix: rule("order-fault").Fix})
		return
	}
	path := make([]string, 0, len(cycle.Steps)+1)
	var at *item
	for _, s := range cycle.Steps {
		name := s.Barrier
		if name == "" {
			name = s.ID.String()
			if it := c.byID[s.ID]; it != nil && (at == nil || it.id.Compare(at.id) < 0) {
				at = it
			}
		}
		path = append(path, fmt.Sprintf("%s (%s)", name, s.Reason))
	}
	if at == nil { // a circle of units
		at = &item{Object: manifests.Object{Origin: cycle.Steps[0].Origin}}
	}
	c.report(at, finding{rule: "dependency-cycle", message: "each of these waits for the next, and the last for the first: " + strings.Join(path, " → ")})
}

// fluxCycles are circles of dependsOn, which Flux waits out for ever.
func (c *checker) fluxCycles() {
	const walking, done = 1, 2
	state := map[*item]int{}
	var path []*item
	var visit func(it *item)
	visit = func(it *item) {
		state[it] = walking
		path = append(path, it)
		for _, id := range fluxDependencies(it) {
			switch next := c.byID[id]; {
			case next == nil || state[next] == done:
			case state[next] == walking:
				c.circle(path, next)
			default:
				visit(next)
			}
		}
		path = path[:len(path)-1]
		state[it] = done
	}
	for _, it := range c.items {
		if state[it] == 0 && len(fluxDependencies(it)) > 0 {
			visit(it)
		}
	}
}

func (c *checker) circle(path []*item, start *item) {
	for path[0] != start {
		path = path[1:]
	}
	names, at := make([]string, 0, len(path)), path[0]
	for _, it := range path {
		names = append(names, it.id.String()+" (spec.dependsOn)")
		if it.id.Compare(at.id) < 0 {
			at = it
		}
	}
	c.report(at, finding{rule: "dependency-cycle", message: "each of these waits for the next, and the last for the first: " + strings.Join(names, " → ")})
}
