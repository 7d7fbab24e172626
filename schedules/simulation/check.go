package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Check the bounds that the API server checks, for a schedule that never saw one: what it
// refuses does nothing, so nothing is to be told about it.
func Check(spec *v1alpha1.RecoveryScheduleSpec) error {
	if c := spec.Concurrency; c != nil && (*c < 0 || *c > 10000) {
		return fmt.Errorf("spec.concurrency: %d is not between 0 (no limit) and 10000", *c)
	}
	if spec.Priority < -1000 || spec.Priority > 1000 {
		return fmt.Errorf("spec.priority: %d is not between -1000 and 1000", spec.Priority)
	}
	if !slices.Contains([]v1alpha1.ScheduleMode{"", v1alpha1.ModeEdges, v1alpha1.ModeLevel}, spec.Mode) {
		return fmt.Errorf("spec.mode: %q is none of Edges and Level", spec.Mode)
	}
	faults := []error{between("spec.jitter", spec.Jitter, 0, 6*time.Hour)}
	if down := spec.Teardown; down != nil {
		faults = append(faults, between("spec.teardown.maxSnooze", down.MaxSnooze, 0, 168*time.Hour),
			between("spec.teardown.notice.before", down.Notice.Before, 0, 24*time.Hour))
	}
	if up := spec.Rebuild; up != nil {
		if up.Cron != "" && up.ReadyBy != "" {
			return errors.New("spec.rebuild: give cron, when to start, or readyBy, when to be ready, and not both")
		}
		faults = append(faults, between("spec.rebuild.margin", up.Margin, 0, 12*time.Hour), between("spec.rebuild.expected", up.Expected, time.Nanosecond, 24*time.Hour))
	}
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

func between(field string, d *metav1.Duration, least, most time.Duration) error {
	switch {
	case d == nil || d.Duration >= least && d.Duration <= most:
		return nil
	case least > 0:
		return fmt.Errorf("%s: %s is not longer than 0s and at most %s", field, d.Duration, most)
	}
	return fmt.Errorf("%s: %s is not between %s and %s", field, d.Duration, least, most)
}
