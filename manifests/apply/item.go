package apply

import (
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

func random() float64 { return rand.Float64() }

// phase of an object on its way.
type phase int

const (
	waiting  phase = iota // for gates, or in the queue
	inFlight              // a write was sent
	delayed               // until the next attempt
	applied               // accepted by the API server
	ended                 // refused, or failed, or late
)

// item is all that is kept of an object while the run goes on. The object itself
// stays with the caller; its encoded form lives only as long as its request.
type item struct {
	phase    phase
	resource cluster.Resource
	mapped   bool
	// watched objects are assessed from a watch; the others are healthy as soon as
	// they are accepted.
	watched bool
	adopted bool
	// doomed objects were being deleted when they were applied; they are applied again
	// once they are gone.
	doomed bool
	// create is set when server-side apply refused the object; refusal says why.
	create  bool
	refusal string

	attempts                                  int
	releasedAt, startedAt, appliedAt, readyAt time.Time
	// due is when a delayed object is sent again, deadline when it is late.
	// suspectAt is when the pods of a workload that is not ready are looked at.
	due, deadline, suspectAt time.Time

	seen observation
	// served is true for a CustomResourceDefinition whose versions answer; probing
	// while that is being found out.
	served, probing bool
	// failed objects end the run, unless they are given up: those are optional.
	failed, given bool
	// explaining while the object's pods are asked; doom is the verdict that came up
	// meanwhile.
	explaining bool
	doom       string
	// recorded is true when an earlier process saw the object's work done, retired when
	// this one has taken care of what follows from that.
	recorded, retired bool
	// note adds to what is said of an object that is healthy.
	note string
	// lastError of a write, without secret values.
	lastError string
}

// observation is the newest known health of an object.
type observation struct {
	version string
	uid     types.UID
	health.Assessment
}

// newer tells whether b was seen later than a. Versions that cannot be compared are
// taken in the sequence in which they arrive.
func newer(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || c <= 0
}

// done tells whether an object needs nothing more for now.
func (it *item) done() bool {
	return it.given || it.phase == applied && (it.seen.Status == health.Healthy || it.seen.Status == health.NotProvable)
}

// settled takes what an observation becomes by itself, once it is time: nothing happens
// to the object then that a watch could show.
func (it *item) settled(now time.Time) bool {
	s := it.seen.Settles
	if s == nil || s.At.After(now) {
		return false
	}
	it.seen.Assessment = health.Assessment{Status: s.Status, Message: s.Message}
	return true
}
