package schedules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// RunName of a time. It is the lock that lets one time make one run: the API server takes
// the name once, whoever asks and however often.
func RunName(schedule types.UID, plan string, due Due, attempt int32) string {
	n := due.Nominal
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s/%d", schedule, plan, due.Operation, n, attempt))
	return fmt.Sprintf("%s-%s-%04d%02d%02dt%02d%02d-%s", shortened(plan), strings.ToLower(string(due.Operation)),
		n.Year, n.Month, n.Day, n.Hour, n.Minute, hex.EncodeToString(sum[:4]))
}

// shortened leaves room in a name for what comes behind it, and for what a run makes of it.
func shortened(name string) string {
	const enough = 180
	return strings.TrimRight(name[:min(len(name), enough)], "-.")
}
