package schedules

import (
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// maxMessage of what a status says, in bytes.
const maxMessage = 256

// Dealt is what came of a time.
type Dealt struct {
	Due     Due
	Outcome v1alpha1.HandledOutcome
	Message string
	// Run that was created for it, and which one that is of several.
	Run     string
	Attempt int32
	// At is when the run was created.
	At time.Time
}

func (due Due) dealt(outcome v1alpha1.HandledOutcome, message string) Dealt {
	return Dealt{Due: due, Outcome: outcome, Message: clip(message)}
}

// Ordered is what came of an Order whose run was created.
func (d Decision) Ordered(run string, now time.Time) Dealt {
	return Dealt{Due: d.Due, Outcome: v1alpha1.OutcomeOrdered, Run: run, Attempt: d.Attempt, At: now}
}

// Record is how a status keeps it.
func (d Dealt) Record() *v1alpha1.HandledTime {
	h := &v1alpha1.HandledTime{
		Nominal: d.Due.Nominal.String(), At: micro(d.Due.Tick), Outcome: d.Outcome, Message: d.Message, Run: d.Run, Attempts: d.Attempt,
	}
	if !d.At.IsZero() {
		h.Late = &metav1.Duration{Duration: d.At.Sub(d.Due.Start).Truncate(time.Millisecond)}
	}
	return h
}

// micro is an instant as a status keeps it.
func micro(t time.Time) metav1.MicroTime {
	return metav1.NewMicroTime(t.UTC().Truncate(time.Microsecond))
}

func clip(s string) string { return Clip(s, maxMessage) }

// Clip bounds a text for people, in bytes.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := most - len("…")
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

func orDefault(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.Duration
}
