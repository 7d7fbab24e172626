package recovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// takeDown deletes one incarnation and waits until nothing of it is left.
func takeDown(o Observation, inc *v1alpha1.Incarnation) Decision {
	if inc == nil {
		return Decision{Action: Advance, Message: "there was nothing to delete"}
	}
	cluster := o.Cluster
	if !cluster.Exists {
		return leftovers(o)
	}
	switch {
	case inc.UID == "" && cluster.Stamp.Run == o.Run.UID:
		return Decision{Action: PinTarget}
	case cluster.UID != inc.UID:
		return failed(o, identityChanged(o, inc))
	}
	if d := drainFirst(o, inc); d != nil {
		return *d
	}
	switch {
	case inc.DeleteRequestedAt == nil:
		return provenFirst(o, Decision{Action: RecordDelete})
	case cluster.DeletingSince.IsZero():
		return provenFirst(o, Decision{Action: Delete})
	}
	waiting := fmt.Sprintf("Cluster API to delete Cluster %s", inc.Name)
	if cluster.Paused {
		waiting = fmt.Sprintf("Cluster %s to be unpaused: it is paused, so its deletion does not go on", inc.Name)
	} else if cluster.Blocker != "" {
		waiting += "; held by " + cluster.Blocker
	}
	return Decision{Action: Wait, Waiting: waiting, Again: 5 * lookAgain}
}

// provenFirst lets a Teardown destroy only with the frozen render in memory: a process
// that took the run over makes it again, and so proves that what goes can be rebuilt.
// What a drill made needs no proof.
func provenFirst(o Observation, destroy Decision) Decision {
	if cleaning(o.Run) {
		return destroy
	}
	if p := o.Run.Status.Previous; p == nil || p.DeleteRequestedAt == nil {
		if d := heldBack(o); d != nil {
			return *d
		}
	}
	return withMaterials(o, func() Decision {
		for _, first := range []func(Observation) *Decision{withSlots, lookAgainFirst, keepFirst} {
			if d := first(o); d != nil {
				return *d
			}
		}
		return destroy
	})
}

// leftovers decides about what is left when the Cluster is gone.
func leftovers(o Observation) Decision {
	var going, staying []string
	discard := false
	for _, item := range o.Cluster.Leftovers {
		switch {
		case item.Goes():
			going = append(going, item.String())
		case item.Abandoned():
			discard = true
		default:
			staying = append(staying, item.Kind+" "+item.Name)
		}
	}
	slices.Sort(going)
	outside := drainMessage(Doomed(o.Run))
	switch {
	case discard && o.Run.Status.Previous != nil && o.Run.Status.Previous.DeleteRequestedAt == nil:
		return provenFirst(o, Decision{Action: Discard})
	case discard:
		return Decision{Action: Discard}
	case len(going) > 0:
		return Decision{Action: Wait, Waiting: "leftovers to go: " + some(going), Again: lookAgain}
	case len(staying) > 0:
		// Nobody will ever delete these: nothing that goes owns them and Refloat did not make
		// them. To wait would be in vain, to delete would be theft.
		return Decision{Action: Advance, Message: "deleted; left, as they do not go with the Cluster and Refloat did not make them: " + some(staying) + outside}
	}
	return Decision{Action: Advance, Message: "deleted, nothing is left" + outside}
}

// some names the first few.
func some(names []string) string { return someOf(names, ", ") }

func someOf(names []string, between string) string {
	const limit = 5
	if len(names) <= limit {
		return strings.Join(names, between)
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], between), len(names)-limit)
}
