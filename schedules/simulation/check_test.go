package simulation

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestCheck: what the API server refuses is not simulated.
func TestCheck(t *testing.T) {
	number := func(n int32) *int32 { return &n }
	lasting := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	for field, change := range map[string]func(*v1alpha1.RecoveryScheduleSpec){
		"":                            func(*v1alpha1.RecoveryScheduleSpec) {},
		"spec.concurrency: -1":        func(s *v1alpha1.RecoveryScheduleSpec) { s.Concurrency = number(-1) },
		"spec.concurrency: 10001":     func(s *v1alpha1.RecoveryScheduleSpec) { s.Concurrency = number(10001) },
		"spec.priority":               func(s *v1alpha1.RecoveryScheduleSpec) { s.Priority = 1001 },
		"spec.mode":                   func(s *v1alpha1.RecoveryScheduleSpec) { s.Mode = "Both" },
		"spec.jitter":                 func(s *v1alpha1.RecoveryScheduleSpec) { s.Jitter = lasting(7 * time.Hour) },
		"spec.teardown.maxSnooze":     func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.MaxSnooze = lasting(-1) },
		"spec.teardown.notice.before": func(s *v1alpha1.RecoveryScheduleSpec) { s.Teardown.Notice.Before = lasting(25 * time.Hour) },
		"spec.rebuild.margin":         func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Margin = lasting(13 * time.Hour) },
		"spec.rebuild.expected":       func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.Expected = lasting(0) },
		"not both":                    func(s *v1alpha1.RecoveryScheduleSpec) { s.Rebuild.ReadyBy = "0 8 * * *" },
	} {
		spec := office("UTC")
		change(spec)
		err := Check(spec)
		if (err == nil) != (field == "") || err != nil && !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
