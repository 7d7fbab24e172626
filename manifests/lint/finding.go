package lint

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// Severity says how certain a fresh cluster is to fail.
type Severity string

const (
	// Error means that a fresh cluster will not come up.
	Error Severity = "error"
	// Warning means that it may not, or only by luck.
	Warning Severity = "warning"
	// Note means that it comes up, but not quite as the repository suggests.
	Note Severity = "note"
)

var weight = map[Severity]int{Note: 1, Warning: 2, Error: 3}

// ParseSeverity reads what people write.
func ParseSeverity(text string) (Severity, error) {
	if s := Severity(text); weight[s] > 0 {
		return s, nil
	}
	return "", fmt.Errorf("%q is none of error, warning, note", text)
}

// AtLeast compares severities.
func (s Severity) AtLeast(other Severity) bool { return weight[s] >= weight[other] }

// lowered is the next weaker severity.
func (s Severity) lowered() Severity {
	if s == Error {
		return Warning
	}
	return Note
}

// Finding is one fault of a repository.
type Finding struct {
	// Rule is the ID of the rule that found it.
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Object that has the fault; zero when a file could not be rendered.
	Object manifests.ID     `json:"object,omitzero"`
	Origin manifests.Origin `json:"origin,omitzero"`
	// Subject is what the fault is about, for example the object that is missing.
	Subject string `json:"subject,omitempty"`
	// Message says what is wrong, Why it bites on a fresh cluster only, and Fix what
	// to do: one sentence each.
	Message string `json:"message"`
	Why     string `json:"why"`
	Fix     string `json:"fix"`
	// Also lists further objects with the same fault of the same cause.
	Also []manifests.ID `json:"also,omitempty"`
	// Fingerprint is the same as long as rule, object and subject are, wherever in
	// the repository the object is written.
	Fingerprint string `json:"fingerprint"`
}

func (f Finding) fingerprint() string {
	key := strings.Join([]string{f.Rule, f.Object.String(), f.Subject}, "\x00")
	if (f.Object == manifests.ID{}) {
		key += "\x00" + f.Origin.File + "\x00" + f.Message
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// Report is all that was found.
type Report struct {
	// Findings sorted by file, line and rule.
	Findings []Finding `json:"findings"`
	// Ignored findings are suppressed by an annotation of their object.
	Ignored []Finding `json:"ignored,omitempty"`
	// Objects that were looked at.
	Objects int `json:"objects"`
}

// Count of findings of one severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Worst tells whether a finding is at least that severe.
func (r *Report) Worst(s Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.AtLeast(s) })
}

// Only leaves out findings below a severity.
func (r *Report) Only(s Severity) *Report {
	weaker := func(f Finding) bool { return !f.Severity.AtLeast(s) }
	return &Report{
		Findings: slices.DeleteFunc(slices.Clone(r.Findings), weaker),
		Ignored:  slices.DeleteFunc(slices.Clone(r.Ignored), weaker),
		Objects:  r.Objects,
	}
}

// settle sorts findings and drops those that say the same again.
func settle(all []Finding) []Finding {
	for i := range all {
		all[i].Fingerprint = all[i].fingerprint()
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line),
			strings.Compare(a.Rule, b.Rule), a.Object.Compare(b.Object), strings.Compare(a.Subject, b.Subject),
			cmp.Compare(weight[b.Severity], weight[a.Severity]), strings.Compare(a.Message, b.Message))
	})
	out, seen := all[:0], map[string]bool{}
	for _, f := range all {
		if !seen[f.Fingerprint] {
			seen[f.Fingerprint] = true
			out = append(out, f)
		}
	}
	return out
}
