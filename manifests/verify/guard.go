package verify

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// spawn is the one place that starts goroutines here. A panic on some object ends the
// verification with an error, not the process and every other run with it; an error is never
// taken for a match. What is said of it cannot hold anything of an object.
func (v *verifier) spawn(group *errgroup.Group, do func() error) {
	group.Go(func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				what := fmt.Sprintf("%T", p)
				if known, ok := p.(runtime.Error); ok {
					what = known.Error()
				}
				v.Log.Info("a fault in Refloat itself; please report it", "fault", what, "stack", string(debug.Stack()))
				err = fmt.Errorf("a fault in Refloat itself, which is worth a report: %s", what)
			}
		}()
		return do()
	})
}
