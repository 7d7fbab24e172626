package loss

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// wholeKinds are read with all their fields: volumes, what may cover a loss, and accounts,
// of whose changes there is no record.
var wholeKinds = map[string]bool{
	"ServiceAccount":   true,
	"PersistentVolume": true, "PersistentVolumeClaim": true,
	"Backup.velero.io": true, "BackupStorageLocation.velero.io": true, "PodVolumeBackup.velero.io": true, "DataUpload.velero.io": true,
	"VolumeSnapshot.snapshot.storage.k8s.io": true, "VolumeSnapshotContent.snapshot.storage.k8s.io": true,
}

func whole(gk schema.GroupKind) bool { return wholeKinds[gk.String()] }

// sources of data that may bring something back.
type sources struct {
	limit     time.Duration
	now       time.Time
	backups   []*backup
	snapshots map[manifests.ID][]snapshot // by claim
	volumes   []*verify.Live              // claims, to count what a backup has to hold
	notes     []string
}

// snapshot of a claim, outside of the cluster.
type snapshot struct {
	name   string
	at     time.Time
	handle string
	why    string // it does not count; empty when it may
}

// gather the sources among the live objects.
func gather(live []verify.Live, rules Rules) *sources {
	s := &sources{limit: rules.MaxBackupAge, now: rules.Now, snapshots: map[manifests.ID][]snapshot{}}
	byID := map[manifests.ID]*verify.Live{}
	for i := range live {
		if live[i].Object != nil {
			byID[live[i].ID] = &live[i]
		}
	}
	parts := partsOf(live)
	for i := range live {
		l := &live[i]
		if l.Object == nil || l.Deleting {
			continue
		}
		switch l.ID.GroupKind().String() {
		case "Backup.velero.io":
			s.backups = append(s.backups, newBackup(l, byID, parts))
		case "VolumeSnapshot.snapshot.storage.k8s.io":
			claim := manifests.ID{Kind: "PersistentVolumeClaim", Namespace: l.ID.Namespace, Name: text(l.Object, "spec", "source", "persistentVolumeClaimName")}
			if claim.Name != "" {
				s.snapshots[claim] = append(s.snapshots[claim], snapshotOf(l, byID))
			}
		case "PersistentVolumeClaim":
			s.volumes = append(s.volumes, l)
		}
	}
	if s.limit <= 0 && (len(s.backups) > 0 || len(s.snapshots) > 0) {
		s.notes = append(s.notes, "there are backups or snapshots, and none counts: the plan sets no spec.teardown.loss.maxBackupAge")
	}
	return s
}

func snapshotOf(l *verify.Live, byID map[manifests.ID]*verify.Live) snapshot {
	s := snapshot{name: l.ID.String(), at: at(l.Object, "status", "creationTime")}
	ready, _, _ := unstructured.NestedBool(l.Object.Object, "status", "readyToUse")
	content := byID[manifests.ID{Group: l.ID.Group, Kind: "VolumeSnapshotContent", Name: text(l.Object, "status", "boundVolumeSnapshotContentName")}]
	switch {
	case !ready || s.at.IsZero():
		s.why = "is not ready to use"
	case content == nil:
		s.why = "has no content"
	case text(content.Object, "status", "snapshotHandle") == "":
		s.why = "has no handle in its storage"
	case keptInside(text(content.Object, "spec", "driver")) != "":
		s.why = "is kept " + keptInside(text(content.Object, "spec", "driver"))
	default:
		s.handle = text(content.Object, "status", "snapshotHandle")
	}
	return s
}

// stale says why a source of that time does not count; empty when it is fresh.
func (s *sources) stale(what string, made time.Time) string {
	age := s.now.Sub(made)
	switch {
	case s.limit <= 0:
		return what + " covers it, and the plan sets no spec.teardown.loss.maxBackupAge"
	case made.IsZero() || age > s.limit:
		return fmt.Sprintf("%s covers it, and is %s old; at most %s counts", what, age.Round(time.Minute), s.limit)
	}
	return ""
}

// object tells whether a backup holds an object as it is now. Otherwise it says what
// nearly does, if anything.
func (s *sources) object(l *verify.Live) (covered bool, why string) {
	for _, b := range s.backups {
		if b.unfit != "" || !b.selects(l) {
			continue
		}
		reason := s.stale(b.name, b.at)
		if reason == "" && !lastChange(l).Before(b.at) {
			reason = fmt.Sprintf("%s was made before its last change", b.name)
		}
		if reason == "" {
			return true, fmt.Sprintf("%s of %s holds it", b.name, b.at.UTC().Format(time.RFC3339))
		}
		why = reason
	}
	return false, why
}

// lastChange of an object, as far as it is recorded; an object is not older than itself.
func lastChange(l *verify.Live) time.Time {
	at := l.Created
	for _, w := range l.Writers {
		if w.Time.After(at) {
			at = w.Time
		}
	}
	return at
}

// data tells whether a snapshot or backup holds the data of a volume.
func (s *sources) data(v volume) (covered bool, why string) {
	if v.claim == nil {
		return false, ""
	}
	for _, snap := range s.snapshots[v.claim.ID] {
		reason := snap.name + " " + snap.why
		if snap.why == "" {
			if reason = s.stale(snap.name, snap.at); reason == "" && snap.at.Before(v.claim.Created) {
				reason = snap.name + " is of an earlier claim"
			}
		}
		if reason == "" {
			return true, fmt.Sprintf("%s of %s holds it in its storage (%s)", snap.name, snap.at.UTC().Format(time.RFC3339), snap.handle)
		}
		why = reason
	}
	for _, b := range s.backups {
		if b.unfit != "" || !b.selects(v.claim) {
			continue
		}
		reason := b.withoutData(v.claim, s.volumes)
		if reason == "" {
			reason = s.stale(b.name, b.at)
		}
		if reason == "" {
			return true, fmt.Sprintf("%s of %s holds it", b.name, b.at.UTC().Format(time.RFC3339))
		}
		why = reason
	}
	return false, why
}

// at is a time in an object; zero when there is none.
func at(u *unstructured.Unstructured, path ...string) time.Time {
	t, err := time.Parse(time.RFC3339, text(u, path...))
	if err != nil {
		return time.Time{}
	}
	return t
}
