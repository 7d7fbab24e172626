package loss_test

import (
	"os"
	"testing"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// plane is the control plane of the tests against a real API server.
var plane *planetest.Plane

func TestMain(m *testing.M) { os.Exit(planetest.Main(m, &plane, planetest.Options{Nodes: 1})) }
