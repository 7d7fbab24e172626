package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/health"
)

// verifier holds one verification under way.
type verifier struct {
	Options
	client  *cluster.Client
	kinds   *cluster.Kinds
	classes *cluster.StorageClasses

	objects []manifests.Object
	index   map[manifests.ID]int
	scaled  map[manifests.ID]manifests.ID
	// prefixes are the names, with their kinds, of rendered objects that have only the
	// beginning of one.
	prefixes map[manifests.ID]bool
	expected map[manifests.ID]bool
	// lane bounds the dry runs in flight.
	lane chan struct{}
	jq   *jqCache

	mu     sync.Mutex
	seen   []bool
	prints map[int][sha256.Size]byte
	groups map[Group]Group
	strays []stray
	live   map[manifests.ID]*Live
	report Report
}

func newVerifier(objects []manifests.Object, o Options, client *cluster.Client) *verifier {
	v := &verifier{
		Options:  o,
		client:   client,
		kinds:    &cluster.Kinds{},
		classes:  &cluster.StorageClasses{},
		objects:  objects,
		index:    make(map[manifests.ID]int, len(objects)),
		scaled:   scaled(objects),
		prefixes: map[manifests.ID]bool{},
		expected: map[manifests.ID]bool{},
		lane:     make(chan struct{}, o.Concurrency),
		jq:       newJQCache(),
		seen:     make([]bool, len(objects)),
		groups:   map[Group]Group{},
		live:     map[manifests.ID]*Live{},
		prints:   make(map[int][sha256.Size]byte, len(objects)),
		report:   Report{Rendered: len(objects), Thorough: o.Thorough},
	}
	for _, id := range o.Expected {
		v.expected[id] = true
	}
	return v
}

// listsAtOnce bounds how many pages of objects are held at a time.
const listsAtOnce = 4

// prepare learns what the cluster serves, which tells what the objects are called there.
func (v *verifier) prepare(ctx context.Context) error {
	if err := v.discover(ctx); err != nil {
		return err
	}
	if err := v.client.LearnStorageClasses(ctx, v.kinds, v.classes); err != nil {
		return err
	}
	return v.indexAll()
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.prepare(ctx); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(listsAtOnce)
	for _, p := range v.passes() {
		v.spawn(group, func() error { return v.read(inner, p) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := v.unseen(ctx); err != nil {
		return err
	}
	v.sortOut()
	v.tellInventory()
	return nil
}

// indexAll objects that are looked for, or known not to be.
func (v *verifier) indexAll() error {
	for i, o := range v.objects {
		id := v.key(o)
		if rule, detail := unsought(o); rule != "" {
			v.seen[i] = true
			v.skip(i, rule, detail)
			if o.GetName() == "" {
				id.Name = o.GetGenerateName()
				v.prefixes[id] = true
				continue
			}
		}
		if other, ok := v.index[id]; ok {
			return fmt.Errorf("%s is rendered twice, at %s and %s", id, v.objects[other].Origin, o.Origin)
		}
		v.index[id] = i
	}
	return nil
}

// discover tolerates silent groups only where nothing could answer: on a simulated
// cluster, for an aggregated API that the repository itself brings.
func (v *verifier) discover(ctx context.Context) error {
	var partial *cluster.PartialError
	err := v.client.Discover(ctx, v.kinds)
	if !errors.As(err, &partial) {
		return err
	}
	if !v.Simulated {
		return err
	}
	for gv := range partial.Groups {
		if !v.rendersAPI(gv) {
			return err
		}
	}
	v.Log.Info("an aggregated API does not answer, as is to be expected on a simulated cluster", "detail", partial.Error())
	return nil
}

func (v *verifier) rendersAPI(gv schema.GroupVersion) bool {
	for _, o := range v.objects {
		id := o.ID()
		if id.Group == "apiregistration.k8s.io" && id.Kind == "APIService" && id.Name == gv.Version+"."+gv.Group {
			return true
		}
	}
	return false
}

// key is the ID under which the live object answers.
func (v *verifier) key(o manifests.Object) manifests.ID {
	id := o.ID()
	if r, ok := v.kinds.Lookup(o.GroupVersionKind()); ok && !r.Namespaced {
		id.Namespace = ""
	} else if k := builtin.Lookup(id.GroupKind()); k != nil && !k.Namespaced {
		id.Namespace = ""
	}
	return id
}

// pass is one list to read. A kind is inventoried once, and compared in each version
// in which it was rendered.
type pass struct {
	resource  cluster.Resource
	compare   bool
	inventory bool
}

func (v *verifier) passes() []pass {
	var out []pass
	inventoried := map[schema.GroupKind]bool{}
	added := map[schema.GroupVersionKind]bool{}
	for _, o := range v.objects {
		gvk := o.GroupVersionKind()
		r, ok := v.kinds.Lookup(gvk)
		if !ok || added[gvk] || !r.Listable {
			continue
		}
		added[gvk] = true
		out = append(out, pass{resource: r, compare: true, inventory: !inventoried[gvk.GroupKind()]})
		inventoried[gvk.GroupKind()] = true
	}
	for _, r := range v.kinds.Preferred() {
		gk := r.GroupVersionKind().GroupKind()
		if r.Listable && !inventoried[gk] && !skipped(gk) {
			out = append(out, pass{resource: r, inventory: true})
		}
	}
	return out
}

// read one list. Objects to compare are read whole, all others by metadata.
func (v *verifier) read(ctx context.Context, p pass) error {
	gk := p.resource.GroupVersionKind().GroupKind()
	if !p.compare && gk != cluster.StorageClassKind.GroupKind() && !v.wants(gk) {
		_, err := v.client.ListMetadata(ctx, p.resource, func(m *metav1.PartialObjectMetadata) error {
			v.stray(p.resource, m, nil)
			return nil
		})
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	_, err := v.client.List(ctx, p.resource, func(u *unstructured.Unstructured) error {
		i, rendered := v.index[manifests.IDOf(u)]
		switch {
		case rendered && v.Inventory == nil:
			v.mu.Lock()
			v.identify(manifests.IDOf(u), string(u.GetUID()))
			v.mu.Unlock()
		case rendered:
			v.stray(p.resource, headOf(u), u)
		case p.inventory:
			v.stray(p.resource, metadataOf(u), u)
		}
		if rendered && v.objects[i].GroupVersionKind() == u.GroupVersionKind() {
			return v.check(ctx, group, i, u)
		}
		return nil
	})
	return errors.Join(err, group.Wait())
}

// check one live object: what can be shown at once, at once; the rest in the lane.
func (v *verifier) check(ctx context.Context, group *errgroup.Group, i int, live *unstructured.Unstructured) error {
	v.mu.Lock()
	again := v.seen[i]
	v.seen[i] = true
	v.mu.Unlock()
	if again { // a list that was resumed shows objects twice
		return nil
	}
	v.assess(i, live)
	c, err := v.comparison(ctx, i, live)
	if err != nil {
		return err
	}
	if c.settled() {
		return v.record(ctx, c)
	}
	select {
	case v.lane <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	v.spawn(group, func() error {
		defer func() { <-v.lane }()
		if err := v.ask(ctx, c); err != nil {
			return err
		}
		return v.record(ctx, c)
	})
	return nil
}

// unseen reads one by one what no list had: most of it is missing.
func (v *verifier) unseen(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i, o := range v.objects {
		if v.seen[i] {
			continue
		}
		r, ok := v.kinds.Lookup(o.GroupVersionKind())
		if !ok {
			v.missing(i, "the API server serves no kind "+o.GroupVersionKind().String())
			continue
		}
		live, err := v.client.Get(ctx, r, o.GetNamespace(), o.GetName())
		switch {
		case apierrors.IsNotFound(err):
			v.missing(i, "it does not exist")
		case err != nil:
			return errors.Join(fmt.Errorf("read %s: %w", o.ID(), err), group.Wait())
		default:
			if err := v.check(ctx, group, i, live); err != nil {
				return errors.Join(err, group.Wait())
			}
		}
	}
	return group.Wait()
}

// missing records an object that is not there.
func (v *verifier) missing(i int, detail string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if rule, excuse := mayBeGone(v.objects[i]); rule != "" {
		v.skip(i, rule, excuse)
		if rule != ruleOptional {
			v.report.NotProvable = append(v.report.NotProvable, v.finding(i, excuse))
		}
		return
	}
	v.report.Missing = append(v.report.Missing, v.finding(i, detail))
}

func (v *verifier) finding(i int, detail string) Finding {
	return Finding{ID: v.objects[i].ID(), Origin: v.objects[i].Origin, Detail: detail}
}

func (v *verifier) assess(i int, live *unstructured.Unstructured) {
	a := v.assessment(v.objects[i], live)
	v.mu.Lock()
	defer v.mu.Unlock()
	message := string(a.Status) + ": " + a.Message
	switch a.Status {
	case health.Healthy:
		v.report.Healthy++
	case health.NotProvable:
		v.report.NotProvable = append(v.report.NotProvable, v.finding(i, a.Message))
	default:
		if rule := excused(v.objects[i]); rule != "" {
			v.exempt(i, rule, message)
			return
		}
		v.report.Unhealthy = append(v.report.Unhealthy, v.finding(i, message))
	}
}

// assessment of the health of a rendered object's live one.
func (v *verifier) assessment(o manifests.Object, live *unstructured.Unstructured) health.Assessment {
	return health.Assess(live, health.Environment{
		Simulated: v.Simulated,
		StatusSubresource: func(gvk schema.GroupVersionKind) bool {
			r, ok := v.kinds.Lookup(gvk)
			return ok && r.StatusSubresource
		},
		WaitsForConsumer: v.classes.WaitsForConsumer,
		Check: func(manifests.ID) *manifests.HealthCheck {
			if o.Rules == nil {
				return nil
			}
			return o.Rules.Health
		},
	})
}
