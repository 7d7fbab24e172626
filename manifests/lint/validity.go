package lint

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
)

// keyed lists are merged by their keys: an entry must be there once.
type keyed struct {
	path []string
	keys []string
	// refused is false for duplicates that only server-side apply refuses.
	refused bool
}

var (
	podLists = []keyed{
		{[]string{"volumes"}, []string{"name"}, true},
		{[]string{"imagePullSecrets"}, []string{"name"}, false},
		{[]string{"topologySpreadConstraints"}, []string{"topologyKey", "whenUnsatisfiable"}, true},
		{[]string{"hostAliases"}, []string{"ip"}, false},
	}
	containerLists = []keyed{
		{[]string{"env"}, []string{"name"}, false},
		{[]string{"ports"}, []string{"containerPort", "protocol"}, false},
		{[]string{"volumeMounts"}, []string{"mountPath"}, true},
		{[]string{"volumeDevices"}, []string{"devicePath"}, true},
	}
	servicePorts = keyed{[]string{"ports"}, []string{"port", "protocol"}, true}
)

// listKeys finds entries that are written twice.
func (c *checker) listKeys() {
	for _, w := range c.workloads {
		for _, k := range podLists {
			c.repeated(w.item, w.pod, k, "its pods")
		}
		names := map[string]any{"containers": []any{}}
		for _, x := range w.containers() {
			names["containers"] = append(names["containers"].([]any), x.raw)
			for _, k := range containerLists {
				c.repeated(w.item, x.raw, k, x.name)
			}
		}
		c.repeated(w.item, names, keyed{[]string{"containers"}, []string{"name"}, true}, "its pods")
	}
	for _, it := range c.byKind[serviceKind] {
		c.repeated(it, it.spec, servicePorts, "it")
	}
}

func (c *checker) repeated(it *item, of map[string]any, k keyed, who string) {
	seen := map[string]bool{}
	for _, e := range list(of, k.path...) {
		key := ""
		for _, name := range k.keys {
			value := e[name]
			if value == nil && name == "protocol" {
				value = "TCP"
			}
			key += fmt.Sprintf("%v ", value)
		}
		key = key[:len(key)-1]
		if !seen[key] {
			seen[key] = true
			continue
		}
		f := finding{rule: "duplicate-list-key", subject: who + " " + k.path[0] + " " + key,
			message: fmt.Sprintf("%s of %s has %s twice in %s", who, it.id, key, k.path[0])}
		if !k.refused {
			f.severity = Warning
		}
		c.report(it, f)
	}
}

// selectors of workloads must select their own pods.
func (c *checker) selectors() {
	for _, w := range c.workloads {
		if w.id.Group != "apps" {
			continue
		}
		raw := mapping(w.spec, "selector")
		selector, ok := parseSelector(raw)
		if len(raw) == 0 || ok && !selector.Matches(labels.Set(w.podLabel)) {
			c.report(w.item, finding{rule: "selector-mismatch", message: fmt.Sprintf("the selector of %s does not select the labels of its own pod template", w.id)})
		}
	}
}

const (
	// etcdBytes is the largest request that etcd takes by default.
	etcdBytes = 1536 << 10
	// dataBytes is the most that a Secret or ConfigMap may hold.
	dataBytes = 1 << 20
	// annotationBytes is the most that all annotations of an object may hold, which
	// client-side apply fills with a copy of the object.
	annotationBytes = 256 << 10
)

// sizes of objects that no API server would store.
func (c *checker) sizes() {
	clientSide := len(c.byKind[applicationKind])+len(c.byKind[applicationSetKind]) > 0
	for _, it := range c.items {
		text, err := json.Marshal(it.raw)
		if err != nil {
			continue
		}
		switch {
		case len(text) > etcdBytes:
			c.tooLarge(it, len(text), etcdBytes)
		case (it.is(configMapKind) || it.is(secretKind)) && payload(it) > dataBytes:
			c.tooLarge(it, payload(it), dataBytes)
		case clientSide && len(text) > annotationBytes:
			c.report(it, finding{rule: "last-applied-too-large", message: fmt.Sprintf(
				"%s has %d KiB, more than the annotation holds in which client-side apply keeps a copy of it", it.id, len(text)>>10)})
		}
	}
}

func (c *checker) tooLarge(it *item, has, most int) {
	c.report(it, finding{rule: "object-too-large", message: fmt.Sprintf("%s has %d KiB, more than the %d KiB that an API server stores", it.id, has>>10, most>>10)})
}

// payload of a Secret or ConfigMap as the API server counts it.
func payload(it *item) int {
	n := 0
	for _, v := range stringMap(it.raw, "data") {
		if it.is(secretKind) {
			n += len(v) / 4 * 3
		} else {
			n += len(v)
		}
	}
	for _, v := range stringMap(it.raw, "stringData") {
		n += len(v)
	}
	for _, v := range stringMap(it.raw, "binaryData") {
		n += len(v) / 4 * 3
	}
	return n
}

// finalizers in Git are promises that somebody must keep before a deletion ends.
func (c *checker) finalizers() {
	for _, it := range c.items {
		if it.Origin.File == "" {
			continue
		}
		if names := it.GetFinalizers(); len(names) > 0 && !it.is(applicationKind) {
			c.report(it, finding{rule: "finalizer-in-git", subject: some(names),
				message: fmt.Sprintf("%s is written with the finalizer %s", it.id, some(names))})
		}
	}
}

// jobs that vanish when they are done cannot be compared with the repository.
func (c *checker) jobs() {
	for _, it := range c.byKind[jobKind] {
		if _, ok := it.annotations[hookAnnotation]; ok || it.Rules != nil && it.Rules.Hook != nil {
			continue
		}
		if field(it.spec, "ttlSecondsAfterFinished") != nil {
			c.report(it, finding{rule: "job-vanishes", message: fmt.Sprintf("%s is deleted %d seconds after it is done",
				it.id, number(it.spec, 0, "ttlSecondsAfterFinished"))})
		}
	}
}
