package argocd

import (
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// Hook types of Argo CD.
const (
	hookPreSync    = "PreSync"
	hookSync       = "Sync"
	hookPostSync   = "PostSync"
	hookSyncFail   = "SyncFail"
	hookPreDelete  = "PreDelete"
	hookPostDelete = "PostDelete"
	hookSkip       = "Skip"
)

// helmHooks are the hooks of Helm that Argo CD knows, in its words. A hook type that is
// not listed, test and rollback among them, never runs.
var helmHooks = map[string]string{
	"pre-install": hookPreSync, "pre-upgrade": hookPreSync,
	"post-install": hookPostSync, "post-upgrade": hookPostSync,
	"pre-delete": hookPreDelete, "post-delete": hookPostDelete,
}

// helmDeletePolicies in Argo CD's words.
var helmDeletePolicies = map[string]string{
	"hook-succeeded": "HookSucceeded", "hook-failed": "HookFailed", "before-hook-creation": "BeforeHookCreation",
}

// phases of a sync in their order.
var phases = []struct {
	hook  string
	phase manifests.Phase
}{{hookPreSync, manifests.PhaseBefore}, {hookSync, manifests.PhaseMain}, {hookPostSync, manifests.PhaseAfter}}

// hook places an object that is a hook. A build syncs once and succeeds, or it is not
// finished: hooks of failure and of deletion have no place in it.
func (r *reading) hook() {
	types, isHook := r.hookTypes()
	if !isHook {
		return
	}
	if len(types) == 1 && types[0] == hookSkip {
		r.rules.Write = manifests.WriteNever
		return
	}
	var runs []string
	for _, p := range phases {
		if slices.Contains(types, p.hook) {
			if len(runs) == 0 {
				r.rules.Phase = p.phase
			}
			runs = append(runs, p.hook)
		}
	}
	if len(runs) == 0 {
		r.neverRuns(types)
		return
	}
	if len(runs) > 1 {
		r.warn("is a hook of %s: it runs once, in %s", strings.Join(runs, " and "), runs[0])
	}
	r.rules.Hook = r.deletion()
}

// neverRuns leaves out what runs in no phase of a build.
func (r *reading) neverRuns(types []string) {
	r.rules.Write = manifests.WriteNever
	switch {
	case slices.Contains(types, hookSyncFail):
		r.warn("is a hook of failed syncs: left out")
	case slices.Contains(types, hookPreDelete), slices.Contains(types, hookPostDelete):
		r.warn("is a hook of deletions: left out")
	case r.annotations[annotationHook] != "":
		r.warn("is a hook of a type that Argo CD does not know: left out, as Argo CD does: %q", cut(r.annotations[annotationHook]))
	}
}

// hookTypes an object has, in Argo CD's words. Helm's annotation counts only without
// Argo CD's own.
func (r *reading) hookTypes() (types []string, isHook bool) {
	known := []string{hookPreSync, hookSync, hookPostSync, hookSyncFail, hookPreDelete, hookPostDelete, hookSkip}
	own := options(r.annotations[annotationHook])
	for _, t := range own {
		if slices.Contains(known, t) {
			types = append(types, t)
		}
	}
	if len(types) > 0 {
		return types, true
	}
	helm := options(r.annotations[annotationHelmHook])
	for _, t := range helm {
		if t == "crd-install" {
			// A leftover of Helm 2: the definition is an ordinary object.
			return nil, false
		}
		if mapped, ok := helmHooks[t]; ok {
			types = append(types, mapped)
		}
	}
	return types, len(own)+len(helm) > 0
}

// deletion reads the delete policies. BeforeHookCreation, the default, has nothing to
// delete on a cluster where the hook never ran.
func (r *reading) deletion() *manifests.Hook {
	policies := options(r.annotations[annotationHookDelete])
	for _, p := range options(r.annotations[annotationHelmHookDelete]) {
		policies = append(policies, helmDeletePolicies[p])
	}
	return &manifests.Hook{
		DeleteSucceeded: slices.Contains(policies, "HookSucceeded"),
		DeleteFailed:    slices.Contains(policies, "HookFailed"),
	}
}

// NameHook gives a hook that has only metadata.generateName the name that Argo CD would
// give it, but for the time of the sync: a name that is known beforehand can be waited
// for and found again by the next attempt. It reports whether it named the object.
func NameHook(o manifests.Object, rules *manifests.Rules, revision string) bool {
	if rules == nil || rules.Hook == nil || o.GetName() != "" || o.GetGenerateName() == "" {
		return false
	}
	phase := hookSync
	for _, p := range phases {
		if p.phase == rules.Phase {
			phase = p.hook
		}
	}
	o.SetName(strings.ToLower(o.GetGenerateName() + short(inNames(revision), 7) + "-" + phase))
	o.SetGenerateName("")
	return true
}

// inNames leaves of a revision, which may be a range of versions, what a name may hold.
func inNames(revision string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return -1
	}, revision)
}

func short(revision string, n int) string { return revision[:min(n, len(revision))] }
