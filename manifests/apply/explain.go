package apply

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// A workload says how many of its pods are ready; why they are not, only the pods and
// the events about them say. They are asked when a workload is late or failed, and now
// and then while it is not ready, because some reasons end by no waiting.

const (
	// suspicion is how long a workload may be not ready before its pods are looked at,
	// and between two looks.
	suspicion = 30 * time.Second
	// explainTimeout bounds one look.
	explainTimeout = 10 * time.Second
	maxPods        = 50
	maxEvents      = 20
)

var (
	podResource = cluster.Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "pods"},
		Kind: "Pod", Namespaced: true, Listable: true}
	eventResource = cluster.Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "events"},
		Kind: "Event", Namespaced: true, Listable: true}
)

// explained is what the pods of a workload say.
type explained struct {
	item int
	// verdict is set when the object is to fail whatever the pods say.
	verdict string
	pods    string
	// terminal is true for a reason that waiting does not end.
	terminal bool
}

// podsOf selects the pods of a workload; nil for objects that have none.
func podsOf(object manifests.Object) labels.Selector {
	switch object.ID().GroupKind() {
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		return labels.SelectorFromSet(labels.Set{"batch.kubernetes.io/job-name": object.GetName()})
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Group: "apps", Kind: "DaemonSet"}, schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}:
	default:
		return nil
	}
	raw, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "selector")
	fields, _ := raw.(map[string]any)
	var ls metav1.LabelSelector
	if len(fields) == 0 || runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &ls) != nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&ls)
	if err != nil || selector.Empty() {
		return nil
	}
	return selector
}

// explain fails an object, after its pods were asked if it has any.
func (e *engine) explain(i int, verdict string) {
	it := &e.items[i]
	selector := podsOf(e.graph.Nodes[i].Object)
	if selector == nil || it.phase != applied {
		e.fail(i, verdict)
		return
	}
	e.look(i, verdict, selector)
}

// suspect looks at the pods of a workload that is not ready for long.
func (e *engine) suspect(i int) {
	if selector := podsOf(e.graph.Nodes[i].Object); selector != nil {
		e.look(i, "", selector)
	}
}

// look queues a look at pods, one at a time for each workload.
func (e *engine) look(i int, verdict string, selector labels.Selector) {
	it := &e.items[i]
	if it.explaining {
		if verdict != "" {
			it.doom = verdict
		}
		return
	}
	it.explaining = true
	namespace := e.graph.Nodes[i].Object.GetNamespace()
	e.queued = append(e.queued, task{item: i, do: func(ctx context.Context) event {
		x := &explained{item: i, verdict: verdict}
		x.pods, x.terminal = e.askPods(ctx, namespace, selector)
		return event{explained: x}
	}})
}

// explainedNow draws the conclusion, unless the object became ready meanwhile.
func (e *engine) explainedNow(x *explained) {
	it := &e.items[x.item]
	it.explaining = false
	if x.verdict == "" {
		x.verdict = it.doom
	}
	it.doom = ""
	switch {
	case it.phase != applied || it.done():
	case x.verdict != "" && x.pods != "":
		e.fail(x.item, x.verdict+"; "+x.pods)
	case x.verdict != "":
		e.fail(x.item, x.verdict)
	case x.terminal:
		e.fail(x.item, "it will not become healthy by waiting: "+x.pods)
	}
}

// askPods describes the worst of the pods, with the last event about it when the pod
// itself does not say why.
func (e *engine) askPods(ctx context.Context, namespace string, selector labels.Selector) (string, bool) {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	pods, err := e.client.ListSome(ctx, podResource, namespace, metav1.ListOptions{LabelSelector: selector.String(), Limit: maxPods})
	if err != nil {
		e.Log.V(1).Info("cannot ask the pods why they are not ready", "namespace", namespace, "error", err.Error())
		return "", false
	}
	var worst *podTrouble
	notReady := 0
	for n := range pods {
		p := troubleOf(&pods[n])
		if p == nil {
			continue
		}
		notReady++
		if worst == nil || p.weight() > worst.weight() {
			worst = p
		}
	}
	if worst == nil {
		return "", false
	}
	if worst.why == "" {
		worst.why = e.lastEvent(ctx, namespace, worst.uid)
	}
	if worst.why == "" {
		worst.why = "it does not say why"
	}
	others := ""
	if notReady > 1 {
		others = fmt.Sprintf(" (and %d more pods are not ready)", notReady-1)
	}
	return fmt.Sprintf("pod %s: %s%s", worst.name, worst.why, others), worst.terminal
}

// lastEvent about a pod, in the words of who reported it.
func (e *engine) lastEvent(ctx context.Context, namespace, uid string) string {
	events, err := e.client.ListSome(ctx, eventResource, namespace,
		metav1.ListOptions{FieldSelector: "involvedObject.uid=" + uid, Limit: maxEvents})
	if err != nil {
		return ""
	}
	var best, when string
	for n := range events {
		event := events[n].Object
		kind, _, _ := unstructured.NestedString(event, "type")
		at, _, _ := unstructured.NestedString(event, "lastTimestamp")
		if at == "" {
			at, _, _ = unstructured.NestedString(event, "eventTime")
		}
		if kind != "Warning" || at < when {
			continue
		}
		reason, _, _ := unstructured.NestedString(event, "reason")
		message, _, _ := unstructured.NestedString(event, "message")
		best, when = reason+": "+message, at
	}
	return short(best)
}

// podTrouble is why one pod is not ready.
type podTrouble struct {
	name, uid, why string
	terminal       bool
}

// weight of what a pod says: a reason beats silence, the end of hope beats a reason.
func (p *podTrouble) weight() int {
	switch {
	case p.terminal:
		return 2
	case p.why != "":
		return 1
	}
	return 0
}

// troubleOf a pod; nil for one that is ready, or done. What a container itself wrote
// when it ended is left out: it may be anything.
func troubleOf(pod *unstructured.Unstructured) *podTrouble {
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	if phase == "Succeeded" || conditionIs(pod, "Ready", "True") {
		return nil
	}
	p := &podTrouble{name: pod.GetName(), uid: string(pod.GetUID())}
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		raw, _, _ := unstructured.NestedFieldNoCopy(pod.Object, "status", field)
		list, _ := raw.([]any)
		for _, c := range list {
			status, _ := c.(map[string]any)
			if reason, why := waitsFor(status); why != "" {
				p.why = short(why)
				p.terminal = hopeless(reason)
				return p
			}
		}
	}
	if conditionIs(pod, "PodScheduled", "False") {
		p.why = short(conditionMessage(pod, "PodScheduled"))
	}
	return p
}

// waitsFor is why a container does not run; "" if it does, or is about to.
func waitsFor(status map[string]any) (reason, why string) {
	name, _, _ := unstructured.NestedString(status, "name")
	reason, _, _ = unstructured.NestedString(status, "state", "waiting", "reason")
	message, _, _ := unstructured.NestedString(status, "state", "waiting", "message")
	ended := "state"
	switch reason {
	case "ContainerCreating", "PodInitializing":
		return reason, ""
	case "":
	default:
		why = fmt.Sprintf("container %s waits: %s", name, reason)
		if message != "" {
			why += ": " + message
		}
		ended = "lastState"
	}
	code, ok, _ := unstructured.NestedFieldNoCopy(status, ended, "terminated", "exitCode")
	switch text := fmt.Sprint(code); {
	case !ok || reason == "" && text == "0":
	case why == "":
		why = fmt.Sprintf("container %s ended with exit code %s", name, text)
	default:
		why += ", last exit code " + text
	}
	return reason, why
}

// hopeless reasons do not end by waiting. An image that cannot be pulled may be pushed a
// moment later, a container that crashes often waits for another one, and the Secret that
// one lacks comes from an operator that still starts.
func hopeless(reason string) bool {
	return reason == "InvalidImageName" || reason == "ErrImageNeverPull"
}

func condition(pod *unstructured.Unstructured, kind string) map[string]any {
	raw, _, _ := unstructured.NestedFieldNoCopy(pod.Object, "status", "conditions")
	list, _ := raw.([]any)
	at := slices.IndexFunc(list, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == kind
	})
	if at < 0 {
		return nil
	}
	return list[at].(map[string]any)
}

func conditionIs(pod *unstructured.Unstructured, kind, status string) bool {
	return condition(pod, kind)["status"] == status
}

func conditionMessage(pod *unstructured.Unstructured, kind string) string {
	message, _ := condition(pod, kind)["message"].(string)
	return message
}

// maxWhy bounds what one pod or event says.
const maxWhy = 500

func short(s string) string {
	if len(s) > maxWhy {
		return strings.ToValidUTF8(s[:maxWhy], "") + "…"
	}
	return s
}
