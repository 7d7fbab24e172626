package apply

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	veleroGroup   = "velero.io"
	labelSchedule = "velero.io/schedule-name"
	// backupPatience is how long a backup may take to show up: Velero reads those of its
	// storage location once a minute, not all at once.
	backupPatience = 3 * time.Minute
)

// backupError says that there is no backup yet that may be restored.
type backupError struct{ message string }

func (e *backupError) Error() string { return e.message }

// recoveryPoint refuses a Restore of Velero from a backup that is older than the plan
// allows, before it is written: what is restored is not undone. Nothing else is looked at.
func (e *engine) recoveryPoint(ctx context.Context, object manifests.Object) error {
	gk := object.GroupVersionKind().GroupKind()
	if e.RecoveryPoint <= 0 || e.Simulated || gk != (schema.GroupKind{Group: veleroGroup, Kind: "Restore"}) {
		return nil
	}
	kind := object.GroupVersionKind()
	kind.Kind = "Backup"
	resource, err := e.lookup(ctx, kind)
	if err != nil {
		return err
	}
	var backups []backup
	_, err = e.client.List(ctx, resource, func(u *unstructured.Unstructured) error {
		if u.GetNamespace() == object.GetNamespace() {
			backups = append(backups, backupOf(u))
		}
		return nil
	})
	if err != nil {
		return err
	}
	name, _, _ := unstructured.NestedString(object.Object, "spec", "backupName")
	schedule, _, _ := unstructured.NestedString(object.Object, "spec", "scheduleName")
	if why := tooOld(backups, name, schedule, e.RecoveryPoint, e.Clock.Now()); why != "" {
		return &backupError{why}
	}
	return nil
}

// backup as far as its age and use go.
type backup struct {
	name, schedule, phase string
	// at is when it began: what changed since is not in it.
	at time.Time
}

func backupOf(u *unstructured.Unstructured) backup {
	b := backup{name: u.GetName(), schedule: u.GetLabels()[labelSchedule]}
	b.phase, _, _ = unstructured.NestedString(u.Object, "status", "phase")
	text, _, _ := unstructured.NestedString(u.Object, "status", "startTimestamp")
	// Without a time it is not restored.
	b.at, _ = time.Parse(time.RFC3339, text)
	return b
}

// tooOld says why a Restore must not begin; empty when it may. It restores the backup of the
// name, or else the newest completed one of the schedule.
func tooOld(backups []backup, name, schedule string, limit time.Duration, now time.Time) string {
	if name == "" && schedule == "" {
		return "it names neither a backup nor a schedule, so that the age of what it restores cannot be told"
	}
	var newest *backup
	for i := range backups {
		b := &backups[i]
		if name != "" && b.name != name || name == "" && b.schedule != schedule || b.phase != "Completed" {
			continue
		}
		if newest == nil || b.at.After(newest.at) {
			newest = b
		}
	}
	what := "backup " + name
	if name == "" {
		what = "backup of schedule " + schedule
	}
	switch {
	case newest == nil:
		return fmt.Sprintf("there is no completed %s on the cluster", what)
	case newest.at.IsZero():
		return fmt.Sprintf("backup %s does not say when it began", newest.name)
	case now.Sub(newest.at) > limit:
		return fmt.Sprintf("backup %s began at %s, %s ago, and the plan allows %s (spec.objective.recoveryPoint); it was not restored: take a newer one, or allow more",
			newest.name, newest.at.UTC().Format(time.RFC3339), now.Sub(newest.at).Round(time.Second), limit)
	}
	return ""
}
