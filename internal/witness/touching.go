package witness

import (
	"strconv"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// touches are the writes to Clusters and into workload clusters.
func (h *history) touches() []Event {
	var out []Event
	for _, e := range h.Events {
		if e.Wrote() && (e.Server != Management || e.ObjectRef.Resource == "clusters") {
			out = append(out, e)
		}
	}
	return out
}

func oneRunPerCluster(h *history) []string {
	var out breaches
	for _, e := range h.touches() {
		holder := h.holderAt(h.lockOf(e), e.Received.Time)
		out.add(holder == h.RunUID, "%s: the lock was held by %q, not by run %s", e, holder, h.RunUID)
	}
	return out
}

func onlyThePlans(h *history) []string {
	var out breaches
	for _, e := range h.Events {
		if e.Server != Management || !e.Wrote() {
			continue
		}
		out.add(e.ObjectRef.Namespace == h.Namespace, "%s: outside of namespace %s", e, h.Namespace)
		if e.ObjectRef.Resource != "clusters" {
			continue
		}
		allowed := map[string]bool{}
		if h.Operation != v1alpha1.OperationDrill {
			allowed[h.Cluster] = true
		}
		if run := h.statusAt(e.Received.Time); run != nil && run.Status.Target != nil {
			allowed[run.Status.Target.Name] = true
		}
		if h.Operation == v1alpha1.OperationDrill {
			delete(allowed, h.Cluster)
			out.add(e.object().UID != h.LiveUID && (e.Verb != "delete" || h.doomed(e) != h.LiveUID), "%s: that is the live cluster", e)
		}
		out.add(allowed[e.name()], "%s: the run may write to %v", e, allowed)
	}
	return out
}

func liveLeftAlone(h *history) []string {
	var out breaches
	for _, e := range h.Events {
		out.add(e.Server != Live || !e.Wrote() || h.draining(e) || e.borrowed() && h.Operation != v1alpha1.OperationDrill, "%s", e)
	}
	return out
}

// draining tells whether the run had recorded, when a write came, that it gives back what
// that cluster holds outside of itself, and not yet that it is done.
func (h *history) draining(e Event) bool {
	run := h.statusAt(e.Received.Time)
	if run == nil {
		return false
	}
	inc := run.Status.Target
	if e.Server == Live {
		inc = run.Status.Previous
	}
	return inc != nil && inc.Drain != nil && inc.Drain.FinishedAt == nil && inc.DeleteRequestedAt == nil
}

func pinnedFirst(h *history) []string {
	var out breaches
	for _, e := range h.inside {
		run := h.statusAt(e.Received.Time)
		if run == nil || run.Status.Target == nil || run.Status.Target.KubeSystemUID == "" {
			out.add(false, "%s: no identity was pinned", e)
			continue
		}
		t := run.Status.Target
		out.add(h.Identity[t.UID] == t.KubeSystemUID, "%s: pinned was kube-system %s, that of the cluster is %s", e, t.KubeSystemUID, h.Identity[t.UID])
	}
	return out
}

func markedWhenCreated(h *history) []string {
	var out breaches
	for _, e := range h.Events {
		if e.Server != Management || !e.Wrote() || e.Verb != "create" || !byCAPI(e.ObjectRef.APIGroup) {
			continue
		}
		o := e.object()
		_, err := strconv.ParseInt(o.Annotations[capi.AnnotationEpoch], 10, 64)
		out.add(o.Annotations[capi.AnnotationRun] == string(h.RunUID) && err == nil && o.Labels[capi.LabelCluster] != "",
			"%s: run %q, epoch %q, cluster %q", e, o.Annotations[capi.AnnotationRun], o.Annotations[capi.AnnotationEpoch], o.Labels[capi.LabelCluster])
	}
	return out
}

func createdOnce(h *history) []string {
	var out breaches
	first := map[string]Event{}
	for _, e := range h.Events {
		if e.Server != Management || !e.Wrote() || e.Verb != "create" || e.ObjectRef.Subresource != "" {
			continue
		}
		if !byCAPI(e.ObjectRef.APIGroup) && e.ObjectRef.Resource != "leases" && e.ObjectRef.Resource != "configmaps" {
			continue
		}
		before, twice := first[e.Key()]
		// A request that was on its way when its process was deposed can come after what it
		// made was cleaned up. That is harmless but for a Cluster: see strays.
		_, inCharge := h.epochAt(e.Received.Time)
		late := e.ObjectRef.Resource != "clusters" && inCharge != "" && e.User.Username != inCharge
		out.add(!twice || late, "%s, after %s", e, before)
		first[e.Key()] = e
	}
	return append(out, h.strays()...)
}

// strays are objects that a process made after another one had the run: one of each
// process may have been on its way.
func (h *history) strays() []string {
	var out breaches
	made := map[string]Event{}
	for _, e := range h.Events {
		if e.Server != Management || !e.Wrote() || e.Verb != "create" || e.ObjectRef.Subresource != "" || e.ObjectRef.Resource == "events" {
			continue
		}
		if _, inCharge := h.epochAt(e.Received.Time); inCharge == "" || e.User.Username == inCharge {
			continue
		}
		before, more := made[e.User.Username]
		out.add(!more, "%s, although it was deposed, after %s", e, before)
		made[e.User.Username] = e
	}
	return out
}

// nothingAfterTheEnd begins with the write that recorded the result.
func nothingAfterTheEnd(h *history) []string {
	var out breaches
	for _, s := range h.statuses {
		if s.run.Status.FinishedAt == nil {
			continue
		}
		for _, e := range h.touches() {
			out.add(!s.before(e), "%s: the run had its result since %s", e, s.Received.Format("15:04:05.000000"))
		}
		return out
	}
	return out
}
