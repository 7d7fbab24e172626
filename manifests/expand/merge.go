package expand

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
	"github.com/refloat-dev/refloat/manifests/render"
)

// result puts the objects of all units together.
func (d *driver) result(rendered *render.Result, charts []ChartPin) (*Result, error) {
	skipped, err := d.outcome()
	if err != nil {
		return nil, err
	}
	units, err := d.units(rendered.Objects)
	if err != nil {
		return nil, err
	}
	objects, err := d.merged(rendered.Objects, units)
	if err != nil {
		return nil, err
	}
	if !d.options.Everything {
		if err := opened(objects); err != nil {
			return nil, err
		}
		objects = d.applicable(objects)
	}
	r := &Result{Objects: objects, Skipped: skipped, Digest: rendered.Digest, Charts: charts}
	confine(units, r.Objects)
	for _, p := range units {
		r.Units = append(r.Units, p.Unit)
	}
	for _, a := range d.attempt {
		if a.declared != nil {
			d.warn(a.declared.Warnings...)
		}
	}
	for _, t := range d.tools {
		d.warn(t.warnings()...)
	}
	d.warn(d.unread()...)
	if len(r.Objects) == 0 {
		return nil, d.nothing(skipped)
	}
	special := func(o manifests.Object) bool { return o.Rules != nil }
	if len(units) > len(d.paths) || len(r.Objects) != len(rendered.Objects) || r.Digest == "" || slices.ContainsFunc(r.Objects, special) {
		if r.Digest, err = digest(r); err != nil {
			return nil, err
		}
	}
	r.Warnings = slices.Sorted(maps.Keys(d.warnings))
	return r, nil
}

// nothing is the error for a state of which no object is left.
func (d *driver) nothing(skipped []Skipped) error {
	said := "all that it holds is for a tool that nothing in the state installs"
	if len(skipped) > 0 {
		said = skipped[0].Reason
	}
	if warned := slices.Sorted(maps.Keys(d.warnings)); len(warned) > 0 { // why definitions declare nothing
		said += "; " + strings.Join(warned[:min(len(warned), shownErrors)], "; ")
	}
	return fmt.Errorf("path %q leaves no object to apply; a cluster cannot be rebuilt from nothing: %s", d.paths[0].Name, said)
}

// claim is one unit's rendering of an object.
type claim struct {
	id     manifests.ID
	object manifests.Object
	unit   *planned // nil for a state path
	rank   int      // the sequence in which claims count
}

// merged keeps one rendering of each object. Units come before state paths, because in
// the end their tool keeps the object; among units the one that others wait for.
func (d *driver) merged(static []manifests.Object, units []*planned) ([]manifests.Object, error) {
	var claims []claim
	for i, p := range units {
		if p.declared == nil {
			continue
		}
		d.state.place(p.declared.Objects, p.declared.Namespace)
		for _, o := range p.declared.Objects {
			claims = append(claims, claim{o.ID(), o, p, i})
		}
	}
	for _, o := range static {
		claims = append(claims, claim{o.ID(), o, nil, len(units)})
	}
	taken := map[manifests.ID]bool{}
	for _, c := range claims {
		taken[c.id] = true
	}
	for i, p := range units {
		for _, o := range p.implied() {
			if id := o.ID(); !taken[id] && !d.ordinary(id) {
				taken[id] = true
				claims = append(claims, claim{id, o, p, i})
			}
		}
	}
	claims = append(claims, d.created(claims, units)...)
	slices.SortStableFunc(claims, func(a, b claim) int {
		return cmp.Or(a.id.Compare(b.id), cmp.Compare(a.rank, b.rank))
	})
	var kept []manifests.Object
	var faults []error
	var first claim
	for _, c := range claims {
		if c.id != first.id || first.object.Unstructured == nil {
			first = c
			kept = append(kept, c.object)
		} else if err := d.again(first, c); err != nil {
			faults = append(faults, err)
		}
	}
	return kept, joined(faults)
}

func (p *planned) implied() []manifests.Object {
	if p.declared == nil {
		return nil
	}
	return p.declared.Implied
}

// ordinary namespaces are on every cluster.
func (d *driver) ordinary(id manifests.ID) bool {
	return id.GroupKind() == schema.GroupKind{Kind: "Namespace"} && builtin.Namespace(id.Name)
}

// again deals with an object that is rendered a second time.
func (d *driver) again(first, second claim) error {
	if second.unit == nil && first.object.Origin.File == second.object.Origin.File {
		return nil // a state path holds what a unit renders from the same file
	}
	same, err := equal(first, second)
	if err != nil {
		return err
	}
	a, b := where(first), where(second)
	if !same {
		return fmt.Errorf("%s: %s is rendered twice with different content, by %s and by %s: they would overwrite each other, keep one",
			second.object.Origin, second.id, a, b)
	}
	d.warn(fmt.Sprintf("%s is rendered twice, identically, by %s and by %s: it is applied once, with %s", second.id, a, b, first.object.Origin.Unit))
	return nil
}

func where(c claim) string { return fmt.Sprintf("%s (%s)", c.object.Origin.Unit, c.object.Origin) }

// equal compares two renderings without the labels and annotations that say whose they are.
func equal(a, b claim) (bool, error) {
	keys := append(a.ownership(), b.ownership()...)
	x, err := json.Marshal(unowned(a.object, keys))
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(unowned(b.object, keys))
	return bytes.Equal(x, y), err
}

func (c claim) ownership() []string {
	if c.unit == nil {
		return nil
	}
	return slices.Clone(c.unit.declared.Ownership)
}

func unowned(o manifests.Object, keys []string) map[string]any {
	u := o.DeepCopy()
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	for _, key := range keys {
		delete(labels, key)
		delete(annotations, key)
	}
	u.SetLabels(labels)
	u.SetAnnotations(annotations)
	for field, entries := range map[string]map[string]string{"labels": labels, "annotations": annotations} {
		if len(entries) == 0 {
			unstructured.RemoveNestedField(u.Object, "metadata", field)
		}
	}
	return u.Object
}

// applicable leaves out the objects of a tool that nothing in the state installs.
func (d *driver) applicable(objects []manifests.Object) []manifests.Object {
	left := map[schema.GroupKind][]manifests.Object{}
	kept := objects[:0:0]
	for _, o := range objects {
		gk := o.ID().GroupKind()
		if d.owner(gk) != nil && !d.known(gk) {
			left[gk] = append(left[gk], o)
			continue
		}
		kept = append(kept, o)
	}
	for gk, all := range left {
		d.warn(fmt.Sprintf("%s: %s (%d in all) is read here and not applied, because nothing in the state installs %s",
			all[0].Origin, all[0].ID(), len(all), gk))
	}
	return kept
}

// digest covers what is done with the objects as well as the objects.
func digest(r *Result) (string, error) {
	sum := sha256.New()
	encoder := json.NewEncoder(sum)
	units := make([]manifests.Unit, len(r.Units))
	for i, u := range r.Units {
		u.Origin = manifests.Origin{} // where something is written is no part of what it is
		units[i] = u
	}
	if err := encoder.Encode(units); err != nil {
		return "", err
	}
	for _, o := range r.Objects {
		if err := encoder.Encode([]any{o.Origin.Unit, steady(o), unplaced(o.Rules)}); err != nil {
			return "", fmt.Errorf("%s: %s cannot be written as JSON: %w", o.Origin, o.ID(), err)
		}
	}
	for _, c := range r.Charts {
		if err := encoder.Encode(c); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// unplaced are rules without the places at which they are written.
func unplaced(r *manifests.Rules) *manifests.Rules {
	if r == nil {
		return nil
	}
	c := *r
	if c.Health != nil {
		h := *c.Health
		h.From = ""
		c.Health = &h
	}
	c.Ignore = slices.Clone(c.Ignore)
	for i := range c.Ignore {
		c.Ignore[i].From = ""
	}
	return &c
}
