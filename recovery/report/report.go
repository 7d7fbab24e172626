// Package report is the record of a run that people and scripts read: what was asked,
// what came out of it, how long each part took, and how the live cluster compared
// with the repository.
//
// It is stored compressed in a ConfigMap that the run owns. It never holds a value of
// a Secret.
package report

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/quarantine"
)

// Report of one run. Durations are in seconds.
type Report struct {
	Result v1alpha1.Result `json:"result,omitempty"` // empty while the run goes on
	// Outcome of a drill.
	Outcome   v1alpha1.DrillOutcome `json:"outcome,omitempty"`
	Operation v1alpha1.Operation    `json:"operation"`
	Plan      string                `json:"plan"`
	Namespace string                `json:"namespace"`
	Run       string                `json:"run"`
	Cluster   string                `json:"cluster,omitempty"`
	Reason    string                `json:"reason,omitempty"`
	// RequestedBy is the user who ordered the run, and Schedule what ordered it if nobody did.
	RequestedBy string    `json:"requestedBy,omitempty"`
	Schedule    *Schedule `json:"schedule,omitempty"`
	// Proposal is the outage that the run was ordered for, if it was.
	Proposal  *Proposal  `json:"proposal,omitempty"`
	Approval  *Approval  `json:"approval,omitempty"`
	OrderedAt *time.Time `json:"orderedAt,omitempty"`
	// OverridesHolds says that the run was to heed no hold; HoldsOverridden were in force.
	OverridesHolds  bool   `json:"overridesHolds,omitempty"`
	HoldsOverridden []Hold `json:"holdsOverridden,omitempty"`
	// Commit and, with CommitAgeSeconds, how old it was when the run began: the recovery
	// point of the configuration.
	Commit           string     `json:"commit,omitempty"`
	CommitTime       *time.Time `json:"commitTime,omitempty"`
	CommitAgeSeconds *float64   `json:"commitAgeSeconds,omitempty"`
	Origin           *Origin    `json:"origin,omitempty"`
	RenderDigest     string     `json:"renderDigest,omitempty"`
	Charts           []Chart    `json:"charts,omitempty"`
	Sources          []Source   `json:"sources,omitempty"`
	Simulated        bool       `json:"simulated,omitempty"`
	// Retried is the failed run whose cluster this one went on with.
	Retried    *Retried   `json:"retried,omitempty"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	// RecoveryTimeSeconds from the start, of the first attempt, until verified; absent when it
	// was not.
	RecoveryTimeSeconds *float64   `json:"recoveryTimeSeconds,omitempty"`
	Objective           *Objective `json:"objective,omitempty"`
	// BudgetWaitSeconds is how long the run waited for slots of budgets.
	BudgetWaitSeconds float64       `json:"budgetWaitSeconds,omitempty"`
	Phases            []Phase       `json:"phases"`
	Waves             []Wave        `json:"waves"`
	Verification      *Verification `json:"verification,omitempty"`
	// Loss is what was, or would have been, lost with the previous cluster.
	Loss *loss.Preview `json:"loss,omitempty"`
	// Drilled is what the profile of a drill changed in the state.
	Drilled []quarantine.Change `json:"drilled,omitempty"`
	// LossUnseen says why nobody could tell; empty when somebody could.
	LossUnseen string `json:"lossUnseen,omitempty"`
	// Certificate is a DSSE envelope about a complete match; absent without one.
	Certificate json.RawMessage `json:"certificate,omitempty"`
	Failure     *Failure        `json:"failure,omitempty"`
	// CleanedUp is absent when the run had nothing to delete.
	CleanedUp *bool `json:"cleanedUp,omitempty"`
	// CriticalPath is where the time went, and Deviations what a reader should know of.
	CriticalPath *Path       `json:"criticalPath,omitempty"`
	Deviations   []Deviation `json:"deviations,omitempty"`
	// History of the plan's runs before this one, the oldest first.
	History []Past `json:"history,omitempty"`
	// Chain is the place of a final report among those of its plan.
	Chain *Chain   `json:"chain,omitempty"`
	Notes []string `json:"notes,omitempty"`
	// Truncated says what was left out to keep the report within its bound.
	Truncated string `json:"truncated,omitempty"`
}

// Origin of the commit.
type Origin struct {
	From      string     `json:"from,omitempty"`
	Ref       string     `json:"ref,omitempty"`
	FetchedAt *time.Time `json:"fetchedAt,omitempty"`
	// Stale is true when the remote was unreachable and the last fetched commit was taken.
	Stale bool `json:"stale,omitempty"`
	// SignedBy lists the signatures that were verified.
	SignedBy []string `json:"signedBy,omitempty"`
}

// Chart that was fetched: as the state asks for it, and what came.
type Chart struct {
	Repository string `json:"repository"`
	Name       string `json:"name,omitempty"`
	Requested  string `json:"requested,omitempty"`
	Version    string `json:"version"`
	Digest     string `json:"digest"`
	// Manifest is the digest of the OCI manifest.
	Manifest string `json:"manifest,omitempty"`
}

// Source is another Git repository, or an artifact with manifests, that the state asked
// for, and the revision that came.
type Source struct {
	URL       string `json:"url"`
	Requested string `json:"requested"`
	Revision  string `json:"revision"`
	// Digest of the artifact's layer.
	Digest string `json:"digest,omitempty"`
}

// Objective that was promised, and whether it was met.
type Objective struct {
	RecoveryTimeSeconds float64 `json:"recoveryTimeSeconds"`
	Met                 bool    `json:"met"`
}

// Phase of the run.
type Phase struct {
	Name       v1alpha1.Phase `json:"name"`
	StartedAt  time.Time      `json:"startedAt"`
	FinishedAt *time.Time     `json:"finishedAt,omitempty"`
	Seconds    float64        `json:"seconds"`
	// StoodStillSeconds of them the run was suspended or waited for a slot of a budget.
	StoodStillSeconds float64 `json:"stoodStillSeconds,omitempty"`
	Message           string  `json:"message,omitempty"`
}

// Schedule that ordered the run, and for when.
type Schedule struct {
	Name    string     `json:"name"`
	Nominal string     `json:"nominal"`
	Due     time.Time  `json:"due"`
	ReadyBy *time.Time `json:"readyBy,omitempty"`
}

// Approval that the run asked for; By and At are empty when nobody gave it.
type Approval struct {
	RequestedAt time.Time  `json:"requestedAt"`
	By          string     `json:"by,omitempty"`
	At          *time.Time `json:"at,omitempty"`
	Reason      string     `json:"reason,omitempty"`
}

// Proposal of a failover policy, with what each signal said.
type Proposal struct {
	Policy      string    `json:"policy"`
	OutageSince time.Time `json:"outageSince"`
	Evidence    []Said    `json:"evidence,omitempty"`
}

// Said is what one signal said of the cluster.
type Said struct {
	Signal  string    `json:"signal"`
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Message string    `json:"message,omitempty"`
}

func (s Said) String() string {
	text := fmt.Sprintf("%s was %s since %s", s.Signal, s.State, s.Since.Format(time.RFC3339))
	if s.Message != "" {
		text += ": " + s.Message
	}
	return text
}

// Hold that was in force when the cluster was deleted.
type Hold struct {
	Name   string    `json:"name"`
	Reason string    `json:"reason,omitempty"`
	Until  time.Time `json:"until"`
}

// Wave is one level of the object graph.
type Wave struct {
	Number  int      `json:"number"`
	Objects []Object `json:"objects"`
}

// Object and how its application went.
type Object struct {
	ID      string `json:"id"`
	Origin  string `json:"origin,omitempty"`
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
	// StartedAt is the first attempt. For an adopted object AppliedAt is the creation
	// of the live one and the other times are unknown.
	StartedAt *time.Time `json:"startedAt,omitempty"`
	AppliedAt *time.Time `json:"appliedAt,omitempty"`
	ReadyAt   *time.Time `json:"readyAt,omitempty"`
	// Seconds from the first attempt until ready.
	Seconds  float64 `json:"seconds"`
	Attempts int     `json:"attempts"`
	// Adopted objects were found applied: by this run after a restart, or by the failed run
	// whose cluster it goes on with, and as they are rendered now.
	Adopted bool `json:"adopted,omitempty"`
	// Optional objects may fail.
	Optional bool `json:"optional,omitempty"`
	// Wave number, for building; not repeated in the JSON form.
	Wave int `json:"-"`
}

// Verification of the live cluster against the frozen render.
type Verification struct {
	Rendered    int `json:"rendered"`
	Matched     int `json:"matched"`
	Missing     int `json:"missing"`
	Changed     int `json:"changed"`
	Extra       int `json:"extra"`
	Healthy     int `json:"healthy"`
	Unhealthy   int `json:"unhealthy"`
	NotProvable int `json:"notProvable"`
	// Weak objects are among the matched, but only their rendered fields could be
	// compared.
	Weak int `json:"weak,omitempty"`
	// Skipped objects need not exist, by a rule; Exempt counts every use of a rule.
	Skipped int `json:"skipped,omitempty"`
	Exempt  int `json:"exempt,omitempty"`
	// Thorough tells whether the API server was asked about every object.
	Thorough bool `json:"thorough,omitempty"`
	// StableSeconds is how long all objects were seen to stay healthy.
	StableSeconds float64 `json:"stableSeconds,omitempty"`
	// LiveDigest is the SHA-256 over the rendered fields of the live objects, of a
	// complete match only.
	LiveDigest string  `json:"liveDigest,omitempty"`
	Details    Details `json:"details"`
	// Others counts the live objects that are neither rendered nor extra, by why they
	// are there.
	Others []Group `json:"others,omitempty"`
}

// Matches tells whether the verification proves the state: more than zero objects,
// all there unless a rule says otherwise, none different, none unhealthy. Extra objects
// are reported, not judged: controllers and users of a live cluster make some.
func (v *Verification) Matches() bool {
	return v != nil && v.Matched > 0 && v.Matched+v.Skipped == v.Rendered && v.Missing == 0 && v.Changed == 0 && v.Unhealthy == 0
}

// Details name the objects that are counted.
type Details struct {
	Missing     []Finding `json:"missing,omitempty"`
	Changed     []Finding `json:"changed,omitempty"`
	Extra       []Finding `json:"extra,omitempty"`
	Unhealthy   []Finding `json:"unhealthy,omitempty"`
	NotProvable []Finding `json:"notProvable,omitempty"`
	Weak        []Finding `json:"weak,omitempty"`
	Exempt      []Finding `json:"exempt,omitempty"`
}

// lists of all findings.
func (d *Details) lists() []*[]Finding {
	return []*[]Finding{&d.Missing, &d.Changed, &d.Extra, &d.Unhealthy, &d.NotProvable, &d.Weak, &d.Exempt}
}

// FindingList is one kind of findings, named for people.
type FindingList struct {
	Name     string
	Findings []Finding
	// Mismatch tells those that make a comparison fail.
	Mismatch bool
}

// Named lists of all findings, those that matter most first.
func (d *Details) Named() []FindingList {
	return []FindingList{
		{"missing", d.Missing, true}, {"changed", d.Changed, true}, {"unhealthy", d.Unhealthy, true},
		{"not provable", d.NotProvable, false}, {"extra", d.Extra, false},
		{"compared by rendered fields only", d.Weak, false}, {"exempt", d.Exempt, false},
	}
}

// Finding about one object.
type Finding struct {
	ID     string `json:"id"`
	Origin string `json:"origin,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Rule that exempts, of exempt findings.
	Rule string `json:"rule,omitempty"`
	// Changes are the fields that differ, of changed findings.
	Changes []Change `json:"changes,omitempty"`
}

// Change is one field that is not as rendered. Rendered and Live hold JSON, cut where it
// is long, and are absent where there is nothing and for Secrets.
type Change struct {
	Path     string `json:"path"`
	Rendered string `json:"rendered,omitempty"`
	Live     string `json:"live,omitempty"`
	// Manager that set the field last and when, as far as it is recorded.
	Manager string     `json:"manager,omitempty"`
	Time    *time.Time `json:"time,omitempty"`
}

// Group of live objects that are there for the same reason.
type Group struct {
	Class   string `json:"class"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
	Example string `json:"example"`
}

// Failure of the run.
type Failure struct {
	Phase   v1alpha1.Phase `json:"phase"`
	Reason  string         `json:"reason"`
	Message string         `json:"message"`
}

// Retried says which failed run another one went on from.
type Retried struct {
	Run string `json:"run"`
	// Phase that failed, and StartedAt of the first attempt.
	Phase     v1alpha1.Phase `json:"phase"`
	StartedAt time.Time      `json:"startedAt"`
}
