package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
)

// Options of Verify.
type Options struct {
	// Config of the cluster to read.
	Config *rest.Config
	// Concurrency is how many dry runs are in flight; 0 means 16.
	Concurrency int
	// Simulated says that no container runs on the cluster.
	Simulated bool
	// Expected objects are not in the repository and yet belong there, such as the
	// seeds that the run wrote itself.
	Expected []manifests.ID
	// Clock for the delays between repeated requests; nil means real time.
	Clock clock.Clock
	Log   logr.Logger
}

// Finding is one object and what was found out about it.
type Finding struct {
	ID manifests.ID
	// Origin is empty for objects that are not in the repository.
	Origin manifests.Origin
	// Detail for people, with field paths and values; values of Secrets are left out.
	Detail string
}

// Report of a verification. Every rendered object is counted once in Matched,
// Missing or Changed, and those that exist once in Healthy, Unhealthy or NotProvable.
// The lists are sorted by ID.
type Report struct {
	// Rendered objects that were looked for.
	Rendered int
	// Matched objects exist with their fields as rendered.
	Matched int
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
}

// Clean tells whether every rendered object is there as rendered and nothing is
// known to be unhealthy. Extra objects do not count: they are not the repository's.
func (r *Report) Clean() bool {
	return r.Rendered > 0 && r.Matched == r.Rendered &&
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
	v := newVerifier(objects, o, client)
	if err := v.run(klog.NewContext(ctx, o.Log.V(1))); err != nil {
		return nil, fmt.Errorf("verify the cluster: %w", err)
	}
	return v.finish(), nil
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
		v.report.Unhealthy, v.report.NotProvable, v.report.Weak} {
		slices.SortFunc(list, func(a, b Finding) int { return a.ID.Compare(b.ID) })
	}
	return &v.report
}
