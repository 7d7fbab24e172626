package recoverability

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// Bounds of what goes into a status.
const (
	maxListed  = 16
	maxMessage = 1024
	// maxLint errors are listed; the rest is counted.
	maxLint = 4
)

// Verdict is what the facts come to.
type Verdict struct {
	Status  metav1.ConditionStatus
	Reason  string
	Message string
	// Blockers, then warnings, each in the order of the checks.
	Blockers []v1alpha1.RecoverabilityBlocker
	// Commit that was rendered, and the infrastructure that it asks for.
	Commit, Infrastructure string
}

type found struct {
	check    Check
	severity v1alpha1.BlockerSeverity
	message  string
	unsure   bool
}

// Judge says what the facts mean.
func Judge(f Facts) Verdict {
	var all []found
	for _, part := range []func(Facts) []found{remotes, faults, rendering, lintErrors, version, drill, recoveryTime} {
		all = append(all, part(f)...)
	}
	slices.SortStableFunc(all, func(a, b found) int {
		return cmp.Or(cmp.Compare(weight(a.severity), weight(b.severity)), cmp.Compare(order[a.check], order[b.check]))
	})
	v := Verdict{Status: metav1.ConditionTrue}
	if f.Rendered != nil {
		v.Commit, v.Infrastructure = f.Rendered.Commit, f.Rendered.Infrastructure
	}
	unsure := ""
	for _, one := range all {
		v.Blockers = append(v.Blockers, v1alpha1.RecoverabilityBlocker{Check: string(one.check), Severity: one.severity, Message: oneLine(one.message)})
		if one.unsure && unsure == "" {
			unsure = fmt.Sprintf("%s: %s", one.check, oneLine(one.message))
		}
	}
	blockers := Count(v.Blockers, v1alpha1.SeverityBlocker)
	switch {
	case blockers > 0:
		v.Status, v.Reason = metav1.ConditionFalse, "Blocked"
		v.Message = fmt.Sprintf("%s: first %s: %s", Plural(blockers, "blocker"), v.Blockers[0].Check, v.Blockers[0].Message)
	case unsure != "":
		v.Status, v.Reason, v.Message = metav1.ConditionUnknown, "CheckFailed", unsure
	case f.Rendered == nil:
		v.Status, v.Reason, v.Message = metav1.ConditionUnknown, "CheckFailed", "nothing was rendered"
	default:
		v.Reason = "Recoverable"
		v.Message = fmt.Sprintf("%s at commit %.12s; %s", Plural(f.Rendered.Objects, "object"), v.Commit, Plural(len(v.Blockers), "warning"))
	}
	v.Message = oneLine(v.Message)
	return v
}

// remotes: one that is dead is a warning as long as another one, or what was fetched
// before, gives the commit.
func remotes(f Facts) []found {
	var dead, texts []string
	served := ""
	for _, r := range f.Remotes {
		if r.Fault == "" {
			served = cmp.Or(served, r.URL)
			continue
		}
		dead, texts = append(dead, r.URL), append(texts, r.Fault)
	}
	switch {
	case len(f.Remotes) == 0:
		return nil
	case served == "" && f.Rendered == nil:
		return []found{{check: CheckGit, severity: v1alpha1.SeverityBlocker, message: "no place of the repository can be read, and no earlier commit is kept: " + strings.Join(texts, "; ")}}
	case served == "":
		return []found{{check: CheckGit, severity: v1alpha1.SeverityWarning, message: fmt.Sprintf("no place of the repository can be read; a rebuild would use commit %.12s, fetched %s: %s",
			f.Rendered.Commit, ago(f.Now, f.Rendered.FetchedAt), strings.Join(texts, "; "))}}
	}
	var out []found
	for i, url := range dead {
		out = append(out, found{check: CheckGit, severity: v1alpha1.SeverityWarning, message: fmt.Sprintf("%s; a rebuild would read %s instead of %s", texts[i], served, url)})
	}
	return append(out, behind(f.Remotes)...)
}

// behind are mirrors that lead elsewhere than the first remote that answers.
func behind(all []Remote) []found {
	var out []found
	var first *Remote
	for i := range all {
		r := &all[i]
		switch {
		case r.Fault != "" || r.Tip == "":
		case first == nil:
			first = r
		case r.Tip != first.Tip:
			out = append(out, found{check: CheckGit, severity: v1alpha1.SeverityWarning,
				message: fmt.Sprintf("mirror %s is at %.12s and %s at %.12s: bring the mirror up to date, or a rebuild from it is of another commit", r.URL, r.Tip, first.URL, first.Tip)})
		}
	}
	return out
}

func faults(f Facts) []found {
	var out []found
	for _, one := range f.Faults {
		severity, message := v1alpha1.SeverityBlocker, one.Message
		if one.Unsure {
			severity, message = v1alpha1.SeverityWarning, "could not be checked, it is tried again: "+one.Message
		}
		out = append(out, found{check: one.Check, severity: severity, message: message, unsure: one.Unsure})
	}
	return out
}

func rendering(f Facts) []found {
	r := f.Rendered
	if r == nil {
		return nil
	}
	var out []found
	if r.Unsteady {
		out = append(out, found{check: CheckRendering, severity: v1alpha1.SeverityBlocker,
			message: fmt.Sprintf("commit %.12s gives another state each time that it is rendered, so a run that is continued after a restart would fail: look for a remote base or a chart that makes things up by chance", r.Commit)})
	}
	if r.Stale && slices.ContainsFunc(f.Remotes, func(r Remote) bool { return r.Fault == "" }) {
		out = append(out, found{check: CheckGit, severity: v1alpha1.SeverityWarning,
			message: fmt.Sprintf("the repository answers only now and then: commit %.12s was taken from what was fetched %s; check the network", r.Commit, ago(f.Now, r.FetchedAt))})
	}
	return out
}

func lintErrors(f Facts) []found {
	if f.Lint == nil {
		return nil
	}
	var out []found
	for i, text := range f.Lint.Errors {
		if i == maxLint && len(f.Lint.Errors) > maxLint+1 {
			out = append(out, found{check: CheckLint, severity: v1alpha1.SeverityBlocker,
				message: fmt.Sprintf("%d more errors: see refloat lint", len(f.Lint.Errors)-maxLint)})
			break
		}
		out = append(out, found{check: CheckLint, severity: v1alpha1.SeverityBlocker, message: text})
	}
	if n := f.Lint.Warnings; n > 0 {
		out = append(out, found{check: CheckLint, severity: v1alpha1.SeverityWarning, message: Plural(n, "warning") + " of lint: see refloat lint"})
	}
	return out
}

func version(f Facts) []found {
	v := f.Version
	if v == nil || v.Wanted == "" || len(v.Offered) == 0 || slices.Contains(v.Offered, v.Wanted) {
		return nil
	}
	shown := v.Offered[:min(len(v.Offered), 8)]
	return []found{{check: CheckVersion, severity: v1alpha1.SeverityBlocker,
		message: fmt.Sprintf("ClusterClass %s does not offer Kubernetes %s any more: it has %s; choose one of them in the cluster's manifests", v.Class, v.Wanted, strings.Join(shown, ", "))}}
}

func drill(f Facts) []found {
	switch {
	case f.MaxDrillAge <= 0:
		return nil
	case f.LastDrill.IsZero():
		return []found{{check: CheckLastDrill, severity: v1alpha1.SeverityWarning, message: "no rebuild or drill has succeeded yet: run refloat drill"}}
	case f.Now.Sub(f.LastDrill) > f.MaxDrillAge:
		return []found{{check: CheckLastDrill, severity: v1alpha1.SeverityWarning,
			message: fmt.Sprintf("the last rebuild or drill that succeeded was %s, and spec.evaluate.maxDrillAge is %s: run refloat drill", ago(f.Now, f.LastDrill), f.MaxDrillAge)}}
	}
	return nil
}

func recoveryTime(f Facts) []found {
	if f.Objective <= 0 || f.RecoveryTime <= f.Objective {
		return nil
	}
	return []found{{check: CheckRecoveryTime, severity: v1alpha1.SeverityWarning,
		message: fmt.Sprintf("the last recovery took %s, longer than the objective of %s: see where the time goes with refloat report, or change spec.objective.recoveryTime", f.RecoveryTime, f.Objective)}}
}

// Count of one severity.
func Count(all []v1alpha1.RecoverabilityBlocker, severity v1alpha1.BlockerSeverity) int {
	n := 0
	for _, b := range all {
		if b.Severity == severity {
			n++
		}
	}
	return n
}

// Plural of a word that takes an s.
func Plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func weight(s v1alpha1.BlockerSeverity) int {
	if s == v1alpha1.SeverityBlocker {
		return 0
	}
	return 1
}

// ago in words that are exact enough for a decision.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return "at an unknown time"
	}
	switch d := max(now.Sub(then), 0); {
	case d < 2*time.Hour:
		return Plural(int(d.Minutes()), "minute") + " ago"
	case d < 48*time.Hour:
		return Plural(int(d.Hours()), "hour") + " ago"
	default:
		return Plural(int(d.Hours()/24), "day") + " ago"
	}
}

// oneLine keeps a text to what a status takes.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, s)
	if len(s) <= maxMessage {
		return s
	}
	const mark = " …"
	return strings.ToValidUTF8(s[:maxMessage-len(mark)], "") + mark
}
