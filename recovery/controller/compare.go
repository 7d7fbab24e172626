package controller

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/manifests/health"
	"github.com/refloat-dev/refloat/recovery/report"
)

// settling is how long a cluster may take to match after its objects became healthy:
// controllers may still write, and what is deleted may still go. What still progresses,
// as a DaemonSet does on the node that joined last, has the limit of the phase.
const settling = time.Minute

// standing is how long the same mismatch has to stand until it counts.
const standing = 10 * time.Second

// comparison of the live cluster with the render.
type comparison struct {
	verification *report.Verification
	// certificate of a complete match, if one was asked for, or a note why there is none.
	certificate []byte
	note        string
	// differs is when this process first saw that the cluster does not match.
	differs time.Time
}

// compared judges a comparison by the one before, which is nil for the first. The error
// asks for another one, because what does not match may still come to.
func compared(before *comparison, found *Verified, note string, pinned int, now time.Time) (*comparison, error) {
	v := found.Verification
	c := &comparison{verification: v, certificate: found.Certificate, note: note, differs: now}
	if v.Matches() || v.Rendered != pinned {
		return c, nil
	}
	if before != nil {
		c.differs = before.differs
		age := now.Sub(c.differs)
		if !progressing(v) && (age >= settling || age >= standing && same(before.verification, v)) {
			return c, nil
		}
	}
	return c, errors.New(mismatch(v, pinned))
}

func progressing(v *report.Verification) bool {
	for _, f := range v.Details.Unhealthy {
		if strings.HasPrefix(f.Detail, string(health.Progressing)) {
			return true
		}
	}
	return false
}

// same tells whether two comparisons found the same, in whatever order.
func same(a, b *report.Verification) bool {
	return a.Missing == b.Missing && a.Changed == b.Changed && a.Unhealthy == b.Unhealthy &&
		maps.Equal(found(a), found(b))
}

func found(v *report.Verification) map[[2]string]int {
	count := map[[2]string]int{}
	for _, list := range [][]report.Finding{v.Details.Missing, v.Details.Changed, v.Details.Unhealthy} {
		for _, f := range list {
			count[[2]string{f.ID, f.Detail}]++
		}
	}
	return count
}

// mismatch in words, with the first of each kind by name.
func mismatch(v *report.Verification, pinned int) string {
	s := fmt.Sprintf("the live cluster does not match the render of %d objects: %d match", pinned, v.Matched)
	for _, part := range []struct {
		what     string
		count    int
		findings []report.Finding
	}{
		{"missing", v.Missing, v.Details.Missing},
		{"changed", v.Changed, v.Details.Changed},
		{"unhealthy", v.Unhealthy, v.Details.Unhealthy},
	} {
		if part.count == 0 {
			continue
		}
		s += fmt.Sprintf(", %d %s", part.count, part.what)
		if len(part.findings) > 0 {
			f := part.findings[0]
			s += fmt.Sprintf(" (first: %s %s)", f.ID, f.Detail)
		}
	}
	return s
}
