package controlplane_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Kept by client-go for idle connections of watches that just ended.
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}
