package failover

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// The defaults of a policy, for objects made without the API server's defaulting.
const (
	DefaultFor              = 12 * time.Second
	DefaultRecoverFor       = 30 * time.Second
	DefaultCooldown         = time.Hour
	DefaultMaxAttempts      = 2
	DefaultInterval         = 2 * time.Second
	DefaultHTTPInterval     = 5 * time.Second
	DefaultUnreachableAfter = 45 * time.Second
	DefaultStaleAfter       = 2 * time.Minute
	DefaultValidFor         = 10 * time.Minute
	// DefaultSignal is the name of the signal of a policy that has none.
	DefaultSignal = "api-server"
)

// Observation is all that Decide looks at.
type Observation struct {
	Now    time.Time
	Policy *v1alpha1.FailoverPolicy
	// Problem of the policy: nothing can be watched. Reason is one word.
	Problem, ProblemReason string
	// Cluster that is watched now; its UID is empty when there is none.
	Cluster types.UID
	// Barrier is why an outage now would be nobody's fault or somebody else's business:
	// provisioning, a rollout, a hold, another run. Empty when there is none.
	Barrier Barrier
	// From is when the last barrier went away: what failed before counts from then.
	From    time.Time
	Samples []Sample
	// Sightings of observers.
	Sightings []Sighting
	Breaker   Breaker
	// Run that the outage caused last.
	Run *Run
}

// Barrier stands between an outage and a run.
type Barrier struct {
	Reason, Message string
	// Until it goes away by itself; zero when it does not.
	Until time.Time
}

// Sighting of an observer.
type Sighting struct {
	Observer string
	// State is Unknown when the observer has said nothing for long.
	State   v1alpha1.SignalState
	Since   time.Time
	Message string
}

// Run that a policy ordered.
type Run struct {
	Name string
	// Finished runs do nothing any more; Succeeded ones did what was asked.
	Finished, Succeeded bool
	// Untouched runs did nothing to the cluster yet.
	Untouched, Cancelled bool
	// Gone runs were deleted by somebody.
	Gone bool
}

// Action is the next thing to do.
type Action string

// The actions of a policy.
const (
	// Rest until Again.
	Rest Action = "Rest"
	// Confirm records an outage.
	Confirm Action = "Confirm"
	// Order creates the run.
	Order Action = "Order"
	// Withdraw cancels the run, because the cluster lives.
	Withdraw Action = "Withdraw"
	// End records that the outage is over.
	End Action = "End"
)

// Decision is one action and what goes with it.
type Decision struct {
	Action  Action
	Message string
	// Healthy and Armed are the conditions as they should be.
	Healthy, Armed metav1.Condition
	// Since when enough signals failed, with Confirm.
	Since time.Time
	// Again is when to decide again although nothing changes; zero for never.
	Again time.Time
}

// Decide what to do next. It is pure.
func Decide(o Observation) Decision {
	verdict := Judge(o.Samples, int(o.Policy.Spec.Unhealthy.Quorum))
	d := Decision{Action: Rest, Healthy: healthy(o, verdict)}
	for _, s := range o.Samples {
		d.Again = sooner(d.Again, s.Changes)
	}
	d.Again = sooner(d.Again, o.Breaker.Again(o.Now))
	d.Again = sooner(d.Again, o.Barrier.Until)
	if at := cooledDown(o); o.Now.Before(at) {
		d.Again = sooner(d.Again, at)
	}
	if outage := Current(o.Policy); outage != nil {
		return during(o, outage, verdict, d)
	}
	return watching(o, verdict, d)
}

// Current outage of a policy, nil when there is none.
func Current(policy *v1alpha1.FailoverPolicy) *v1alpha1.Outage {
	if outage := policy.Status.Outage; outage != nil && outage.OverAt == nil {
		return outage
	}
	return nil
}

// watching for an outage.
func watching(o Observation, v Verdict, d Decision) Decision {
	d.Armed = armed(o, nil, v.Dead)
	if d.Armed.Reason == ReasonSeenAlive {
		d.Again = sooner(d.Again, o.Now.Add(SightingLook))
		return d
	}
	if !v.Dead || o.Problem != "" || o.Policy.Spec.Suspend || o.Cluster == "" || o.Barrier.Reason != "" || o.Breaker.Open() {
		return d
	}
	if due := confirmable(o, v); o.Now.Before(due) {
		d.Again = sooner(d.Again, due)
		return d
	}
	d.Action, d.Since = Confirm, v.Since
	d.Message = fmt.Sprintf("the cluster counts as dead: %s", Told(o.Samples))
	return d
}

// confirmable is when a cluster has been dead for long enough, counted from when nothing
// stood in the way any more.
func confirmable(o Observation, v Verdict) time.Time {
	since := later(v.Since, later(o.From, o.Breaker.Thawed))
	return since.Add(orDefault(o.Policy.Spec.Unhealthy.For, DefaultFor))
}

// during an outage.
func during(o Observation, outage *v1alpha1.Outage, v Verdict, d Decision) Decision {
	if over := isOver(o, outage, v, &d); over != "" {
		if o.Run != nil && !o.Run.Finished && o.Run.Untouched && !o.Run.Cancelled {
			d.Action, d.Message = Withdraw, over
			return d
		}
		d.Action, d.Message = End, over
		return d
	}
	d.Armed = armed(o, outage, true)
	if r := d.Armed.Reason; r == ReasonSeenAlive || r == noSecondOpinion {
		d.Again = sooner(d.Again, o.Now.Add(SightingLook))
	}
	// What stood in the way a moment ago lets the time begin anew.
	due := confirmable(o, v)
	if v.Dead && o.Now.Before(due) {
		d.Again = sooner(d.Again, due)
	}
	if d.Armed.Status != metav1.ConditionTrue || o.Run != nil && (!o.Run.Finished || o.Run.Succeeded) || !v.Dead || o.Now.Before(due) {
		return d
	}
	d.Action = Order
	d.Message = fmt.Sprintf("dead since %s: %s", outage.Since.UTC().Format(time.RFC3339), Told(o.Samples))
	return d
}

// isOver tells why an outage is over; empty when it is not.
func isOver(o Observation, outage *v1alpha1.Outage, v Verdict, d *Decision) string {
	switch {
	case o.Problem != "":
		return "the policy cannot be followed any more: " + o.Problem
	case o.Policy.Spec.Suspend:
		return "the policy is suspended"
	case o.Cluster == "":
		return "the cluster is no more"
	case o.Cluster != outage.ClusterUID:
		return "another cluster took its place"
	case !v.Alive:
		return ""
	}
	at := v.Since.Add(orDefault(o.Policy.Spec.Unhealthy.RecoverFor, DefaultRecoverFor))
	if o.Now.Before(at) {
		d.Again = sooner(d.Again, at)
		return ""
	}
	return fmt.Sprintf("the cluster has answered again since %s", v.Since.UTC().Format(time.RFC3339))
}

// healthy is the condition about the cluster.
func healthy(o Observation, v Verdict) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionClusterHealthy, Status: metav1.ConditionUnknown}
	switch {
	case o.Problem != "":
		c.Reason, c.Message = o.ProblemReason, o.Problem
	case o.Policy.Spec.Suspend:
		c.Reason, c.Message = "Suspended", "the policy is suspended; nothing is probed"
	case o.Cluster == "":
		c.Reason, c.Message = "NoCluster", "there is no cluster to watch"
	case Current(o.Policy) != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, "Dead", Told(o.Samples)
	case v.Alive:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, "Alive", "enough signals say that the cluster lives"
	case v.Dead:
		c.Reason, c.Message = "Suspected", Told(o.Samples)
	default:
		c.Reason, c.Message = "NotKnown", Told(o.Samples)
	}
	return c
}

// Reasons of the condition Armed that others look at.
const (
	ReasonBreakerOpen = "BreakerOpen"
	ReasonSeenAlive   = "SeenAlive"
	noSecondOpinion   = "NoSecondOpinion"
)

// SightingLook is how often observers are asked while one of them stands in the way.
const SightingLook = 2 * time.Second

// armed is the condition about what would follow an outage. Without one, a budget that is
// used up does not count, and what observers see only when the cluster looks sick from here.
func armed(o Observation, outage *v1alpha1.Outage, sick bool) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionArmed, Status: metav1.ConditionFalse}
	c.Reason, c.Message = disarmed(o, sick)
	if c.Reason == "" && outage != nil {
		c.Reason, c.Message = spent(o, outage)
	}
	switch {
	case c.Reason != "":
	case o.Now.Before(cooledDown(o)):
		c.Reason, c.Message = "CoolingDown", fmt.Sprintf("the policy ordered a run lately; the next may come at %s", cooledDown(o).UTC().Format(time.RFC3339))
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, "Watching", "an outage would be followed by a run"
	}
	return c
}

// disarmed tells what stands in the way of any run; empty when nothing does. That the
// breaker is not sure matters only when there is something to be sure of.
func disarmed(o Observation, sick bool) (reason, message string) {
	alive, _ := sightings(o.Sightings)
	switch {
	case o.Problem != "":
		return o.ProblemReason, o.Problem
	case o.Policy.Spec.Suspend:
		return "Suspended", "the policy is suspended"
	case o.Cluster == "":
		return "NoCluster", "there is no cluster to watch"
	case o.Barrier.Reason != "":
		return o.Barrier.Reason, o.Barrier.Message
	case !o.Breaker.Since.IsZero():
		return ReasonBreakerOpen, o.Breaker.Why
	case sick && o.Breaker.Unsure:
		return "FleetNotKnown", o.Breaker.Why
	case sick && alive != "":
		return ReasonSeenAlive, fmt.Sprintf("%s sees the cluster alive: the fault is between it and this controller", alive)
	}
	return "", ""
}

// spent tells why an outage is followed by no more runs, or by none yet; empty when it may be.
func spent(o Observation, outage *v1alpha1.Outage) (reason, message string) {
	attempts := o.Policy.Spec.MaxAttempts
	if attempts <= 0 {
		attempts = DefaultMaxAttempts
	}
	_, dead := sightings(o.Sightings)
	switch {
	case o.Run != nil && o.Run.Finished && (o.Run.Cancelled || o.Run.Gone):
		return "CalledOff", fmt.Sprintf("somebody cancelled or deleted run %s; this outage is left to people", o.Run.Name)
	case outage.Attempts >= attempts:
		return "AttemptsUsedUp", fmt.Sprintf("this outage caused %d runs already; a person has to go on", outage.Attempts)
	case o.Policy.Spec.Mode == v1alpha1.FailoverAutomatic && len(o.Sightings) > 0 && dead == "":
		return noSecondOpinion, "no observer says that the cluster is dead, and the policy decides without a person"
	}
	return "", ""
}

// SeenAlive tells whether an observer sees the cluster alive.
func SeenAlive(all []Sighting) bool {
	alive, _ := sightings(all)
	return alive != ""
}

func sightings(all []Sighting) (alive, dead string) {
	for _, s := range all {
		switch s.State {
		case v1alpha1.SignalHealthy:
			alive = "observer " + s.Observer
		case v1alpha1.SignalFailing:
			dead = "observer " + s.Observer
		case v1alpha1.SignalSilent, v1alpha1.SignalUnknown:
		}
	}
	return alive, dead
}

// untouchedCooldown follows a run that did nothing: the cluster came back in time, and the next
// outage may be the real one. It keeps a cluster that comes and goes from making runs all the
// time.
const untouchedCooldown = 5 * time.Minute

// cooledDown is when the next run may be ordered.
func cooledDown(o Observation) time.Time {
	last := o.Policy.Status.LastOrderedAt
	if last == nil {
		return time.Time{}
	}
	cooldown := DefaultCooldown
	if d := o.Policy.Spec.Cooldown; d != nil {
		cooldown = max(d.Duration, 0)
	}
	if before := o.Policy.Status.Outage; before != nil && before.OverAt != nil && before.Untouched {
		cooldown = min(cooldown, untouchedCooldown)
	}
	return last.Add(cooldown)
}

// Told is what signals say, in one sentence.
func Told(samples []Sample) string {
	parts := make([]string, 0, len(samples))
	for _, s := range samples {
		text := fmt.Sprintf("%s is %s", s.Name, s.State)
		if !s.Since.IsZero() {
			text += " since " + s.Since.UTC().Format(time.RFC3339)
		}
		if s.Message != "" {
			text += ": " + s.Message
		}
		parts = append(parts, text)
	}
	return Clip(strings.Join(parts, "; "))
}

// maxMessage of a condition or an event.
const maxMessage = 1000

// Clip a text to what a condition, an event or a reason may hold.
func Clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + " …"
}

func orDefault(d *metav1.Duration, fallback time.Duration) time.Duration {
	if d == nil || d.Duration <= 0 {
		return fallback
	}
	return d.Duration
}
