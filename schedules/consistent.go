package schedules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Digest of what says when. With another one, earlier times do not count any more.
func Digest(spec *v1alpha1.RecoveryScheduleSpec) string {
	var said struct {
		Zone              string
		Teardown, Rebuild v1alpha1.CronExpression
		ReadyBy           v1alpha1.CronExpression
		Once              []v1alpha1.OneOff
		Mode              v1alpha1.ScheduleMode
		Drill             v1alpha1.CronExpression `json:",omitempty"`
	}
	said.Zone, said.Once, said.Mode = spec.TimeZone, spec.Once, spec.Mode
	if spec.Teardown != nil {
		said.Teardown = spec.Teardown.Cron
	}
	if spec.Drill != nil {
		said.Drill = spec.Drill.Cron
	}
	if spec.Rebuild != nil {
		said.Rebuild, said.ReadyBy = spec.Rebuild.Cron, spec.Rebuild.ReadyBy
	}
	text, err := json.Marshal(said)
	if err != nil {
		return "unknown" // a time beyond the year 9999
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// OnlyDrills tells whether a schedule neither tears down nor rebuilds.
func OnlyDrills(spec *v1alpha1.RecoveryScheduleSpec) bool {
	return spec.Teardown == nil && spec.Rebuild == nil && !slices.ContainsFunc(spec.Once, func(one v1alpha1.OneOff) bool {
		return one.Operation != v1alpha1.DirectionDrill
	})
}

// Overlap finds a plan of a schedule that another one is for too, and that other one.
// Suspended schedules, and those that only drill, are in nobody's way.
func Overlap(schedule *v1alpha1.RecoverySchedule, all []v1alpha1.RecoverySchedule, plans []*v1alpha1.RecoveryPlan) (plan, other string) {
	if OnlyDrills(&schedule.Spec) {
		return "", ""
	}
	for i := range all {
		o := &all[i]
		if o.Name == schedule.Name || o.Spec.Suspend || o.DeletionTimestamp != nil || OnlyDrills(&o.Spec) {
			continue
		}
		selects, err := Selector(&o.Spec)
		if err != nil {
			continue
		}
		for _, p := range plans {
			if selects(p) {
				return p.Name, o.Name
			}
		}
	}
	return "", ""
}
