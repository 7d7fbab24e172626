package fake_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/capi/conformance"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

func TestConformance(t *testing.T) {
	conformance.Conformance(t, func(t *testing.T) conformance.Target {
		m := fake.New(t, fake.Options{Clock: clock.RealClock{}})
		return conformance.Target{
			Clusters: m.Clusters(m.Store), Namespace: "fleet", Sources: fake.Sources,
			Timeout: 10 * time.Second, MinNodes: 1,
			// The fake moves only when it is settled, so two looks decide.
			Await: func(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
				for range 3 {
					if err := m.Settle(ctx); err != nil {
						return err
					}
					if ok, err := done(ctx); ok || err != nil {
						return err
					}
				}
				return fmt.Errorf("waited in vain for %s", what)
			},
		}
	})
}
