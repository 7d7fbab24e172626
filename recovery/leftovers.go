package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/recovery/drain"
)

// Left is what one incarnation of a plan's clusters may have left outside of itself.
type Left struct {
	// Run that deleted it, and when.
	Run string
	At  time.Time
	// Cluster is the name of the incarnation.
	Cluster   string
	Leftovers []v1alpha1.Leftover
}

// LeftSince lists what runs of the plan left behind, oldest first, of every cluster that was
// deleted after the plan's state was last verified: what was left before did not keep the
// state from what it asks for.
func LeftSince(run *v1alpha1.RecoveryRun, others []v1alpha1.RecoveryRun) []Left {
	var left []Left
	var verified time.Time
	for i := range others {
		other := &others[i]
		s := other.Status
		if other.UID == run.UID || s.Pinned == nil || s.Pinned.PlanUID != run.Status.Pinned.PlanUID {
			continue
		}
		if at := s.RecoveredAt; at != nil && at.After(verified) {
			verified = at.Time
		}
		doomed := []*v1alpha1.Incarnation{s.Previous}
		if other.Spec.Operation == v1alpha1.OperationDrill {
			doomed = []*v1alpha1.Incarnation{s.Target}
		}
		for _, inc := range doomed {
			if inc != nil && inc.DeleteRequestedAt != nil && inc.Drain != nil && len(inc.Drain.Left) > 0 {
				left = append(left, Left{Run: other.Name, At: inc.DeleteRequestedAt.Time, Cluster: inc.Name, Leftovers: inc.Drain.Left})
			}
		}
	}
	left = slices.DeleteFunc(left, func(l Left) bool { return l.At.Before(verified) })
	slices.SortFunc(left, func(a, b Left) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Run, b.Run)) })
	return left
}

// Collide finds what the state asks for by ID although an earlier cluster may still hold it,
// in sentences. What the plan says to be settled is not among them.
func Collide(left []Left, state []manifests.Object, settled []v1alpha1.SettledLeftover, now time.Time) []string {
	var asking []int
	wants := make([][]drain.Wanted, len(state))
	for i, o := range state {
		if wants[i] = drain.Wants(o.Unstructured); len(wants[i]) > 0 {
			asking = append(asking, i)
		}
	}
	var out []string
	for _, l := range left {
		for _, thing := range l.Leftovers {
			if !collides(thing) || isSettled(thing, settled, now) {
				continue
			}
			for _, i := range asking {
				if w := drain.Asks(wants[i], thing.Kind, thing.ID); w != nil {
					out = append(out, fmt.Sprintf("%s %s, which %s of Cluster %s held and run %s left behind at %s, is what %s (%s) asks for in %s",
						thing.Kind, thing.ID, thing.Object, l.Cluster, l.Run, l.At.UTC().Format(time.RFC3339), state[i].ID(), state[i].Origin, w.Field))
				}
			}
		}
	}
	return out
}

// collides tells whether a thing is in the way of who asks for it by ID. A volume that was
// kept on purpose is there to be used again; one that should have gone with its claim may
// still be attached, or be deleted while the new cluster uses it. A name is taken over.
func collides(l v1alpha1.Leftover) bool {
	switch l.Kind {
	case drain.LoadBalancer:
		return true
	case drain.Volume:
		return !l.Kept
	}
	return false
}

func isSettled(l v1alpha1.Leftover, settled []v1alpha1.SettledLeftover, now time.Time) bool {
	return slices.ContainsFunc(settled, func(s v1alpha1.SettledLeftover) bool {
		return drain.Same(l.Kind, s.ID, l.ID) && now.Before(s.Until.Time)
	})
}

// JudgeLeftovers refuses a run whose new cluster would ask for what may still be held; nil
// without collisions.
func JudgeLeftovers(run *v1alpha1.RecoveryRun, collisions []string) *Fault {
	if len(collisions) == 0 {
		return nil
	}
	return Faultf("LeftoverCollides", "%s; nothing was deleted: give it back by hand, then list its ID with a reason and an end in spec.teardown.drain.settled of plan %s",
		someOf(collisions, "; "), run.Spec.PlanRef.Name)
}
