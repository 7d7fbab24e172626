package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// Manager is the field manager of thorough mode's dry runs. It owns nothing, so what it
// would set is set by somebody else already when nothing changes.
const Manager = "refloat-verify"

// Options of Verify.
type Options struct {
	// Config of the cluster to read.
	Config *rest.Config
	// Ask is the access for dry runs, which need the right to write; nil means Config.
	Ask *rest.Config
	// Thorough asks the API server about every object, under a manager of its own,
	// instead of trusting the proof of package verify.
	Thorough bool
	// Concurrency is how many dry runs are in flight; 0 means 16.
	Concurrency int
	// Simulated says that no container runs on the cluster.
	Simulated bool
	// Expected objects are not in the repository and yet belong there, such as the
	// seeds that the run wrote itself.
	Expected []manifests.ID
	// StableFor is how long a clean cluster's objects have to stay healthy; 0 does not
	// wait. The comparison is made again after that.
	StableFor time.Duration
	// Tell what is waited for meanwhile; nil tells nobody.
	Tell func(Wait)
	// Inventory asks for every live object and more about those that changed; nil asks
	// for the report alone.
	Inventory *Inventory
	// Clock for the delays between repeated requests; nil means real time.
	Clock clock.Clock
	Log   logr.Logger

	// asker sends dry runs; nil for the client that reads.
	asker *cluster.Client
}

// Finding is one object and what was found out about it.
type Finding struct {
	ID manifests.ID
	// Origin is empty for objects that are not in the repository.
	Origin manifests.Origin
	// Detail for people, with field paths and values; values of Secrets are left out.
	Detail string
	// Rule that exempts the object or the fields, of exempt findings only.
	Rule string
	// Changes are the fields that differ, of changed findings only; at most five, or 200
	// with an inventory.
	Changes []Change
	// Incomparable is true of a changed object that could not be compared.
	Incomparable bool
}

// Change is one field that is not as rendered.
type Change struct {
	// Path of the field, as people write it: spec.template.spec.containers[0].image.
	Path string
	// Rendered and Live values as JSON, cut where they are long; empty where there is
	// nothing, and for Secrets.
	Rendered, Live string
	// Manager that set the field last and when, by the object's record of ownership;
	// empty when nobody owns it (any more).
	Manager string
	Time    time.Time
}

// Group of live objects that are not in the repository and belong there all the same.
type Group struct {
	Class  Class
	Reason string
	Count  int
	// Example is the first of them by ID.
	Example manifests.ID
}

// Report of a verification. Every rendered object is counted once in Matched, Skipped,
// Missing or Changed, and those that exist once in Healthy, Unhealthy, NotProvable or,
// for their health, Exempt. The lists are sorted by ID.
type Report struct {
	// Rendered objects, all of them.
	Rendered int
	// Matched objects exist with their fields as rendered, but for those that a rule
	// exempts.
	Matched int
	// Skipped objects need not exist, by a rule: see Exempt.
	Skipped int
	// Healthy objects, by the rules of package health.
	Healthy int
	// Missing objects do not exist.
	Missing []Finding
	// Changed objects differ from what was rendered, or could not be compared.
	Changed []Finding
	// Extra objects are neither rendered, nor expected, nor derived, nor made by
	// Kubernetes.
	Extra []Finding
	// Unhealthy objects exist and are not healthy.
	Unhealthy []Finding
	// NotProvable objects depend on code that does not run on a simulated cluster.
	NotProvable []Finding
	// Weak objects are counted as matched, but only their rendered fields could be
	// compared, without what the API server would make of them.
	Weak []Finding
	// Exempt lists every exemption that made a difference: an object not looked for, a
	// field that differs, a health not asked for. An object may be in it repeatedly.
	Exempt []Finding
	// Others are the remaining live objects, by why they are there.
	Others []Group
	// Thorough tells whether every object was asked about.
	Thorough bool
	// LiveDigest is the SHA-256, in hexadecimal digits, over the rendered fields of the
	// live objects in the sequence of their IDs. Exempt fields are left out. It is empty
	// unless the cluster is Clean.
	LiveDigest string
	// ClusterID is the UID of the namespace kube-system.
	ClusterID string
	// StableFor is how long the objects were seen to stay healthy after that.
	StableFor time.Duration
}

// Clean tells whether every rendered object is there as rendered, or exempt, and
// nothing is known to be unhealthy. Extra objects do not count: they are not the
// repository's. Where everything is exempt, nothing is proven.
func (r *Report) Clean() bool {
	return r.Matched > 0 && r.Matched+r.Skipped == r.Rendered &&
		len(r.Missing) == 0 && len(r.Changed) == 0 && len(r.Unhealthy) == 0
}

// ErrNothing says that there was nothing to compare, which proves nothing.
var ErrNothing = errors.New("there is no rendered object to verify")

// Verify reads the cluster anew and compares. It returns an error, and no report,
// when any part could not be read: an error is never taken for a match.
func Verify(ctx context.Context, objects []manifests.Object, o Options) (*Report, error) {
	if len(objects) == 0 {
		return nil, ErrNothing
	}
	o = o.withDefaults()
	client, err := cluster.New(o.Config)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if o.Ask != nil {
		if o.asker, err = cluster.New(o.Ask); err != nil {
			return nil, err
		}
		defer o.asker.Close()
	}
	report, err := verifyOnce(ctx, newVerifier(objects, o, client))
	if err != nil || o.StableFor <= 0 || !report.Clean() {
		return report, err
	}
	return verifyAgain(ctx, objects, o, client)
}

func verifyOnce(ctx context.Context, v *verifier) (*Report, error) {
	if err := v.run(klog.NewContext(ctx, v.Log.V(1))); err != nil {
		return nil, fmt.Errorf("verify the cluster: %w", err)
	}
	return v.finish(), nil
}

// verifyAgain waits until health has lasted and compares anew. What does not last is
// unhealthy, however it is now.
func verifyAgain(ctx context.Context, objects []manifests.Object, o Options, client *cluster.Client) (*Report, error) {
	v := newVerifier(objects, o, client)
	if err := v.prepare(klog.NewContext(ctx, o.Log.V(1))); err != nil {
		return nil, fmt.Errorf("verify the cluster: %w", err)
	}
	unstable, err := v.settle(ctx)
	if err != nil {
		return nil, fmt.Errorf("wait until the cluster is stable: %w", err)
	}
	report, err := verifyOnce(ctx, newVerifier(objects, o, client))
	if err != nil {
		return nil, err
	}
	if len(unstable) > 0 {
		report.Unhealthy, report.LiveDigest = append(report.Unhealthy, unstable...), ""
		return report, nil
	}
	report.StableFor = o.StableFor
	return report, nil
}

// defaultConcurrency is where a 2-core control plane is saturated with dry runs.
const defaultConcurrency = 16

func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return o
}

func (v *verifier) finish() *Report {
	for _, list := range [][]Finding{v.report.Missing, v.report.Changed, v.report.Extra,
		v.report.Unhealthy, v.report.NotProvable, v.report.Weak, v.report.Exempt} {
		slices.SortStableFunc(list, func(a, b Finding) int { return a.ID.Compare(b.ID) })
	}
	if v.report.Clean() {
		v.report.LiveDigest = v.liveDigest()
	}
	return &v.report
}
