// Package recoverability tells, while nothing is wrong, whether a plan's cluster could be
// rebuilt. Checks elsewhere find facts; here is what they mean, in words and as a
// condition, and when it is looked again. Everything is pure.
//
// A blocker would make a rebuild fail that is ordered now. A warning would not: the rebuild
// is late, unproven, or hangs by a thread. What could not be looked at is neither: the
// condition is Unknown then, unless there is a blocker.
package recoverability

import "time"

// Check names what was looked at.
type Check string

// The checks, in the order in which they are listed.
const (
	CheckServing         Check = "Serving"
	CheckGit             Check = "Git"
	CheckSecrets         Check = "Secrets"
	CheckSeeds           Check = "Seeds"
	CheckDecryption      Check = "Decryption"
	CheckCharts          Check = "Charts"
	CheckSources         Check = "Sources"
	CheckRendering       Check = "Rendering"
	CheckLint            Check = "Lint"
	CheckClusterManifest Check = "ClusterManifests"
	CheckClusterAPI      Check = "ClusterAPI"
	CheckVersion         Check = "KubernetesVersion"
	CheckLastDrill       Check = "LastDrill"
	CheckRecoveryTime    Check = "RecoveryTime"
	// CheckItself failed, by a defect.
	CheckItself Check = "Evaluation"
)

var order = map[Check]int{}

func init() { //nolint:gochecknoinits // a table of the constants above
	for i, c := range []Check{
		CheckServing, CheckGit, CheckSecrets, CheckSeeds, CheckDecryption, CheckCharts, CheckSources, CheckRendering, CheckLint,
		CheckClusterManifest, CheckClusterAPI, CheckVersion, CheckLastDrill, CheckRecoveryTime, CheckItself,
	} {
		order[c] = i
	}
}

// Facts are what the checks found. What was not looked at is zero.
type Facts struct {
	Now time.Time
	// Remotes of the repository: itself, then each mirror.
	Remotes []Remote
	// Rendered is nil when nothing could be rendered.
	Rendered *Rendered
	// Faults of checks that end with a sentence of their own.
	Faults []Fault
	// Lint is nil when the rules were not applied.
	Lint *Lint
	// Version is nil when nobody can tell which versions there are.
	Version *Version
	// LastDrill is when a rebuild or drill succeeded last; zero for never. MaxDrillAge is
	// what the plan allows; 0 for anything.
	LastDrill   time.Time
	MaxDrillAge time.Duration
	// RecoveryTime that was measured last, and Objective for it; 0 for none.
	RecoveryTime, Objective time.Duration
}

// Remote is what one place of the repository answered.
type Remote struct {
	// URL without credentials.
	URL string
	// Tip is what the reference leads to there; empty when it was not asked for.
	Tip string
	// Fault is why it gave no answer; empty when it did.
	Fault string
}

// Rendered is what became of the commit.
type Rendered struct {
	Commit  string
	Objects int
	// Infrastructure is the kind of the cluster's infrastructure, empty when it is not known.
	Infrastructure string
	// Stale says that no remote gave the commit: it was fetched before, at FetchedAt, zero
	// when that is not known.
	Stale     bool
	FetchedAt time.Time
	// Unsteady says that rendering the same commit again gave something else.
	Unsteady bool
}

// Fault is something wrong that says itself what it is and what to do.
type Fault struct {
	Check   Check
	Message string
	// Unsure faults may say nothing about the plan: it could not be looked.
	Unsure bool
}

// Lint is what the rules found.
type Lint struct {
	// Errors, one sentence each.
	Errors   []string
	Warnings int
}

// Version is what the cluster wants and a ClusterClass offers.
type Version struct {
	Wanted, Class string
	Offered       []string
}
