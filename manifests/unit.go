package manifests

import (
	"time"
)

// Unit is one renderable source of the repository: a state path, or what a Flux or
// Argo CD object in it declares. Objects say in their Origin which unit rendered them.
type Unit struct {
	// Name is unique in a rendering: the state path, or the declaring object as
	// people write it, "Kustomization flux-system/apps".
	Name string `json:"name"`
	// Definition is the object that declares the unit; zero for a state path. It
	// belongs to the unit that rendered it, not to the one that it declares, and goes
	// after the objects of its own unit: it hands them over to the tool that keeps them.
	Definition ID `json:"definition,omitzero"`
	// Origin of the definition.
	Origin Origin `json:"origin,omitzero"`
	// After lists units that must be ready before any object of this one may go.
	After []Dependency `json:"after,omitempty"`
	// Ready says what those that wait for this unit wait for.
	Ready Readiness `json:"ready,omitzero"`
}

// Dependency of a unit on another one.
type Dependency struct {
	// Unit is the name of the other one.
	Unit string `json:"unit"`
	// Reason in words that continue "after <unit>", for example "spec.dependsOn".
	Reason string `json:"reason"`
}

// Readiness of a unit. It is always required that its objects were accepted.
type Readiness struct {
	// All objects have to be healthy.
	All bool `json:"all,omitempty"`
	// Objects that have to be healthy, by whichever unit they were rendered.
	Objects []ID `json:"objects,omitempty"`
}

// Rules are where one object departs from the ordinary course: applied as a whole by
// server-side apply, healthy by the common rules, every rendered field verified. They
// come from annotations and from the unit's definition, whatever tool they are
// written for; who orders, applies and verifies reads only Rules.
type Rules struct {
	// Manager is the field manager under which the object is applied, so that the
	// tool that owns it later adopts it without conflict; "" means FieldManager.
	Manager string `json:"manager,omitempty"`
	// Phase and Wave place the object within its unit: a phase begins when the one
	// before it is healthy, and within a phase a wave likewise.
	Phase Phase `json:"phase,omitempty"`
	Wave  int   `json:"wave,omitempty"`
	// Hook objects do their work once and may be gone afterwards.
	Hook *Hook `json:"hook,omitempty"`
	// Write says whether and how the object is written.
	Write WriteRule `json:"write,omitempty"`
	// Optional objects may fail: that is reported and holds nothing up.
	Optional bool `json:"optional,omitempty"`
	// HealthIgnored objects count as soon as they were accepted.
	HealthIgnored bool `json:"healthIgnored,omitempty"`
	// Health replaces the common rules of health for this object.
	Health *HealthCheck `json:"health,omitempty"`
	// Timeout to become ready; 0 means the plan's.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Ignore lists fields that verification leaves out.
	Ignore []IgnoredFields `json:"ignore,omitempty"`
}

// Phase of a unit, as Argo CD and Helm divide it.
type Phase int

const (
	// PhaseBefore is PreSync and pre-install.
	PhaseBefore Phase = -1
	// PhaseMain holds everything that is no hook.
	PhaseMain Phase = 0
	// PhaseAfter is PostSync and post-install.
	PhaseAfter Phase = 1
)

// Hook says what becomes of an object that does its work once.
type Hook struct {
	// DeleteSucceeded and DeleteFailed remove the object afterwards.
	DeleteSucceeded bool `json:"deleteSucceeded,omitempty"`
	DeleteFailed    bool `json:"deleteFailed,omitempty"`
}

// WriteRule says how an object is written.
type WriteRule string

const (
	// WriteApply is server-side apply, the ordinary way.
	WriteApply WriteRule = ""
	// WriteCreate creates the object plainly and leaves it alone when it exists.
	WriteCreate WriteRule = "Create"
	// WriteNever leaves the object out: it is listed, not applied and not verified.
	WriteNever WriteRule = "Never"
)

// HealthCheck is a rule of health that the repository itself gives. Either Lua or
// the expressions are set.
type HealthCheck struct {
	// From says where the check is written, for people.
	From string `json:"from,omitempty"`
	// Lua is a script as Argo CD's resource.customizations hold it.
	Lua string `json:"lua,omitempty"`
	// Current, InProgress and Failed are CEL expressions as Flux's healthCheckExprs
	// hold them.
	Current    string `json:"current,omitempty"`
	InProgress string `json:"inProgress,omitempty"`
	Failed     string `json:"failed,omitempty"`
}

// IgnoredFields are fields of one object that may differ from what is rendered.
type IgnoredFields struct {
	// From says which rule it is, for people: it is listed with each object it exempts.
	From string `json:"from"`
	// Pointers are JSON pointers (RFC 6901).
	Pointers []string `json:"pointers,omitempty"`
	// JQ are path expressions as Argo CD's jqPathExpressions.
	JQ []string `json:"jq,omitempty"`
	// Managers own fields that are left out, whichever they are.
	Managers []string `json:"managers,omitempty"`
}
