package order

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// label is one key and value in a namespace; it narrows a selector's candidates.
type label struct{ namespace, key, value string }

// labelIndex finds workloads by the labels of their pods.
type labelIndex struct {
	set         *set
	workloads   []workload
	byLabel     map[label][]int // indexes into workloads
	byNamespace map[string][]int
}

func newLabelIndex(s *set, workloads []workload) *labelIndex {
	x := &labelIndex{set: s, workloads: workloads, byLabel: map[label][]int{}, byNamespace: map[string][]int{}}
	for n, w := range workloads {
		namespace := s.items[w.index].id.Namespace
		x.byNamespace[namespace] = append(x.byNamespace[namespace], n)
		for k, v := range w.labels {
			l := label{namespace: namespace, key: k, value: v}
			x.byLabel[l] = append(x.byLabel[l], n)
		}
	}
	return x
}

// matching lists the items in a namespace whose pods match. The labels that every
// match has narrow the search; without any, the whole namespace is searched.
func (x *labelIndex) matching(namespace string, selector labels.Selector, required map[string]string) []int {
	candidates := x.byNamespace[namespace]
	for k, v := range required {
		if with := x.byLabel[label{namespace: namespace, key: k, value: v}]; len(with) < len(candidates) {
			candidates = with
		}
	}
	var out []int
	for _, n := range candidates {
		if w := x.workloads[n]; selector.Matches(labels.Set(w.labels)) {
			out = append(out, w.index)
		}
	}
	return out
}

// behind lists the workloads behind a Service of the set. A Job ends and a CronJob
// comes and goes: neither is what keeps a Service answering.
func (x *labelIndex) behind(service int) []int {
	it := x.set.items[service]
	raw, _ := field(it.Unstructured.Object, "spec", "selector").(map[string]any)
	required := labels.Set{}
	for k, v := range raw {
		text, _ := v.(string)
		required[k] = text
	}
	if len(required) == 0 {
		return nil
	}
	var out []int
	for _, i := range x.matching(it.id.Namespace, required.AsSelectorPreValidated(), required) {
		if x.set.items[i].id.Group != "batch" {
			out = append(out, i)
		}
	}
	return out
}

// parseSelector reads a LabelSelector. It also returns the labels that every match
// must have.
func parseSelector(raw map[string]any) (labels.Selector, map[string]string, bool) {
	var ls metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &ls); err != nil {
		return nil, nil, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&ls)
	return selector, ls.MatchLabels, err == nil
}
