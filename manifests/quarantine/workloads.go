package quarantine

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// workload is an object that makes pods.
type workload struct {
	at int
	id manifests.ID
	// labels of the object, and of its pods.
	labels, podLabels map[string]string
	annotations       map[string]string
	pod               map[string]any
	fate              fate
	product           *product
}

// podPaths say where each kind keeps its pod template; a Pod is its own.
var podPaths = map[schema.GroupKind][]string{
	{Kind: "Pod"}:                           {},
	{Kind: "ReplicationController"}:         {"spec", "template"},
	{Group: "apps", Kind: "Deployment"}:     {"spec", "template"},
	{Group: "apps", Kind: "ReplicaSet"}:     {"spec", "template"},
	{Group: "apps", Kind: "StatefulSet"}:    {"spec", "template"},
	{Group: "apps", Kind: "DaemonSet"}:      {"spec", "template"},
	{Group: "batch", Kind: "Job"}:           {"spec", "template"},
	{Group: "batch", Kind: "CronJob"}:       {"spec", "jobTemplate", "spec", "template"},
	{Group: "argoproj.io", Kind: "Rollout"}: {"spec", "template"},
}

// workloadOf an object; nil when it makes no pods. A custom kind with the template of a
// pod makes pods, too.
func workloadOf(o manifests.Object, at int) *workload {
	id := o.ID()
	where, known := podPaths[id.GroupKind()]
	if !known {
		where = []string{"spec", "template"}
	}
	template := mapping(o.Object, where...)
	if len(where) == 0 {
		template = o.Object
	}
	pod := mapping(template, "spec")
	if !known && len(list(pod, "containers")) == 0 {
		return nil
	}
	return &workload{
		at: at, id: id, labels: o.GetLabels(), podLabels: stringMap(template, "metadata", "labels"),
		annotations: stringMap(template, "metadata", "annotations"), pod: pod,
	}
}

func (w *workload) containers() []map[string]any {
	return append(list(w.pod, "initContainers"), list(w.pod, "containers")...)
}

// account that the pods run as.
func (w *workload) account() manifests.ID {
	name := cmp.Or(str(w.pod, "serviceAccountName"), str(w.pod, "serviceAccount"), "default")
	return manifests.ID{Kind: "ServiceAccount", Namespace: w.id.Namespace, Name: name}
}

// workloads decides what becomes of each workload.
func (q *quarantine) workloads() {
	for _, w := range q.pods {
		q.judge(w)
	}
}

func (q *quarantine) judge(w *workload) {
	w.product = productOf(w)
	if e := q.exception(w.id); e != nil {
		w.fate = allowed
		if w.product != nil && w.product.fate != runs || q.credentials(w) != "" {
			q.record(w.at, "Allowed", "runs as it is", "the plan allows it: "+e.Reason)
		}
		return
	}
	if c := q.class(w.id); c != nil {
		q.neutralise(w, c.How, byPlan, "the plan says so (spec.drill.neutralise)")
		return
	}
	switch p := w.product; {
	case w.id.Kind == "CronJob":
		w.fate = stopped
		q.suspend(w, "CronJob", "what it does on its timetable is not for a drill")
	case peers(w) != "" && (p == nil || p.fate != stopped):
		q.refusals = append(q.refusals, Refusal{Object: w.id, Origin: q.objects[w.at].Origin, Why: "would exchange routes with real routers (" + peers(w) + ")"})
	case p == nil:
		if why := q.credentials(w); why != "" {
			q.refusals = append(q.refusals, Refusal{Object: w.id, Origin: q.objects[w.at].Origin, Why: why})
		}
	case p.fate == stopped:
		q.neutralise(w, ScaleToZero, "KnownController", fmt.Sprintf("it is of %s: %s", p.name, p.why))
		q.still[p.name] = p
	case p.fate == disarmed:
		w.fate = disarmed
		q.record(w.at, "KnownController", "runs without cloud credentials", fmt.Sprintf("it is of %s: %s", p.name, p.why))
	default:
		w.fate = p.fate
		q.record(w.at, "KnownController", "runs as it is", fmt.Sprintf("%s: %s", p.name, p.why))
	}
}

// neutralise a workload in a way that its kind has.
func (q *quarantine) neutralise(w *workload, how How, rule, why string) {
	w.fate = stopped
	if w.product != nil && w.product.fate == stopped {
		q.still[w.product.name] = w.product
	}
	_, known := podPaths[w.id.GroupKind()]
	switch {
	case how == Omit:
		q.omit(w.at, rule, why)
	case w.id.Group == "batch" || how == Suspend && !known:
		q.suspend(w, rule, why)
	case how == Suspend:
		q.refuse(w.at, "cannot be suspended, as spec.drill.neutralise of the plan has it", "its kind has no spec.suspend; write how: ScaleToZero, or Omit")
	case known || mapping(q.objects[w.at].Object, "spec")["replicas"] != nil:
		q.scaleToZero(w, rule, why)
	case rule == byPlan:
		q.refuse(w.at, "cannot be scaled to zero, as spec.drill.neutralise of the plan has it", "it has no spec.replicas; write how: Omit, or Suspend if its kind has spec.suspend")
	default:
		q.omit(w.at, rule, why)
	}
}

// byPlan is the rule of what the plan neutralises.
const byPlan = "Neutralised"

func (q *quarantine) refuse(i int, why, instead string) {
	o := q.objects[i]
	q.refusals = append(q.refusals, Refusal{Object: o.ID(), Origin: o.Origin, Why: why, Instead: instead})
}

// scaleToZero stops a workload whose kind counts pods. A DaemonSet is sent to nodes that
// there are none of, and what runs once is left out: to wait for its end would be in vain.
func (q *quarantine) scaleToZero(w *workload, rule, why string) {
	switch w.id.Kind {
	case "Pod", "Job":
		q.omit(w.at, rule, why)
	case "DaemonSet":
		q.set(w.at, "nowhere", "spec", "template", "spec", "nodeSelector", Label)
		q.record(w.at, rule, "runs on no node", why)
	default:
		q.set(w.at, int64(0), "spec", "replicas")
		q.record(w.at, rule, "has 0 replicas", why)
		q.heldDown(w)
	}
}

// suspend sets spec.suspend, which CronJobs, Jobs and many custom kinds have. A Job of the
// state would hold the run up if it never ended.
func (q *quarantine) suspend(w *workload, rule, why string) {
	if w.id.Kind == "Job" && w.id.Group == "batch" {
		q.omit(w.at, rule, why)
		return
	}
	if q.set(w.at, true, "spec", "suspend") {
		q.record(w.at, rule, "is suspended", why)
	}
}

// heldDown leaves out what would give a stopped workload replicas again.
func (q *quarantine) heldDown(w *workload) {
	for _, i := range q.scalers {
		o := q.objects[i]
		if o.GetNamespace() != w.id.Namespace || str(o.Object, "spec", "scaleTargetRef", "name") != w.id.Name {
			continue
		}
		if kind := cmp.Or(str(o.Object, "spec", "scaleTargetRef", "kind"), "Deployment"); kind == w.id.Kind {
			q.omit(i, "KnownController", fmt.Sprintf("it would scale %s, which is stopped", w.id))
		}
	}
}
