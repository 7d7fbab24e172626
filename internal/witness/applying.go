package witness

import (
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// gatesFirst wants the answer to the write of the first object before the second arrives.
func gatesFirst(h *history) []string {
	var out breaches
	for _, pair := range h.Before {
		done := h.firstWrite(pair[0])
		for _, e := range h.inside {
			if e.Key() == pair[1] {
				out.add(done != nil && !e.Received.Before(&done.Completed), "%s: %s was not there", e, pair[0])
			}
		}
	}
	return out
}

func (h *history) firstWrite(key string) *Event {
	for i, e := range h.inside {
		if e.Key() == key && e.ObjectRef.Subresource == "" {
			return &h.inside[i]
		}
	}
	return nil
}

// appliedOnce counts the versions that writes left behind: a repetition that changes
// nothing leaves the same. Where the server counts generations, those are meant: others
// write the status meanwhile.
func appliedOnce(h *history) []string {
	var out breaches
	versions := map[string]map[string]bool{}
	for _, e := range h.inside {
		o := e.object()
		if e.ObjectRef.Subresource != "" || o.ResourceVersion == "" {
			continue
		}
		if versions[e.Key()] == nil {
			versions[e.Key()] = map[string]bool{}
		}
		version := o.ResourceVersion
		if o.Generation > 0 {
			version = fmt.Sprintf("generation %d", o.Generation)
		}
		versions[e.Key()][version] = true
		out.add(len(versions[e.Key()]) == 1, "%s changed it again", e)
	}
	return out
}

// recovered is when the run recorded a complete match; zero when it never did.
func (h *history) recovered() time.Time {
	for _, s := range h.statuses {
		if s.run.Status.RecoveredAt != nil {
			return s.Received.Time
		}
	}
	return time.Time{}
}

// verifiedByReads looks for reads of each kind of the state between the last change and
// the verdict, and for changes after it.
func verifiedByReads(h *history) []string {
	var out breaches
	verdict := h.recovered()
	if verdict.IsZero() {
		return nil
	}
	var last time.Time
	for _, e := range h.inside {
		if e.after(verdict) {
			out.add(h.draining(e) || e.borrowed(), "%s: the cluster had been verified", e)
			continue
		}
		last = e.Received.Time
	}
	read := map[string]bool{}
	for _, e := range h.Events {
		if e.Server == Workload && (e.Verb == "get" || e.Verb == "list") && e.succeeded() && e.after(last) && !e.after(verdict) {
			read[e.ObjectRef.Resource] = true
		}
	}
	for _, key := range h.State {
		resource := resourceOf(key)
		if !read[resource] {
			out.add(false, "no %s were read between the last write and the verdict", resource)
			read[resource] = true
		}
	}
	return out
}

func resourceOf(key string) string {
	for i := range key {
		if key[i] == '/' {
			return key[:i]
		}
	}
	return key
}

func successIsVerified(h *history) []string {
	var out breaches
	for _, s := range h.statuses {
		if s.run.Status.FinishedAt == nil || s.run.Status.Failure != nil {
			continue
		}
		if h.Operation == v1alpha1.OperationTeardown {
			out.add(len(h.deletes) > 0 && h.deletes[0].before(s.Event), "%s: the Cluster had not been deleted", s.Event)
			continue
		}
		v, p := s.run.Status.Verification, s.run.Status.Pinned
		complete := v != nil && p != nil && v.Rendered > 0 && v.Rendered == p.Objects && v.Matched+v.Skipped == v.Rendered && v.Missing == 0 && v.Changed == 0
		out.add(s.run.Status.RecoveredAt != nil && complete, "%s: recovered at %v, verification %+v, pinned %+v", s.Event, s.run.Status.RecoveredAt, v, p)
	}
	return out
}
