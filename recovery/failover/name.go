package failover

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// RunName of an attempt at an outage. It is the lock that lets one outage make one run: the
// API server takes the name once, whoever asks and however often.
func RunName(policy, cluster types.UID, plan string, since time.Time, attempt int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%d/%d", policy, cluster, plan, since.UnixMicro(), attempt))
	const enough = 180
	return fmt.Sprintf("%s-outage-%s-%s", strings.TrimRight(plan[:min(len(plan), enough)], "-."), since.UTC().Format("20060102t150405"), hex.EncodeToString(sum[:4]))
}
