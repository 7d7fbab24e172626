package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/manifests/order"
)

// DefaultTimeout is how long an object may take to be accepted, and again to become
// healthy.
const DefaultTimeout = 10 * time.Minute

// Options of Run.
type Options struct {
	// Config of the cluster to apply to.
	Config *rest.Config
	// Concurrency is the highest number of writes in flight; the number adapts to
	// the server below it. 0 means 32.
	Concurrency int
	// Timeout per object, from its first attempt until it is accepted and from then
	// until it is healthy. 0 means DefaultTimeout.
	Timeout time.Duration
	// Simulated says that no container runs on the cluster.
	Simulated bool
	// Settle is how long an operator has to report on a new object, and a check of the
	// repository to take back that an object failed. 0 means health.DefaultSettle.
	Settle time.Duration
	// RecoveryPoint is how old a backup may be that a Restore of Velero brings back; 0 for
	// any age.
	RecoveryPoint time.Duration
	// Inherited says that another run may have applied to the cluster before, perhaps from
	// another commit: what is found is taken over only if applying it would change nothing.
	Inherited bool
	// Clock for time-outs and delays; nil means real time.
	Clock clock.WithTicker
	Log   logr.Logger
	// Progress is called from one goroutine, at most four times a second and once at
	// the end. Optional. It must not block for long: nothing is sent meanwhile.
	Progress func(Progress)
	// Guard proves, before the first write, that this is the cluster that is meant.
	// Its error ends the run with nothing written. Optional.
	Guard func(context.Context) error
	// Random is in [0,1) and spreads retries; nil means math/rand.
	Random func() float64
	// MaxFailures is how many optional objects may fail before the run ends; 0 sets no
	// limit.
	MaxFailures int
}

// Progress of a run under way. Counts are of objects.
type Progress struct {
	Total, Applied, Healthy, NotProvable int
	// GivenUp are optional objects that failed.
	GivenUp int
	// Wave is the earliest one not complete, from 1; 0 when all are.
	Wave int
	// Waiting is a sentence on what the earliest incomplete wave waits for; empty
	// when there is nothing to wait for.
	Waiting string
	// Since and Until are when that wait began and when it ends in failure.
	Since, Until time.Time
}

// ObjectResult is what became of one object.
type ObjectResult struct {
	ID     manifests.ID
	Origin manifests.Origin
	// Wave is the object's level in the graph.
	Wave int
	// Status is Missing for an object that was not accepted.
	Status health.Status
	// Message explains a status other than Healthy, or adds to it.
	Message string
	// Failed is true for objects that were refused, that failed or were too late. They
	// ended the run, unless they are Optional.
	Failed bool
	// Optional objects may fail.
	Optional bool
	// ReleasedAt is when the last gate opened that the object needed, StartedAt the first attempt, AppliedAt the API server's answer, ReadyAt the
	// first time that the object was seen healthy (or known not to be provable).
	ReleasedAt, StartedAt, AppliedAt, ReadyAt time.Time
	// Attempts are the writes sent for the object.
	Attempts int
	// Adopted objects had been applied by an earlier process of the same run, or by an
	// earlier run with the same content; nothing was sent.
	Adopted bool
	// Created objects were refused by server-side apply and created plainly; Message
	// says why.
	Created bool
}

// Result of a run, complete or not, in the sequence of the graph.
type Result struct {
	Objects []ObjectResult
}

// Error names the objects that ended a run.
type Error struct {
	Failed []ObjectResult
	// Skipped objects were never sent.
	Skipped int
}

// maxNamed bounds how many objects an error names.
const maxNamed = 10

func (e *Error) Error() string {
	var b strings.Builder
	for i, f := range e.Failed {
		if i == maxNamed {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)-maxNamed)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.ID.String())
		if origin := f.Origin.String(); origin != "" {
			fmt.Fprintf(&b, " (%s)", origin)
		}
		b.WriteString(": " + f.Message)
	}
	if e.Skipped > 0 {
		fmt.Fprintf(&b, "; %d objects were not sent because of this", e.Skipped)
	}
	return b.String()
}

// Run applies all objects of the graph and returns when every one is healthy, or not
// provable on a simulated cluster, or optional and given up. It stops sending at the first object that is
// refused, fails or is late, lets what is in flight finish, and returns what it
// knows of every object together with an *Error. When ctx ends it returns at once,
// with the partial result and the context's error.
//
// A second Run of the same graph on the same cluster continues: what an earlier one
// has applied is not written again. After a Run of another graph, say Inherited.
func Run(ctx context.Context, g *order.Graph, o Options) (result *Result, err error) {
	if g == nil || g.Len() == 0 {
		return &Result{}, errors.New("there is no object to apply")
	}
	o = o.withDefaults()
	client, err := cluster.New(o.Config)
	if err != nil {
		return &Result{}, err
	}
	defer client.Close()
	e, err := newEngine(g, o, client)
	if err != nil {
		return &Result{}, err
	}
	defer func() {
		if p := recover(); p != nil {
			result, err = e.result(), e.fault(p)
		}
	}()
	err = e.run(ctx)
	return e.result(), err
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	if o.Random == nil {
		o.Random = random
	}
	return o
}
