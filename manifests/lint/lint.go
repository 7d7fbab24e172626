package lint

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/builtin"
)

// IgnoreAnnotation of an object lists rules, separated by commas, whose findings
// about it are counted but not reported.
const IgnoreAnnotation = "refloat.dev/lint-ignore"

// Input is what is known of a repository.
type Input struct {
	Objects []manifests.Object
	// Units that were expanded. A Flux or Argo CD object that declares none of them
	// is taken for something that could bring anything.
	Units []manifests.Unit
	// Seeds are Secrets that are on the new cluster before the first object.
	Seeds []manifests.ID
	// KnownKinds will be on the cluster although the state does not define them, with
	// true for those that live in namespaces.
	KnownKinds map[schema.GroupKind]bool
	// Taints are fields that rendering twice gave different values for.
	Taints []Taint
	// Faults of files that could not be rendered.
	Faults []Fault
	// Release of Kubernetes to expect, as 1.36; "" means the one that the table of
	// built-in kinds was taken from.
	Release string
}

// Taint is one field whose rendered value is not a function of the commit.
type Taint struct {
	Object manifests.ID
	Origin manifests.Origin
	// Field as people write it, for example data.password.
	Field string
	// Source says what made it, for example "randAlphaNum in templates/secret.yaml".
	Source string
}

// Fault is why a file could not be rendered.
type Fault struct {
	// Rule is one of this package; "" means invalid-manifest.
	Rule    string
	File    string
	Line    int
	Message string
}

// checks run in this sequence; none depends on another.
var checks = []func(*checker){
	(*checker).faults, (*checker).duplicates,
	(*checker).kinds, (*checker).namespaces,
	(*checker).references, (*checker).keys, (*checker).defaultStorage, (*checker).dependsOn,
	(*checker).webhooks, (*checker).apiServices, (*checker).conversions,
	(*checker).serviceSelectors, (*checker).disruptionBudgets, (*checker).registries, (*checker).mutableImages,
	(*checker).waves, (*checker).cycles,
	(*checker).listKeys, (*checker).selectors, (*checker).sizes,
	(*checker).quotas, (*checker).limitRanges, (*checker).podSecurity, (*checker).networkPolicies,
	(*checker).sealedSecrets, (*checker).decryption, (*checker).controllers, (*checker).taints,
	(*checker).finalizers, (*checker).jobs,
}

// Run applies every rule.
func Run(in Input) (*Report, error) {
	release, err := parseRelease(in.Release)
	if err != nil {
		return nil, err
	}
	c := &checker{state: index(in), in: in, release: release}
	for _, check := range checks {
		check(c)
	}
	return &Report{Findings: settle(c.found), Ignored: settle(c.ignored), Objects: len(c.items)}, nil
}

// checker collects findings.
type checker struct {
	*state
	in             Input
	release        minor
	found, ignored []Finding
}

// finding is a Finding in the making; what is empty comes from the rule.
type finding struct {
	rule     string
	severity Severity
	subject  string
	message  string
	fix      string
	// by is an object that was not rendered and could bring what is missing.
	by *item
}

// report a finding about an object, unless its annotation says otherwise.
func (c *checker) report(it *item, f finding) { c.reportAll([]*item{it}, f) }

// reportAll reports one cause that several objects suffer from, at the first of them.
// In the message, {} stands for the objects that are left.
func (c *checker) reportAll(items []*item, f finding) {
	var rest, hushed []*item
	for _, it := range items {
		if it.ignores(f.rule) {
			hushed = append(hushed, it)
		} else {
			rest = append(rest, it)
		}
	}
	for _, it := range hushed {
		c.ignored = append(c.ignored, f.about([]*item{it}))
	}
	if len(rest) > 0 {
		c.found = append(c.found, f.about(rest))
	}
}

func (f finding) about(items []*item) Finding {
	r := rule(f.rule)
	out := Finding{
		Rule: f.rule, Severity: f.severity, Object: items[0].id, Origin: items[0].Origin,
		Subject: f.subject, Message: strings.ReplaceAll(f.message, "{}", sample(items)), Why: r.Why, Fix: f.fix,
	}
	if out.Severity == "" {
		out.Severity = r.Severity
	}
	if out.Fix == "" {
		out.Fix = r.Fix
	}
	if f.by != nil {
		out.Severity = out.Severity.lowered()
		out.Message += fmt.Sprintf(", unless %s brings it, which was not rendered", f.by.id)
	}
	for _, it := range items[1:] {
		out.Also = append(out.Also, it.id)
	}
	return out
}

// sample names the first of some objects and counts the others.
func sample(items []*item) string {
	switch n := len(items) - 1; n {
	case 0:
		return items[0].id.String()
	case 1:
		return items[0].id.String() + " and 1 more object"
	default:
		return fmt.Sprintf("%s and %d more objects", items[0].id, n)
	}
}

// ignores reads the annotation that suppresses rules.
func (it *item) ignores(rule string) bool {
	for _, name := range strings.Split(it.annotations[IgnoreAnnotation], ",") {
		if strings.TrimSpace(name) == rule {
			return true
		}
	}
	return false
}

// minor is the second number of a release: 36 of 1.36.
type minor int

func parseRelease(text string) (minor, error) {
	if text == "" {
		text = builtin.Release
	}
	var m, patch int
	plain := strings.TrimPrefix(text, "v")
	if n, _ := fmt.Sscanf(plain, "1.%d.%d", &m, &patch); n == 0 || m < 16 || m > 99 || strings.Count(plain, ".") > 2 {
		return 0, fmt.Errorf("%q is no release of Kubernetes: write it as %s", text, builtin.Release)
	}
	return minor(m), nil
}

func (m minor) String() string { return fmt.Sprintf("1.%d", int(m)) }

// duplicates that reached this point are of different units.
func (c *checker) duplicates() {
	for _, d := range c.twice {
		c.report(d[1], finding{rule: "duplicate-object", subject: d[0].Origin.File,
			message: fmt.Sprintf("%s is also written, differently, in %s", d[1].id, d[0].Origin)})
	}
}

// taints come from whoever rendered twice.
func (c *checker) taints() {
	for _, t := range c.in.Taints {
		it := &item{id: t.Object, Object: manifests.Object{Origin: t.Origin}}
		if known := c.byID[t.Object]; known != nil {
			it = known
		}
		c.report(it, finding{rule: "nondeterministic-render", subject: t.Field,
			message: fmt.Sprintf("%s of %s has another value each time it is rendered (%s)", t.Field, t.Object, t.Source)})
	}
}

func contains(list []string, values ...string) bool {
	return slices.ContainsFunc(list, func(v string) bool { return slices.Contains(values, v) })
}
