package recovery

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// IdentityName is the Secret in which a run keeps the identity of the cluster that it
// deletes.
func IdentityName(run *v1alpha1.RecoveryRun) string {
	return bounded(run.Name+"-identity", maxReportName)
}

// KeepsIdentity tells whether the cluster that the run makes gets the identity of the one
// that it deletes.
func KeepsIdentity(run *v1alpha1.RecoveryRun) bool {
	s := run.Status
	return run.Spec.Operation == v1alpha1.OperationRebuild && s.Pinned != nil && s.Pinned.Plan.Cluster.Identity == v1alpha1.IdentityKeep
}

// keepFirst copies the identity of a cluster before anything of it is touched; nil when that
// is done or not wanted.
func keepFirst(o Observation) *Decision {
	if !KeepsIdentity(o.Run) || !NeedsSlot(o.Run) || o.Run.Status.Identity != nil {
		return nil
	}
	return &Decision{Action: KeepIdentity}
}

// HoldsIdentity finds the run of the same plan that kept the identity of the last cluster and
// failed before it gave it to a new one; nil when there is none, or a cluster was made since.
func HoldsIdentity(run *v1alpha1.RecoveryRun, others []v1alpha1.RecoveryRun) *v1alpha1.RecoveryRun {
	var last *v1alpha1.RecoveryRun
	for i := range others {
		o := &others[i]
		s := o.Status
		made := s.Target != nil && s.Target.UID != "" && o.Spec.Operation != v1alpha1.OperationDrill
		if o.UID == run.UID || s.FinishedAt == nil || s.Pinned == nil || s.Pinned.PlanUID != run.Status.Pinned.PlanUID || !made && s.Identity == nil {
			continue
		}
		if last == nil || s.FinishedAt.After(last.Status.FinishedAt.Time) {
			last = o
		}
	}
	if last == nil || last.Status.Identity == nil || last.Status.Target != nil && last.Status.Target.UID != "" {
		return nil
	}
	return last
}

// RecordIdentity says where the identity is kept.
func RecordIdentity(run *v1alpha1.RecoveryRun, kept v1alpha1.KeptIdentity, now time.Time) {
	slices.Sort(kept.Parts)
	kept.KeptAt = *micro(now)
	run.Status.Identity = &kept
}

// Fingerprint of the first certificate in PEM, as tools show it; empty for anything else.
func Fingerprint(certificate []byte) string {
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return ""
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}
