package loss_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// plane is the control plane of the tests against a real API server.
var plane *planetest.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	var err error
	if plane, err = planetest.Start(ctx, planetest.Options{Nodes: 1}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := plane.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
