// Package health tells from one live object whether it does what it was applied for,
// and how far that can be known. It is pure: it reads the object and nothing else.
//
// The base is kstatus (fluxcd/cli-utils): generation observed, Reconciling, Stalled,
// replica counts, Ready. Rules of this package replace it where it is too lenient for
// a rebuild (a started Job, a failed Pod, a Service without its address) or never
// satisfied (a claim that waits for its first consumer). A rule that the repository
// gives for an object, in CEL or Lua, replaces all of these for that object.
package health

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// Status of one object.
type Status string

const (
	// Healthy objects have reached what they declare, or a legal end state such as
	// a suspended Job.
	Healthy Status = "Healthy"
	// Progressing objects are on their way; only time tells.
	Progressing Status = "Progressing"
	// Failed objects will not get there without a change.
	Failed Status = "Failed"
	// NotProvable objects depend on code that does not run on a simulated cluster.
	// They are counted apart: never as healthy, never as failed.
	NotProvable Status = "NotProvable"
	// Missing objects do not exist.
	Missing Status = "Missing"
)

// Assessment is a status and the sentence that explains it. A Healthy object has a
// message only when there is something to know, such as that it is suspended.
type Assessment struct {
	Status  Status
	Message string
	// Settles is what this becomes by itself when the object does not change; nil for
	// most. Whoever watches looks again then: no event will come.
	Settles *Settled
}

// Settled is what an assessment becomes at a moment.
type Settled struct {
	At      time.Time
	Status  Status
	Message string
}

// DefaultSettle is how long an operator has to say something about a new object.
const DefaultSettle = 30 * time.Second

// Environment is what an assessment needs to know beyond the object.
type Environment struct {
	// Simulated says that no container runs on the cluster.
	Simulated bool
	// StatusSubresource tells whether a custom kind has a status subresource, which
	// some operator is then expected to write. Optional: nil means unknown.
	StatusSubresource func(schema.GroupVersionKind) bool
	// WaitsForConsumer tells whether the StorageClass of that name (empty: the
	// default class) binds a claim only once a pod uses it. Optional: nil means no,
	// and a claim without a consumer then stays Progressing.
	WaitsForConsumer func(storageClass string) bool
	// Check gives the rule of health that the repository itself has for an object, or
	// nil. Optional.
	Check func(manifests.ID) *manifests.HealthCheck
	// Now makes time count: for Settle after an object was created, that no operator
	// has reported on it, or that a check reports failure, may still change. Zero
	// takes what is seen as final.
	Now time.Time
	// Settle is DefaultSettle when it is 0.
	Settle time.Duration
}

// youngUntil is when an object stops being new; false when it already has.
func (e Environment) youngUntil(u *unstructured.Unstructured) (time.Time, bool) {
	if e.Now.IsZero() {
		return time.Time{}, false
	}
	settle := e.Settle
	if settle <= 0 {
		settle = DefaultSettle
	}
	created := u.GetCreationTimestamp().Time
	if created.IsZero() || created.After(e.Now) { // not created yet, or by a clock that is ahead
		created = e.Now
	}
	until := created.Add(settle)
	return until, until.After(e.Now)
}

// settling is Progressing while the object is new, and then what is given.
func (e Environment) settling(u *unstructured.Unstructured, then Assessment) Assessment {
	until, young := e.youngUntil(u)
	if !young {
		return then
	}
	then.Message = bounded(then.Message)
	return Assessment{Status: Progressing, Message: then.Message, Settles: &Settled{At: until, Status: then.Status, Message: then.Message}}
}

// Assess the live object; nil means that it does not exist.
func Assess(u *unstructured.Unstructured, env Environment) Assessment {
	if u == nil || len(u.Object) == 0 {
		return Assessment{Status: Missing, Message: "it does not exist"}
	}
	a := assess(u, env)
	a.Message = bounded(a.Message)
	return a
}

func assess(u *unstructured.Unstructured, env Environment) Assessment {
	if u.GetDeletionTimestamp() != nil {
		return progressing("it is being deleted%s", finalizers(u))
	}
	if a, lagging := generationLag(u); lagging {
		return a
	}
	if env.Check != nil {
		if c := env.Check(manifests.IDOf(u)); c != nil {
			return checked(u, env, c)
		}
	}
	gk := u.GroupVersionKind().GroupKind()
	if rule, ok := rules[gk]; ok {
		return rule(u, env)
	}
	if builtin.Lookup(gk) != nil {
		return fromKstatus(u)
	}
	return custom(u, env)
}

// rules replace kstatus for a kind. Their input is neither being deleted nor waiting
// for its controller to observe the latest generation.
var rules = map[schema.GroupKind]func(*unstructured.Unstructured, Environment) Assessment{
	{Kind: "Namespace"}:                                                    namespace,
	{Kind: "PersistentVolume"}:                                             volume,
	{Kind: "PersistentVolumeClaim"}:                                        claim,
	{Kind: "Pod"}:                                                          pod,
	{Kind: "ReplicationController"}:                                        replicationController,
	{Kind: "Service"}:                                                      service,
	{Group: "apps", Kind: "Deployment"}:                                    deployment,
	{Group: "apps", Kind: "StatefulSet"}:                                   statefulSet,
	{Group: "batch", Kind: "Job"}:                                          job,
	{Group: "batch", Kind: "CronJob"}:                                      cronJob,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:                autoscaler,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                          ingress,
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                  apiService,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:      definition,
	{Group: "admissionregistration.k8s.io", Kind: mutatingConfiguration}:   webhooks,
	{Group: "admissionregistration.k8s.io", Kind: validatingConfiguration}: webhooks,
}

const (
	mutatingConfiguration   = "MutatingWebhookConfiguration"
	validatingConfiguration = "ValidatingWebhookConfiguration"
)
