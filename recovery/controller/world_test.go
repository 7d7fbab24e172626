package controller

import (
	gocmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/quarantine"
	"github.com/refloat-dev/refloat/manifests/source"
	"github.com/refloat-dev/refloat/manifests/verify"
	"github.com/refloat-dev/refloat/outbound"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/drain"
	"github.com/refloat-dev/refloat/recovery/report"
)

const namespace = "fleet"

var errKilled = errors.New("the process was killed")

// world is a management cluster with a controller in it that can be killed at any
// write and replaced by another one on the same store.
type world struct {
	t      *testing.T
	store  *fake.Management
	clock  *clocktesting.FakeClock
	engine *scripted
	drains *scriptedDrain
	r      *Reconciler

	mu      sync.Mutex
	writes  int
	killAt  int  // the write at which the process dies; 0 never
	after   bool // whether that write still takes effect
	dead    bool
	fail    func(verb string, o client.Object) error // an error instead of a write
	creates map[string]int
	deletes map[types.UID]int
	// approver says yes, once, when a run asks; nobody does when it is empty.
	approver string
	approved bool
	// posts to hooks, and what answers them; nil answers 204.
	posts []outbound.Message
	hook  func(outbound.Message) (string, error)
	// applies counts requests that apply an object to the management cluster.
	applies int
	// beforeApply happens while such a request is on its way.
	beforeApply func()
}

// post is what hooks are called with.
func (w *world) post(_ context.Context, m outbound.Message) (string, error) {
	if err := w.read(); err != nil {
		return "", err
	}
	w.posts = append(w.posts, m)
	if w.hook != nil {
		return w.hook(m)
	}
	return "204 No Content", nil
}

func newWorld(t *testing.T) *world {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	// The store stamps deletions with real time, so the clock begins there.
	w := &world{t: t, clock: clocktesting.NewFakeClock(time.Now().UTC().Truncate(time.Second)), creates: map[string]int{}, deletes: map[types.UID]int{}}
	w.store = fake.New(t, fake.Options{Clock: w.clock, Scheme: scheme, StatusOf: []client.Object{&v1alpha1.RecoveryRun{}, &v1alpha1.RecoveryPlan{}, &v1alpha1.TeardownBudget{}}})
	w.engine = &scripted{w: w, objects: 3, digest: "digest", live: map[string]map[string]bool{}, wrote: map[string]int{}}
	w.drains = &scriptedDrain{w: w, survey: drain.Survey{Needed: true}, out: drain.Outcome{Complete: true}, stopped: map[string]bool{}}
	w.replace()
	return w
}

// replace the controller by one that knows nothing.
func (w *world) replace() {
	w.mu.Lock()
	w.dead, w.killAt = false, 0
	w.mu.Unlock()
	c := interceptor.NewClient(w.store.Store, w.faults())
	o := Options{Clock: w.clock, Engine: w.engine, Drainer: w.drains, Post: w.post}.withDefaults()
	w.r = newReconciler(c, c, w.store.Clusters(c), o, &events.FakeRecorder{}, func(work func()) { work() }, func(client.ObjectKey) {})
}

// write lets one write pass, kills the process at it, or lets it fail.
func (w *world) write(verb string, o client.Object, effect func() error) error {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return errKilled
	}
	w.writes++
	kill := w.writes == w.killAt
	w.dead = kill
	w.mu.Unlock()
	if kill && !w.after {
		return errKilled
	}
	if w.fail != nil && !kill {
		if err := w.fail(verb, o); err != nil {
			return err
		}
	}
	if err := effect(); err != nil {
		return err
	}
	w.count(verb, o)
	if kill {
		return errKilled
	}
	return nil
}

func (w *world) count(verb string, o client.Object) {
	if o == nil {
		return
	}
	run := o.GetAnnotations()[capi.AnnotationRun]
	switch {
	case verb == "create" && run != "":
		w.creates[fmt.Sprintf("%T %s %s of %s", o, o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), run)]++
	case verb == "delete":
		if cluster, ok := o.(*clusterv1.Cluster); ok {
			w.deletes[cluster.UID]++
		}
	}
}

func (w *world) read() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return errKilled
	}
	return nil
}

func (w *world) faults() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return errors.Join(w.read(), c.Get(ctx, k, o, opts...))
		},
		List: func(ctx context.Context, c client.WithWatch, o client.ObjectList, opts ...client.ListOption) error {
			return errors.Join(w.read(), c.List(ctx, o, opts...))
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if len((&client.CreateOptions{}).ApplyOptions(opts).DryRun) > 0 {
				return errors.Join(w.read(), c.Create(ctx, o, opts...))
			}
			return w.write("create", o, func() error { return c.Create(ctx, o, opts...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return w.write("update", o, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return w.write("patch", o, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		// The store cannot apply: to write the whole object is as good here.
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if len((&client.ApplyOptions{}).ApplyOptions(opts).DryRun) > 0 {
				return errors.Join(w.read(), tried(ctx, c, o))
			}
			w.applies++
			if w.beforeApply != nil {
				w.beforeApply()
			}
			return w.write("apply", nil, func() error { return applied(ctx, c, o) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return w.write("delete", o, func() error { return c.Delete(ctx, o, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			return w.write("update status", o, func() error { return c.SubResource(sub).Update(ctx, o, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return w.write("patch status", o, func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
	}
}

func applied(ctx context.Context, c client.Client, o runtime.ApplyConfiguration) error {
	u := &unstructured.Unstructured{}
	raw, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(raw, u)
	}
	if err != nil {
		return err
	}
	live := u.DeepCopy()
	err = c.Get(ctx, client.ObjectKeyFromObject(u), live)
	if apierrors.IsNotFound(err) {
		return c.Create(ctx, u)
	}
	if u.GetResourceVersion() == "" {
		u.SetResourceVersion(live.GetResourceVersion())
	}
	if err != nil {
		return err
	}
	return c.Update(ctx, u)
}

// tried says which version an object has that would be applied.
func tried(ctx context.Context, c client.Client, o runtime.ApplyConfiguration) error {
	u, ok := o.(interface {
		client.Object
		runtime.ApplyConfiguration
	})
	if !ok {
		return fmt.Errorf("%T is no object", o)
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(u.GetObjectKind().GroupVersionKind())
	err := c.Get(ctx, client.ObjectKeyFromObject(u), live)
	u.SetResourceVersion(live.GetResourceVersion())
	return client.IgnoreNotFound(err)
}

func (w *world) plan(change func(*v1alpha1.RecoveryPlan)) {
	w.t.Helper()
	plan := &v1alpha1.RecoveryPlan{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plan"},
		Spec: v1alpha1.RecoveryPlanSpec{
			Source:    v1alpha1.GitSource{URL: "https://git.example.com/fleet.git"},
			Cluster:   v1alpha1.ClusterTemplate{Name: "dev", Path: "capi"},
			State:     []v1alpha1.StatePath{{Path: "state"}},
			Seeds:     []v1alpha1.Seed{{SecretRef: v1alpha1.LocalSecretReference{Name: "age"}, Namespace: "flux-system"}},
			Objective: v1alpha1.Objective{RecoveryTime: &metav1.Duration{Duration: time.Hour}},
		},
	}
	if change != nil {
		change(plan)
	}
	w.must(w.store.Store.Create(w.t.Context(), plan))
	w.must(w.store.Store.Create(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "age"}, Data: map[string][]byte{"age.key": []byte("canary")}}))
}

func (w *world) order(name string, operation v1alpha1.Operation) {
	w.t.Helper()
	w.must(w.store.Store.Create(w.t.Context(), &v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "plan"}, Operation: operation, Failover: takesOver(operation)},
	}))
}

// existing makes a cluster as an earlier run would have.
func (w *world) existing(stamp capi.Stamp) capi.Incarnation {
	w.t.Helper()
	m, err := capi.Parse(fake.Sources("dev"), "dev", namespace)
	w.must(err)
	inc, err := w.store.Clusters(w.store.Store).Create(w.t.Context(), m, stamp)
	w.must(err)
	w.must(w.store.Settle(w.t.Context()))
	return inc
}

func (w *world) run(name string) *v1alpha1.RecoveryRun {
	w.t.Helper()
	run := &v1alpha1.RecoveryRun{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, run))
	return run
}

func (w *world) reconcile(name string) error {
	_, err := w.r.Reconcile(w.t.Context(), requestFor(name))
	return err
}

func requestFor(name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// step reconciles once and lets Cluster API and time go on. A killed controller is
// replaced.
func (w *world) step(name string) {
	w.t.Helper()
	if err := w.reconcile(name); errors.Is(err, errKilled) || w.read() != nil {
		w.replace()
	}
	w.must(w.store.Settle(w.t.Context()))
	if w.approver != "" && !w.approved {
		if run := w.run(name); run.Status.Approval != nil && run.Status.Approval.ApprovedAt == nil {
			w.approved = true
			w.approve(w.approver, run, nil)
		}
	}
	w.clock.Step(time.Second)
}

// until reconciles until the condition holds.
func (w *world) until(name, what string, holds func(*v1alpha1.RecoveryRun) bool) *v1alpha1.RecoveryRun {
	w.t.Helper()
	for range 100 {
		w.step(name)
		if run := w.run(name); holds(run) {
			return run
		}
	}
	w.t.Fatalf("run %s: waited in vain for %s: it waits for %+v, %+v", name, what, w.run(name).Status.Waiting, w.run(name).Status)
	return nil
}

// finish drives a run to its end and checks every rule of a finished one.
func (w *world) finish(name string) *v1alpha1.RecoveryRun {
	w.t.Helper()
	run := w.until(name, "its end", func(run *v1alpha1.RecoveryRun) bool {
		return run.Status.FinishedAt != nil && len(run.Finalizers) == 0
	})
	for _, fault := range recovery.Lint(run) {
		w.t.Errorf("run %s: %s", name, fault)
	}
	for uid, n := range w.deletes {
		if n != 1 {
			w.t.Errorf("Cluster %s was deleted %d times", uid, n)
		}
	}
	for object, n := range w.creates {
		if n != 1 {
			w.t.Errorf("%s was created %d times", object, n)
		}
	}
	for object, n := range w.engine.wrote {
		if n != 1 {
			w.t.Errorf("%s was applied %d times", object, n)
		}
	}
	leases := &coordinationv1.LeaseList{}
	w.must(w.store.Store.List(w.t.Context(), leases))
	for _, lease := range leases.Items {
		if *lease.Spec.HolderIdentity == string(run.UID) {
			w.t.Errorf("run %s still holds Lease %s", name, lease.Name)
		}
	}
	return run
}

func (w *world) report(run *v1alpha1.RecoveryRun) *report.Report {
	w.t.Helper()
	held := &corev1.ConfigMap{}
	w.must(w.store.Store.Get(w.t.Context(), types.NamespacedName{Namespace: namespace, Name: run.Status.ReportRef.Name}, held))
	r, err := report.FromConfigMap(held)
	w.must(err)
	return r
}

func (w *world) clusters() []string {
	list := &clusterv1.ClusterList{}
	w.must(w.store.Store.List(w.t.Context(), list))
	names := []string{}
	for _, c := range list.Items {
		names = append(names, c.Name)
	}
	return names
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// scripted is an engine whose clusters are sets of names.
type scripted struct {
	w       *world
	objects int
	state   []manifests.Object // besides
	digest  string
	// clusterDigest is "cluster" when empty.
	clusterDigest string
	sources       func(name string) []capi.Source // fake.Sources when nil

	renderErr, seedErr, applyErr, verifyErr error
	verdict                                 *report.Verification
	verdicts                                []*report.Verification // come before verdict, one by one

	live  map[string]map[string]bool // by API server: what was applied
	wrote map[string]int

	settings VerifySettings // of the last verification

	loss    *loss.Preview // what goes with a cluster; nothing when nil
	lossErr error
	asksFor LossSettings // of the last preview
	looks   int          // at what would be lost

	record func(*unstructured.Unstructured) // changes what a switch applies

	charts []expand.ChartPin
	frozen []expand.FrozenRelease
	pinned []expand.SourcePin
	asked  RenderRequest // of the last rendering
	limits ApplyLimits   // of the last apply

	drilled      []quarantine.Change
	renderings   int
	onRender     func(n int) error // before each rendering, counted from 1
	origin       *v1alpha1.CommitOrigin
	probed       []source.Probed // one that answers when nil
	findings     []lint.Finding
	panicsOnLint bool
}

func (s *scripted) Probe(_ context.Context, request RenderRequest, _ time.Duration) ([]source.Probed, error) {
	if s.probed == nil {
		return []source.Probed{{URL: request.Source.URL, Tip: strings.Repeat("a", 40)}}, nil
	}
	return s.probed, nil
}

func (s *scripted) Lint(*Rendered, []v1alpha1.Seed) (*lint.Report, error) {
	if s.panicsOnLint {
		s.findings = s.findings[len(s.findings)+1:]
	}
	return &lint.Report{Findings: s.findings}, nil
}

func (s *scripted) Render(_ context.Context, request RenderRequest) (*Rendered, error) {
	s.asked = request
	s.renderings++
	if s.onRender != nil {
		if err := s.onRender(s.renderings); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(s.w.read(), s.renderErr); err != nil {
		return nil, s.renderErr
	}
	sources := fake.Sources
	if s.sources != nil {
		sources = s.sources
	}
	r := &Rendered{
		Commit: strings.Repeat("a", 40), Digest: s.digest, ClusterDigest: gocmp.Or(s.clusterDigest, "cluster"), Waves: 2, Cluster: sources(request.ClusterName),
		Charts: s.charts, Frozen: s.frozen, Sources: s.pinned, Drilled: s.drilled, Origin: s.origin,
	}
	for i := range s.objects {
		u := &unstructured.Unstructured{}
		u.SetAPIVersion("v1")
		u.SetKind("ConfigMap")
		u.SetName(fmt.Sprintf("o%d", i))
		r.State = append(r.State, manifests.Object{Unstructured: u})
	}
	r.State = append(r.State, s.state...)
	for _, d := range request.Directories {
		if r.Directories == nil {
			r.Directories = map[string][]capi.Source{}
		}
		r.Directories[d.Call] = s.directory(d)
	}
	return r, nil
}

// directory of a switch: a record of a name that leads to the cluster.
func (s *scripted) directory(d recovery.Directory) []capi.Source {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "record"}, "data": map[string]any{"to": d.Cluster},
	}}
	if s.record != nil {
		s.record(u)
	}
	return []capi.Source{{Object: u, From: d.Path + "/record.yaml"}}
}

func (s *scripted) Seed(ctx context.Context, target Target, _ []SeedSecret) error {
	if err := target.Guard(ctx); err != nil {
		return err
	}
	if s.seedErr != nil {
		return s.seedErr
	}
	return s.w.write("seed", nil, func() error { return nil })
}

func (s *scripted) Apply(ctx context.Context, rendered *Rendered, target Target, limits ApplyLimits, tell func(ApplyProgress)) ([]report.Object, error) {
	s.limits = limits
	if err := target.Guard(ctx); err != nil {
		return nil, err
	}
	live := s.live[target.Config.Host]
	if live == nil {
		live = map[string]bool{}
		s.live[target.Config.Host] = live
	}
	var objects []report.Object
	for _, o := range rendered.State {
		result := report.Object{ID: o.ID().String(), Wave: 1, Status: "Healthy", Adopted: live[o.GetName()]}
		if !result.Adopted {
			err := s.w.write("apply", nil, func() error {
				live[o.GetName()] = true
				s.wrote[target.Config.Host+" "+o.GetName()]++
				return nil
			})
			if err != nil {
				return objects, err
			}
		}
		objects = append(objects, result)
		tell(ApplyProgress{Progress: v1alpha1.Progress{Total: int32(len(rendered.State)), Applied: int32(len(objects))}})
	}
	return objects, s.applyErr
}

func (s *scripted) Verify(ctx context.Context, rendered *Rendered, target Target, settings VerifySettings, tell func(ApplyProgress)) (*Verified, error) {
	if err := errors.Join(s.w.read(), target.Guard(ctx), s.verifyErr); err != nil {
		return nil, err
	}
	s.settings = settings
	if settings.StableFor > 0 {
		tell(ApplyProgress{Waiting: "objects to stay healthy"})
	}
	v := s.verification(rendered, target)
	if settings.Key == nil || !v.Matches() {
		return &Verified{Verification: v}, nil
	}
	envelope, err := certificate.Sign(ctx, certificate.New(&verify.Report{Rendered: 1, Matched: 1}, settings.Facts), settings.Key)
	return &Verified{Verification: v, Certificate: envelope}, err
}

func (s *scripted) Loss(_ context.Context, _ *Rendered, _ Target, settings LossSettings) (*loss.Preview, error) {
	if err := errors.Join(s.w.read(), s.lossErr); err != nil {
		return nil, err
	}
	s.asksFor, s.looks = settings, s.looks+1
	if s.loss == nil {
		return &loss.Preview{ClusterID: string(settings.ClusterID), At: settings.Rules.Now}, nil
	}
	p := *s.loss
	p.ClusterID, p.At = string(settings.ClusterID), settings.Rules.Now
	return &p, nil
}

func (s *scripted) verification(rendered *Rendered, target Target) *report.Verification {
	if len(s.verdicts) > 0 {
		first := s.verdicts[0]
		s.verdicts = s.verdicts[1:]
		return first
	}
	if s.verdict != nil {
		return s.verdict
	}
	n := 0
	for _, o := range rendered.State {
		if s.live[target.Config.Host][o.GetName()] {
			n++
		}
	}
	return &report.Verification{Rendered: len(rendered.State), Matched: n, Healthy: n, Missing: len(rendered.State) - n}
}

// outcomeOf a run without what may differ between two that went equally well.
func outcomeOf(run *v1alpha1.RecoveryRun) v1alpha1.RecoveryRunStatus {
	s := *run.Status.DeepCopy()
	s.Epoch = 0
	for _, inc := range []*v1alpha1.Incarnation{s.Previous, s.Target} {
		if inc != nil {
			inc.UID, inc.KubeSystemUID, inc.Name = "", "", ""
		}
	}
	if s.Failover != nil {
		s.Failover.From.UID, s.Failover.To.UID = "", ""
	}
	for i := range s.Conditions {
		s.Conditions[i].Message = ""
	}
	for i := range s.Phases {
		s.Phases[i].Message = ""
	}
	return s
}

var sameOutcome = cmp.Options{
	cmpopts.IgnoreTypes(metav1.Time{}, metav1.MicroTime{}, &metav1.Time{}, &metav1.MicroTime{}),
	// The Secret of what charts made up is named for the process that wrote it.
	cmpopts.IgnoreFields(v1alpha1.PinnedInputs{}, "PlanUID", "FrozenSecret"),
	cmpopts.SortSlices(func(a, b metav1.Condition) bool { return a.Type < b.Type }),
}
