package recovery

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

const (
	maxLockName   = 63
	maxReportName = 253
	// maxDrillBase leaves room for "-drill-" and six digits within the 50 bytes that a
	// cluster name may have.
	maxDrillBase = 50 - len("-drill-") - 6
)

// LockName is the Lease that a run holds while it works on a logical cluster.
func LockName(cluster string) string { return bounded("refloat-"+cluster, maxLockName) }

// ReportName is the ConfigMap of a run's report.
func ReportName(run *v1alpha1.RecoveryRun) string { return bounded(run.Name+"-report", maxReportName) }

// FrozenName is the Secret in which the process that took a run over in an epoch keeps
// what cannot be rendered the same again.
func FrozenName(run *v1alpha1.RecoveryRun, epoch int64) string {
	return bounded(fmt.Sprintf("%s-frozen-%d", run.Name, epoch), maxReportName)
}

// TargetName is the Cluster that a run makes: the plan's, or a throw-away one that is
// the same each time it is derived for the same run.
func TargetName(run *v1alpha1.RecoveryRun, cluster string) string {
	if run.Spec.Operation != v1alpha1.OperationDrill {
		return cluster
	}
	sum := sha256.Sum256([]byte(run.UID))
	base := cluster
	if len(base) > maxDrillBase {
		base = strings.TrimRight(base[:maxDrillBase], "-")
	}
	return base + "-drill-" + hex.EncodeToString(sum[:3])
}

func bounded(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:limit-9], "-.") + "-" + hex.EncodeToString(sum[:4])
}
