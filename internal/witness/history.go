package witness

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Case is one run and all that is known about it from outside.
type Case struct {
	Namespace, Run string
	RunUID         types.UID
	Operation      v1alpha1.Operation
	// Cluster is the name in the plan, Lease that of its lock.
	Cluster, Lease string
	// LiveUID is the UID of the Cluster that was there before.
	LiveUID types.UID
	// Identity of each workload cluster from inside, by the UID of its Cluster.
	Identity map[types.UID]types.UID
	// Before lists pairs of keys of the workload cluster: the first must be complete
	// before the second is sent.
	Before [][2]string
	// State are the keys of what the repository holds.
	State []string
	// Canaries appear in Secrets and must appear nowhere else. Told is what else the
	// program said: logs, reports.
	Canaries []string
	Told     map[string]string
	// Takeover is nil but for failovers and failbacks.
	Takeover *Takeover
	// Events of Refloat on all servers.
	Events []Event
}

// history is a case with what rules ask for often.
type history struct {
	Case
	statuses []status
	stamps   []stamp
	deletes  []Event // of Clusters, that took effect
	inside   []Event // writes to the workload cluster that took effect
}

// status is the run as one write left it.
type status struct {
	Event
	run v1alpha1.RecoveryRun
}

// stamp is a run's mark on a Cluster.
type stamp struct {
	Event
	uid   types.UID
	run   types.UID
	epoch int64
}

func newHistory(c Case) *history {
	h := &history{Case: c}
	for _, e := range c.Events {
		if !e.Wrote() {
			continue
		}
		switch {
		case e.Server == Workload:
			h.inside = append(h.inside, e)
		case e.is("recoveryruns/status") && e.ObjectRef.Name == c.Run:
			s := status{Event: e}
			if json.Unmarshal(e.ResponseObject, &s.run) == nil && s.run.UID == c.RunUID {
				h.statuses = append(h.statuses, s)
			}
		case e.is("clusters") && e.Verb == "delete":
			h.deletes = append(h.deletes, e)
		case e.is("clusters"):
			o := e.object()
			epoch, _ := strconv.ParseInt(o.Annotations[capi.AnnotationEpoch], 10, 64)
			h.stamps = append(h.stamps, stamp{e, o.UID, types.UID(o.Annotations[capi.AnnotationRun]), epoch})
		}
	}
	return h
}

// statusAt is the last status that the server had received before t; nil before the first.
func (h *history) statusAt(t time.Time) *v1alpha1.RecoveryRun {
	var last *v1alpha1.RecoveryRun
	for i := range h.statuses {
		if !h.statuses[i].Received.Time.Before(t) {
			break
		}
		last = &h.statuses[i].run
	}
	return last
}

// epochAt is the highest epoch so far, and who raised it.
func (h *history) epochAt(t time.Time) (epoch int64, user string) {
	for _, s := range h.statuses {
		if s.Received.Time.Before(t) && s.run.Status.Epoch > epoch {
			epoch, user = s.run.Status.Epoch, s.User.Username
		}
	}
	return epoch, user
}

// stampAt is the last mark on a Cluster before t.
func (h *history) stampAt(uid types.UID, t time.Time) *stamp {
	var last *stamp
	for i := range h.stamps {
		if s := &h.stamps[i]; s.uid == uid && s.Received.Time.Before(t) {
			last = s
		}
	}
	return last
}

// lockOf is the lock of the cluster that a request touches.
func (h *history) lockOf(e Event) string {
	if h.Takeover != nil && (e.Server == Workload || e.Server == Management && e.name() == h.Takeover.To) {
		return h.Takeover.Lease
	}
	return h.Lease
}

// locks that the run takes.
func (h *history) locks() []string {
	if h.Takeover != nil {
		return []string{h.Lease, h.Takeover.Lease}
	}
	return []string{h.Lease}
}

// holderAt is who has a lock at t; empty for nobody.
func (h *history) holderAt(lock string, t time.Time) types.UID {
	var holder types.UID
	for _, e := range h.Events {
		if e.Server != Management || !e.Wrote() || !e.is("leases") || e.name() != lock || !e.Received.Time.Before(t) {
			continue
		}
		holder = ""
		var lease coordinationv1.Lease
		if e.Verb != "delete" && json.Unmarshal(e.ResponseObject, &lease) == nil && lease.Spec.HolderIdentity != nil {
			holder = types.UID(*lease.Spec.HolderIdentity)
		}
	}
	return holder
}

// doomed is the UID of the Cluster that a deletion took: the one that carried the name
// then, as its last mark says, or what the deletion itself named.
func (h *history) doomed(e Event) types.UID {
	if p := preconditionsOf(e); p != nil && p.UID != nil {
		return *p.UID
	}
	var last types.UID
	for _, s := range h.stamps {
		if s.name() == e.name() && s.before(e) {
			last = s.uid
		}
	}
	return last
}

// pinned finds the incarnation of a UID in a status.
func pinned(run *v1alpha1.RecoveryRun, uid types.UID) *v1alpha1.Incarnation {
	if run == nil {
		return nil
	}
	for _, inc := range []*v1alpha1.Incarnation{run.Status.Previous, run.Status.Target} {
		if inc != nil && inc.UID == uid && uid != "" {
			return inc
		}
	}
	return nil
}

func phase(run *v1alpha1.RecoveryRun, name v1alpha1.Phase) *v1alpha1.PhaseRecord {
	i := slices.IndexFunc(run.Status.Phases, func(p v1alpha1.PhaseRecord) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &run.Status.Phases[i]
}

// byCAPI tells whether the group is Cluster API's or a provider's.
func byCAPI(group string) bool {
	return group == "cluster.x-k8s.io" || strings.HasSuffix(group, ".cluster.x-k8s.io")
}
