package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/internal/witness"
	"github.com/refloat-dev/refloat/providers/capi"
)

// Point is one operation with one fault at one write.
type Point struct {
	Operation v1alpha1.Operation
	Fault     Fault
	// At is the number of the write, from 1; of a Storm, its seed. 0 is no fault.
	At int
	// Where names the write by its kind, such as DELETE.clusters, or PUT.recoveryruns/status.3
	// for the third of its kind. At is then where a run without faults makes it, since two runs
	// do not number their writes quite the same.
	Where string
	// Bug that the controllers have; only in a mutated build.
	Bug string
}

// String is how a point is named on the command line.
func (p Point) String() string {
	if p.Fault.Name == "" {
		return fmt.Sprintf("%s:none", p.Operation)
	}
	if p.Where != "" {
		return fmt.Sprintf("%s:%s:%s", p.Operation, p.Fault.Name, p.Where)
	}
	return fmt.Sprintf("%s:%s:%d", p.Operation, p.Fault.Name, p.At)
}

// plan of the proxies.
func (p Point) plan() faultproxy.Plan {
	if p.Fault.Kind == faultproxy.Storm {
		return faultproxy.Fault{Kind: faultproxy.Storm, At: 1, Seed: uint64(p.At)}
	}
	if p.Where != "" {
		return newPlaced(p)
	}
	return faultproxy.Fault{Kind: p.Fault.Kind, At: p.At}
}

// Result of a point.
type Result struct {
	Point
	// Hit is the write to which something was done, in words; empty when the run ended
	// before it came to that.
	Hit      string
	Breaches []witness.Breach
	// Writes of the controllers, in order.
	Writes []faultproxy.Request
	Took   time.Duration
	// Resumed is how long after a kill the next controller made its first write; 0 when
	// there was no kill or nothing left to write.
	Resumed time.Duration
	// Log of the controllers, of points that failed.
	Log string
}

// Rules of the harness itself, beside those of the witness: the run ends, and as it does
// without faults; a failover that failed can be completed.
const (
	endsInTime = "ends-in-time"
	sameEnd    = "same-end"
	completes  = "failed-can-be-completed"
)

// pointTimeout bounds one point. Time-outs of the run itself are longer, so that one that
// hangs shows as such.
const (
	pointTimeout = 90 * time.Second
	bugTimeout   = 40 * time.Second
)

// trial is a point while it runs.
type trial struct {
	*lane
	point     Point
	namespace string
	cacheDir  string
	source    string // the repository
	sequence  *faultproxy.Sequence
	lifecycle *lifecycle
	receiver  *receiver
	clock     *jumpy
	log       transcript

	mu        sync.Mutex
	fronts    []*faultproxy.Front
	processes []process
	pending   sync.WaitGroup
	trouble   error // in the harness itself
	killed    time.Time
}

// run a point to its end and judge it.
func (l *lane) run(ctx context.Context, p Point) Result {
	began := time.Now()
	limit := pointTimeout
	if p.Bug != "" {
		limit = bugTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := &trial{lane: l, point: p, namespace: fmt.Sprintf("chaos-%05d-x", l.points.Add(1)), sequence: faultproxy.NewSequence(p.plan()), clock: &jumpy{}, source: l.repository}
	t.cacheDir = filepath.Join(l.dir, "cache", t.namespace)
	result := Result{Point: p}
	found, err := t.carryOut(ctx)
	result.Breaches = found
	if err != nil {
		result.Breaches = append(result.Breaches, witness.Breach{Rule: "harness", What: err.Error()})
	}
	for _, hit := range t.sequence.Hits() {
		if result.Hit == "" {
			result.Hit = fmt.Sprintf("%s (write %d)", hit.Request, hit.K)
		}
	}
	result.Writes, result.Took = t.sequence.Writes(), time.Since(began)
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, again := t.sequence.FirstAfter(t.killed); again && !t.killed.IsZero() {
		result.Resumed = at.Sub(t.killed)
	}
	if len(result.Breaches) > 0 {
		result.Log = t.log.String()
	}
	return result
}

func (t *trial) carryOut(ctx context.Context) ([]witness.Breach, error) {
	marks, err := t.marks()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, m := range marks {
			m.Close()
		}
	}()
	ctx, end := context.WithCancel(ctx)
	var played sync.WaitGroup
	defer played.Wait()
	defer end()
	run, err := t.prepare(ctx, &played)
	defer func() { t.stopAll(); t.receiver.close() }()
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.sequence.Do(t.onKill, t.onFreeze, t.onEvent(ctx))
	if err := t.startProcess(ctx); err != nil {
		return nil, err
	}
	finished, hung := t.await(ctx, run)
	// What was frozen has its chance to do harm, then everything stops.
	t.thawAll()
	t.pending.Wait()
	t.settle(ctx)
	t.stopAll()
	if t.trouble != nil {
		return nil, t.trouble
	}
	// What was done until then is judged, also of a run that hangs.
	found, err := t.judge(context.WithoutCancel(ctx), marks, finished)
	if hung != nil {
		return append(found, witness.Breach{Rule: endsInTime, What: hung.Error()}), err
	}
	if err != nil {
		return found, err
	}
	more, err := t.again(ctx, finished)
	return append(found, more...), err
}

// prepare a namespace with the cluster that an earlier run made, a plan and an order.
func (t *trial) prepare(ctx context.Context, played *sync.WaitGroup) (*v1alpha1.RecoveryRun, error) {
	if err := t.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: t.namespace}}); err != nil {
		return nil, err
	}
	t.lifecycle = &lifecycle{client: t.client, namespace: t.namespace, live: t.live, new: t.plane, sequence: t.sequence,
		fronts: map[types.UID]*faultproxy.Front{}, identity: map[types.UID]types.UID{}, stopped: map[types.UID]time.Time{}}
	played.Go(func() { t.lifecycle.run(ctx) })
	if err := t.prepareSource(ctx); err != nil {
		return nil, err
	}
	name := sidesOf(t.point.Operation).from
	sources, err := clusterSources(name)
	if err != nil {
		return nil, err
	}
	m, err := capi.Parse(sources, name, t.namespace)
	if err != nil {
		return nil, err
	}
	clusters := &capi.Clusters{Client: t.client, Reader: t.client, Clock: t.clock}
	if _, err := clusters.Create(ctx, m, capi.Stamp{Run: earlier, Epoch: 1}); err != nil {
		return nil, err
	}
	err = until(ctx, 20*time.Millisecond, func() bool {
		obs, err := clusters.Observe(ctx, t.namespace, name)
		ok, _ := obs.Available()
		return err == nil && ok
	})
	if err != nil {
		t.lifecycle.mu.Lock()
		defer t.lifecycle.mu.Unlock()
		return nil, fmt.Errorf("the first cluster did not become available: %w (the played Cluster API: %w)", err, t.lifecycle.last)
	}
	return t.order(ctx, clusters)
}

// startProcess starts one more controller, behind a proxy of its own.
func (t *trial) startProcess(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.processes) + 1
	upstream, err := t.management.user(fmt.Sprintf("refloat:%s:%d", t.namespace, n))
	if err != nil {
		return err
	}
	front, err := faultproxy.Listen(faultproxy.Options{Name: witness.Management, Upstream: upstream, Certificate: t.management.server, Sequence: t.sequence,
		Remember: t.point.Fault.Kind == faultproxy.StaleReads})
	if err != nil {
		return err
	}
	t.fronts = append(t.fronts, front)
	kubeconfig, err := t.management.kubeconfig(front.Address())
	if err != nil {
		return err
	}
	e := errand{Kubeconfig: kubeconfig, Namespace: t.namespace, CacheDir: t.cacheDir, Elect: t.point.Fault.Elect}
	var p process
	if t.point.Fault.outside() || t.point.Bug != "" {
		if p, err = startChild(e, t.point.Bug, &t.log); err != nil {
			return err
		}
	} else {
		p = startTask(ctx, e, t.clock, &t.log)
	}
	t.processes = append(t.processes, p)
	return nil
}

// await the end of the run and of all that follows from it.
func (t *trial) await(ctx context.Context, run *v1alpha1.RecoveryRun) (*v1alpha1.RecoveryRun, error) {
	live := &v1alpha1.RecoveryRun{}
	err := until(ctx, 100*time.Millisecond, func() bool {
		if err := t.client.Get(ctx, client.ObjectKeyFromObject(run), live); err != nil {
			return false
		}
		return live.Status.FinishedAt != nil && len(live.Finalizers) == 0
	})
	if err != nil {
		waiting := "nothing"
		if live.Status.Waiting != nil {
			waiting = live.Status.Waiting.For
		}
		return live, fmt.Errorf("the run did not end: phase %s, waiting for %s, failure %+v", live.Status.Phase, waiting, live.Status.Failure)
	}
	return live, nil
}

// settle gives processes that were thawed, and what is asynchronous, a moment.
func (t *trial) settle(ctx context.Context) {
	moment := 20 * time.Millisecond
	if t.point.Fault.Kind == faultproxy.Freeze {
		moment = time.Second
	}
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (t *trial) thawAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.processes {
		p.thaw()
	}
	for _, f := range t.fronts {
		f.Thaw()
	}
	if f := t.lifecycle.workload(); f != nil {
		f.Thaw()
	}
	if t.receiver != nil {
		t.receiver.front.Thaw()
	}
}

func (t *trial) stopAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.processes {
		p.stop()
	}
	for _, f := range t.fronts {
		f.Close()
	}
	t.processes, t.fronts = nil, nil
}

// marks the places from which the audit logs are read.
func (t *trial) marks() ([]*witness.Mark, error) {
	var out []*witness.Mark
	for server, p := range map[string]*plane{witness.Management: t.management, witness.Live: t.live, witness.Workload: t.plane} {
		m, err := witness.Here(server, p.auditLog())
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
	return out, nil
}

// fail notes that the harness itself cannot go on.
func (t *trial) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = errors.Join(t.trouble, err)
}

// brief shortens a text to its beginning.
func brief(text string, limit int) string {
	text = strings.TrimSpace(text)
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
