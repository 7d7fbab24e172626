package quarantine

import (
	"fmt"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// Label marks the objects that a drill has besides the state.
const Label = "refloat.dev/drill"

// Version of the rules. It is part of what a drill's render is recognised by: another
// version may make something else of the same commit.
const Version = 2

// How a controller is neutralised.
type How string

// The ways to neutralise what a plan names.
const (
	// ScaleToZero lets the object exist without any pod.
	ScaleToZero How = "ScaleToZero"
	// Suspend sets spec.suspend.
	Suspend How = "Suspend"
	// Omit leaves the object out of the drill.
	Omit How = "Omit"
)

// Exception leaves objects as the repository has them.
type Exception struct {
	manifests.Pattern
	// Reason is recorded.
	Reason string
}

// Class says how objects that the rules do not know are neutralised.
type Class struct {
	manifests.Pattern
	How How
}

// Destination outside that a drill may connect to.
type Destination struct {
	CIDR string
	// Ports of TCP; none means every port and protocol.
	Ports []int32
}

// Options are what the plan says, and what is known about the cluster.
type Options struct {
	Allow      []Exception
	Neutralise []Class
	// OpenEgress makes no policies about outgoing connections.
	OpenEgress bool
	// Destinations that may be connected to all the same.
	Destinations []Destination
	// Networks of the cluster's pods and Services, as CIDRs, as far as they are known.
	Networks []string
	// OlderThan130 clusters cannot refuse load balancers by a policy.
	OlderThan130 bool
	// APIPorts of the cluster's API server; none means 6443.
	APIPorts []int32
	// Seeds are the keys of Secrets that the state does not hold.
	Seeds map[manifests.ID][]string
}

// Change is one thing that is different in the drill.
type Change struct {
	Object manifests.ID `json:"object"`
	// Origin is where the repository has the object; empty for what a drill adds.
	Origin string `json:"origin,omitempty"`
	// Rule is its name, one word for programs.
	Rule string `json:"rule"`
	// Change in words that follow the object, and why.
	Change string `json:"change"`
	Why    string `json:"why,omitempty"`
}

// String is the change for people.
func (c Change) String() string {
	s := fmt.Sprintf("%s %s (%s)", c.Object, c.Change, c.Rule)
	if c.Why != "" {
		s += ": " + c.Why
	}
	return s
}

// Result is the state for a drill.
type Result struct {
	Objects []manifests.Object
	Units   []manifests.Unit
	// Changes in the order of the objects.
	Changes []Change
	// Warnings about what the rules cannot judge.
	Warnings []string
}

// Refusal is an object with which no drill is made.
type Refusal struct {
	Object manifests.ID
	Origin manifests.Origin
	// Why it is dangerous.
	Why string
	// Instead of what to write into the plan, what is wrong with what it says.
	Instead string
}

func (r Refusal) String() string {
	at := r.Origin.String()
	if at != "" {
		at += ": "
	}
	if r.Instead != "" {
		return fmt.Sprintf("%s%s %s: %s", at, r.Object, r.Why, r.Instead)
	}
	return fmt.Sprintf("%s%s %s, and no rule of the drill profile knows it; say in the plan what becomes of it in a drill: "+
		"spec.drill.neutralise with {kind: %s, namespace: %s, name: %s, how: ScaleToZero}, or spec.drill.allow with a reason",
		at, r.Object, r.Why, r.Object.Kind, quoted(r.Object.Namespace), r.Object.Name)
}

func quoted(namespace string) string {
	if namespace == "" {
		return `""`
	}
	return namespace
}

// RefusedError names what stands against a drill.
type RefusedError struct{ Refusals []Refusal }

func (e *RefusedError) Error() string {
	const most = 5
	var parts []string
	for _, r := range e.Refusals[:min(len(e.Refusals), most)] {
		parts = append(parts, r.String())
	}
	if more := len(e.Refusals) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}
