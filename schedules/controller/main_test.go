package controller_test

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// plane is the control plane of the tests against a real API server.
var plane *planetest.Plane

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(planetest.Main(m, &plane, planetest.Options{}))
}
