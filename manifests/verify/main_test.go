package verify_test

import (
	"os"
	"testing"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// plane is shared by the tests of this package, which undo what they change.
var plane *planetest.Plane

func TestMain(m *testing.M) { os.Exit(planetest.Main(m, &plane, planetest.Options{Nodes: 1})) }
