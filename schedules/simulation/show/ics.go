package show

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	ics "github.com/arran4/golang-ical"

	"github.com/refloat-dev/refloat/schedules/simulation"
)

// ICS is a calendar (RFC 5545) with an event per transition. now is when it was made.
func ICS(w io.Writer, r *simulation.Result, now time.Time) error {
	calendar := ics.NewCalendarFor("Refloat")
	calendar.SetMethod(ics.MethodPublish)
	for _, t := range Listed(r, false) {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s", t.Schedule, t.Plan, t.Operation, t.Nominal))
		event := calendar.AddEvent(hex.EncodeToString(sum[:12]) + "@refloat.dev")
		event.SetDtStampTime(now)
		event.SetStartAt(t.Time)
		if t.ReadyBy != nil {
			event.SetEndAt(*t.ReadyBy)
		}
		event.SetSummary(fmt.Sprintf("%s %s", t.Operation, t.Plan))
		event.SetDescription(t.Reason)
	}
	// RFC 5545 ends lines in this way on every system.
	return calendar.SerializeTo(w, ics.WithNewLineWindows)
}
