package chart

import (
	"slices"
	"strconv"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

const (
	hookAnnotation   = "helm.sh/hook"
	weightAnnotation = "helm.sh/hook-weight"
	deleteAnnotation = "helm.sh/hook-delete-policy"
	argoHook         = "argocd.argoproj.io/hook"
)

// HookRules say whose reading of Helm's hooks holds.
type HookRules string

const (
	// HooksOfInstall is what an installation by Helm or Flux runs.
	HooksOfInstall HookRules = ""
	// HooksOfSync is what Argo CD makes of them: hooks of an upgrade run as well, a
	// weight also orders what is no hook, and an object with a hook of Argo CD's own is
	// left to whoever knows Argo CD, who also gives hooks with a generateName their name.
	HooksOfSync HookRules = "Sync"
)

// phases of the hooks that place an object.
var phases = map[string]manifests.Phase{
	"pre-install": manifests.PhaseBefore, "pre-upgrade": manifests.PhaseBefore,
	"post-install": manifests.PhaseAfter, "post-upgrade": manifests.PhaseAfter,
}

// others are hooks that a rebuild never comes to.
var others = []string{"pre-delete", "post-delete", "pre-rollback", "post-rollback", "test", "test-success"}

// hook reads an object's annotations. A reason says why the object is left out.
func (j *job) hook(o manifests.Object) (rules *manifests.Rules, reason string) {
	annotations := o.GetAnnotations()
	weight, weightErr := strconv.Atoi(strings.TrimSpace(annotations[weightAnnotation]))
	if weightErr != nil {
		weight = 0
	}
	text, isHook := annotations[hookAnnotation]
	sync := j.Hooks == HooksOfSync
	switch {
	case sync && annotations[argoHook] != "":
		return nil, ""
	case !isHook, sync && words(text) == nil, sync && slices.Equal(words(text), []string{"crd-install"}):
		if sync && weight != 0 {
			return &manifests.Rules{Wave: weight}, ""
		}
		return nil, ""
	}
	phase, reason := phaseOf(words(text), sync)
	if reason != "" {
		return nil, reason
	}
	rules = &manifests.Rules{Phase: phase, Wave: weight, Hook: &manifests.Hook{}}
	for _, policy := range words(annotations[deleteAnnotation]) {
		switch policy {
		case "hook-succeeded":
			rules.Hook.DeleteSucceeded = true
		case "hook-failed":
			rules.Hook.DeleteFailed = true
		}
	}
	return rules, ""
}

// phaseOf places a hook. One that runs both before and after goes before: what it does
// is there when the rest needs it.
func phaseOf(events []string, sync bool) (manifests.Phase, string) {
	found := map[manifests.Phase]bool{}
	for _, event := range events {
		phase, places := phases[event]
		switch {
		case places && (sync || strings.HasSuffix(event, "-install")):
			found[phase] = true
		case !places && !sync && !slices.Contains(others, event):
			// Helm passes over the whole object when it does not know one of its hooks.
			return 0, "Helm has no hook " + printable(event)
		}
	}
	switch {
	case found[manifests.PhaseBefore]:
		return manifests.PhaseBefore, ""
	case found[manifests.PhaseAfter]:
		return manifests.PhaseAfter, ""
	}
	return 0, "it is for " + printable(strings.Join(events, ", ")) + ", which a rebuild does not come to"
}

// words of a comma-separated annotation, in lower case.
func words(text string) []string {
	var all []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.ToLower(strings.TrimSpace(word)); word != "" {
			all = append(all, word)
		}
	}
	return all
}
