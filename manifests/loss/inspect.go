package loss

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// Options of Inspect.
type Options struct {
	// Config of the cluster to read.
	Config *rest.Config
	// Ask is the access for dry runs; nil means Config.
	Ask *rest.Config
	// Expected objects are not in the repository and are written by a run, such as seeds.
	Expected []manifests.ID
	Clock    clock.Clock
	Log      logr.Logger
	Rules
}

// mostItems, with mostFields each, bound a preview: a list that nobody reads to its end
// need not be complete, and has to fit into an object of the API.
const (
	mostItems  = 2000
	mostFields = 50
)

// Inspect reads a cluster and judges what would be lost with it. Any error means that it
// could not be told.
func Inspect(ctx context.Context, objects []manifests.Object, o Options) (*Preview, error) {
	c := Contents{Managers: managers(objects)}
	report, err := verify.Verify(ctx, objects, verify.Options{
		Config: o.Config, Ask: o.Ask, Simulated: o.Simulated, Expected: o.Expected, Clock: o.Clock, Log: o.Log,
		Inventory: &verify.Inventory{Whole: whole, Each: func(l verify.Live) { c.Live = append(c.Live, l) }},
	})
	if err != nil {
		return nil, fmt.Errorf("preview what would be lost: %w", err)
	}
	if report.ClusterID == "" {
		return nil, errors.New("preview what would be lost: the cluster has no namespace kube-system")
	}
	c.Changed, c.ClusterID = report.Changed, report.ClusterID
	return Judge(c, o.Rules).within(mostItems), nil
}

// managers under which the objects are applied.
func managers(objects []manifests.Object) []string {
	out := []string{manifests.FieldManager}
	for _, o := range objects {
		if m := o.Manager(); !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// within a number of items, and of fields of each; those that count come before those that are excused.
func (p *Preview) within(most int) *Preview {
	for i := range p.Lost {
		if left := len(p.Lost[i].Fields) - mostFields; left > 0 {
			p.Lost[i].Fields = p.Lost[i].Fields[:mostFields:mostFields]
			p.Lost[i].Reason += fmt.Sprintf("; %d more fields are left out", left)
		}
	}
	if left := len(p.Lost) - most; left > 0 {
		slices.SortStableFunc(p.Lost, func(a, b Item) int {
			switch {
			case a.Counts() == b.Counts():
				return 0
			case a.Counts():
				return -1
			}
			return 1
		})
		p.Lost, p.LeftOut = p.Lost[:most:most], left
	}
	if left := len(p.Volumes) - most; left > 0 {
		p.Volumes, p.LeftOut = p.Volumes[:most:most], p.LeftOut+left
	}
	return p
}
