package verify

import (
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestPanicEndsTheVerificationAlone, without a word of what it was about.
func TestPanicEndsTheVerificationAlone(t *testing.T) {
	v := &verifier{}
	group, ctx := errgroup.WithContext(t.Context())
	var none map[string]any
	v.spawn(group, func() error {
		none["hunter2"] = true // as a library might
		return nil
	})
	err := group.Wait()
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a fault in Refloat itself") {
		t.Errorf("%v", err)
	}
	if ctx.Err() == nil {
		t.Error("the others go on")
	}
}
