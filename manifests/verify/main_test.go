package verify_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// plane is shared by the tests of this package, which undo what they change.
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
