package verify

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// The rules that exempt a whole object, for people. Rules about fields say themselves
// where they are written.
const (
	ruleNever    = "the repository asks not to write it"
	ruleCreate   = "the repository asks to leave it alone once it exists"
	ruleHook     = "it is a hook that is removed once it succeeded"
	ruleTTL      = "spec.ttlSecondsAfterFinished"
	ruleNameless = "metadata.generateName"
	ruleOptional = "it is optional"
	ruleHealth   = "its health is not asked for"
)

var jobKind = schema.GroupKind{Group: "batch", Kind: "Job"}

// managerOf an object is the field manager under which it was applied.
func managerOf(o manifests.Object) string {
	if o.Rules != nil && o.Rules.Manager != "" {
		return o.Rules.Manager
	}
	return manifests.FieldManager
}

// unsought says by which rule an object is not even looked for; empty for most.
func unsought(o manifests.Object) (rule, detail string) {
	switch {
	case o.Rules != nil && o.Rules.Write == manifests.WriteNever:
		return ruleNever, "it was not looked for"
	case o.GetName() == "":
		return ruleNameless, "it gets another name each time, so it was not looked for"
	}
	return "", ""
}

// mayBeGone says by which rule an object that does not exist is no fault; empty for
// most. A Job that asks to be removed once it has finished is meant to be gone.
func mayBeGone(o manifests.Object) (rule, detail string) {
	if ttl, ok := ttlOf(o); ok {
		return ruleTTL, fmt.Sprintf("it is gone, as the repository asks for %v s after it finished; whether it succeeded cannot be seen", ttl)
	}
	if o.Rules == nil {
		return "", ""
	}
	if hook := o.Rules.Hook; hook != nil && hook.DeleteSucceeded {
		return ruleHook, "it is gone; whether it succeeded cannot be seen"
	}
	if o.Rules.Optional {
		return ruleOptional, "it does not exist"
	}
	return "", ""
}

func ttlOf(o manifests.Object) (any, bool) {
	if o.ID().GroupKind() != jobKind {
		return nil, false
	}
	spec, _ := o.Object["spec"].(map[string]any)
	ttl, ok := spec["ttlSecondsAfterFinished"]
	return ttl, ok && ttl != nil
}

// excused says by which rule an object that is not healthy is no fault; empty for most.
func excused(o manifests.Object) string {
	switch {
	case o.Rules == nil:
		return ""
	case o.Rules.HealthIgnored:
		return ruleHealth
	case o.Rules.Optional:
		return ruleOptional
	}
	return ""
}

func createdOnly(o manifests.Object) bool {
	return o.Rules != nil && o.Rules.Write == manifests.WriteCreate
}

func ignoreRules(o manifests.Object) []manifests.IgnoredFields {
	if o.Rules == nil {
		return nil
	}
	return o.Rules.Ignore
}

// skip records an object that needs not exist.
func (v *verifier) skip(i int, rule, detail string) {
	v.report.Skipped++
	v.exempt(i, rule, detail)
}

// exempt records the use of a rule. The lock is held.
func (v *verifier) exempt(i int, rule, detail string) {
	f := v.finding(i, detail)
	f.Rule = rule
	v.report.Exempt = append(v.report.Exempt, f)
}

// generated tells whether a live object is the offspring of a rendered one without a
// name.
func (v *verifier) generated(id manifests.ID, prefix string) bool {
	return prefix != "" && strings.HasPrefix(id.Name, prefix) &&
		v.prefixes[manifests.ID{Group: id.Group, Kind: id.Kind, Namespace: id.Namespace, Name: prefix}]
}
