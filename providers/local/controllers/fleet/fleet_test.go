package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/refloat-dev/refloat/providers/local/controllers/workload"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	key    = types.NamespacedName{Namespace: "fleet", Name: "one"}
	errBad = errors.New("bad")
)

type bench struct {
	t      *testing.T
	fleet  *Fleet
	driver *fakeDriver
	clock  *testingclock.FakeClock
	// changed carries a token for each announced change.
	changed chan struct{}
}

func newBench(t *testing.T, driver *fakeDriver, stateDir string) *bench {
	t.Helper()
	b := &bench{t: t, driver: driver, clock: testingclock.NewFakeClock(time.Now()), changed: make(chan struct{}, 100)}
	b.fleet = New(Options{StateDir: stateDir, Driver: driver, Clock: b.clock, Log: logr.Discard(), Concurrency: 1})
	b.fleet.Listen(func(types.NamespacedName) { b.changed <- struct{}{} })
	t.Cleanup(b.fleet.Close)
	return b
}

func (b *bench) ensure(key types.NamespacedName, ca string) error {
	return b.fleet.Ensure(key, Want{Authorities: &controlplane.Authorities{CA: controlplane.Pair{Cert: []byte(ca)}}, Port: 20001})
}

func (b *bench) mustEnsure() {
	b.t.Helper()
	if err := b.ensure(key, "ca"); err != nil {
		b.t.Fatal(err)
	}
}

// await waits, by the fleet's announcements, for an observation.
func (b *bench) await(what string, done func(Observation) bool) {
	b.t.Helper()
	limit := time.After(10 * time.Second)
	for !done(b.fleet.Observe(key)) {
		select {
		case <-b.changed:
		case <-limit:
			b.t.Fatalf("not %s: %+v", what, b.fleet.Observe(key))
		}
	}
}

// advance lets time pass, step by step, until done says so. The fake clock does not
// announce who waits for it, and a step that nobody waited for is lost; hence many.
func (b *bench) advance(step time.Duration, what string, done func(Observation) bool) {
	b.t.Helper()
	limit := time.After(10 * time.Second)
	for !done(b.fleet.Observe(key)) {
		b.clock.Step(step)
		select {
		case <-b.changed:
		case <-time.After(time.Millisecond):
		case <-limit:
			b.t.Fatalf("not %s: %+v", what, b.fleet.Observe(key))
		}
	}
}

func TestEnsureReturnsAtOnceAndOnce(t *testing.T) {
	driver := newDriver()
	release := make(chan struct{})
	driver.start = func(ctx context.Context, _ int) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b := newBench(t, driver, t.TempDir())
	b.mustEnsure()
	b.mustEnsure()
	if got := b.fleet.Observe(key); got.Phase != Starting || got.Healthy() {
		t.Errorf("observed %+v while starting", got)
	}
	close(release)
	b.await("running", Observation.Healthy)
	if driver.starts() != 1 {
		t.Errorf("started %d times", driver.starts())
	}
}

func TestFailedStartIsRepeated(t *testing.T) {
	driver := newDriver()
	driver.start = func(_ context.Context, n int) error {
		if n < 3 {
			return errBad
		}
		return nil
	}
	b := newBench(t, driver, t.TempDir())
	b.mustEnsure()
	b.await("failed", func(o Observation) bool { return o.Phase == StartFailed && errors.Is(o.Problem, errBad) })
	b.advance(30*time.Second, "running", Observation.Healthy)
	if driver.starts() != 3 {
		t.Errorf("started %d times, want 3", driver.starts())
	}
}

func TestProbeSeesTroubleAndRecovery(t *testing.T) {
	b := newBench(t, newDriver(), t.TempDir())
	b.mustEnsure()
	b.await("running", Observation.Healthy)
	b.driver.setHealthy(errBad)
	b.advance(2*time.Second, "ailing", func(o Observation) bool { return o.Phase == Running && errors.Is(o.Problem, errBad) })
	b.driver.setHealthy(nil)
	b.advance(2*time.Second, "healthy again", Observation.Healthy)
}

func TestNodesAskedForBeforeThePlaneRuns(t *testing.T) {
	driver := newDriver()
	release := make(chan struct{})
	driver.start = func(context.Context, int) error { <-release; return nil }
	b := newBench(t, driver, t.TempDir())
	b.fleet.SetNodes(key, workload.Pool{Count: 9}) // nobody there yet
	b.mustEnsure()
	b.fleet.SetNodes(key, workload.Pool{Count: 5})
	close(release)
	b.await("running", Observation.Healthy)
	if got := b.fleet.Observe(key).Nodes; got.Ready != 5 {
		t.Errorf("nodes %+v, want 5", got)
	}
}

// A request to a plane that does not serve would only wait for its time-out.
func TestMachinesNeedAPlaneThatServes(t *testing.T) {
	b := newBench(t, newDriver(), t.TempDir())
	check := func(want error) {
		t.Helper()
		for _, err := range []error{
			b.fleet.EnsureNode(t.Context(), key, workload.Machine{}), b.fleet.RemoveNode(t.Context(), key, workload.Machine{}),
		} {
			if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		}
	}
	check(ErrNotServing)
	b.mustEnsure()
	b.await("running", Observation.Healthy)
	check(errBad) // the helpers were asked
	b.driver.setHealthy(errBad)
	b.advance(2*time.Second, "ailing", func(o Observation) bool { return o.Problem != nil })
	check(ErrNotServing)
}

func TestStoppedFromOutsideIsStartedAgain(t *testing.T) {
	b := newBench(t, newDriver(), t.TempDir())
	b.mustEnsure()
	b.await("running", Observation.Healthy)
	close(b.driver.ended)
	b.await("noticed", func(o Observation) bool { return errors.Is(o.Problem, controlplane.ErrStopped) })
}

func TestLostDataIsNotReplaced(t *testing.T) {
	b := newBench(t, newDriver(), t.TempDir())
	b.mustEnsure()
	b.await("running", Observation.Healthy)
	if err := b.driver.Purge(t.Context(), b.fleet.planeDirectory(key)); err != nil {
		t.Fatal(err)
	}
	close(b.driver.ended)
	b.await("noticed", func(o Observation) bool { return errors.Is(o.Problem, controlplane.ErrStopped) })
	n := b.driver.starts()
	b.advance(time.Minute, "refused", func(o Observation) bool { return errors.Is(o.Problem, ErrDataLost) })
	if b.driver.starts() != n {
		t.Error("an empty plane was started in place of the lost one")
	}
}

func TestForeignStateIsRefused(t *testing.T) {
	b := newBench(t, newDriver(), t.TempDir())
	b.mustEnsure()
	b.await("running", Observation.Healthy)
	if err := b.ensure(key, "another ca"); !errors.Is(err, ErrForeignState) {
		t.Errorf("error %v, want %v", err, ErrForeignState)
	}
	if !b.fleet.Observe(key).Healthy() {
		t.Error("the plane was touched")
	}
}

func TestPurgeLeavesNothing(t *testing.T) {
	b := newBench(t, newDriver(), t.TempDir())
	b.mustEnsure()
	b.await("running", Observation.Healthy)
	for range 2 {
		if err := b.fleet.Purge(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.fleet.Observe(key).Phase; got != Absent {
		t.Errorf("phase %s", got)
	}
	entries, err := os.ReadDir(filepath.Join(b.fleet.options.StateDir, "clusters"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
	// The same name with new keys is a new cluster.
	if err := b.ensure(key, "another ca"); err != nil {
		t.Error(err)
	}
	b.await("running", Observation.Healthy)
}

func TestPurgeWhileStarting(t *testing.T) {
	driver := newDriver()
	begun := make(chan struct{})
	driver.start = func(ctx context.Context, _ int) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	b := newBench(t, driver, t.TempDir())
	b.mustEnsure()
	<-begun
	if err := b.fleet.Purge(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if len(driver.data) > 0 || b.fleet.Observe(key).Phase != Absent {
		t.Errorf("data %v, observation %+v", driver.data, b.fleet.Observe(key))
	}
}

// The next program finds the planes of the one before it.
func TestNextFleetAdopts(t *testing.T) {
	dir, driver := t.TempDir(), newDriver()
	first := newBench(t, driver, dir)
	first.mustEnsure()
	first.await("running", Observation.Healthy)
	first.fleet.Close()

	second := newBench(t, driver, dir)
	if got := second.fleet.Observe(key); got.Phase != Absent || !got.Served {
		t.Errorf("observed %+v before anybody asked, want absent and served before", got)
	}
	second.mustEnsure()
	second.await("running", Observation.Healthy)
}

func TestDirectories(t *testing.T) {
	f := New(Options{StateDir: "/state", Driver: newDriver()})
	defer f.Close()
	seen := map[string]bool{}
	for _, key := range []types.NamespacedName{
		{Namespace: "a", Name: "b"}, {Namespace: "a-b", Name: "c"}, {Namespace: "a", Name: "b-c"},
		{Namespace: "a", Name: "a-very-long-name-of-a-cluster-one"}, {Namespace: "a", Name: "a-very-long-name-of-a-cluster-two"},
	} {
		dir := f.directory(key)
		if seen[dir] || len(filepath.Base(dir)) > maxNamePart+11 {
			t.Errorf("directory %s of %s is taken or too long", dir, key)
		}
		seen[dir] = true
	}
}
