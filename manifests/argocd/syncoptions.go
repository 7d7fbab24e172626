package argocd

import (
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// withoutEffect are sync options that say nothing about a cluster on which nothing
// exists yet. Replace and Force are among them: what is created for the first time is
// neither replaced nor forced, and what a fresh cluster has already takes the rendered
// fields by server-side apply.
var withoutEffect = map[string]bool{
	"Prune": true, "Delete": true, "PruneLast": true, "PrunePropagationPolicy": true,
	"Replace": true, "Force": true, "SkipDryRunOnMissingResource": true,
	"ApplyOutOfSyncOnly": true, "ClientSideApplyMigration": true, "FailOnSharedResource": true,
	"RespectIgnoreDifferences": true, "CreateNamespace": true, "DisableDefaultKubectlValidate": true,
}

// syncOptions of one object. An object that must not be applied by the server, or that
// does not pass validation, is created plainly: server-side apply would refuse it.
func (r *reading) syncOptions() {
	for _, option := range options(r.annotations[annotationSyncOptions]) {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case (name == "ServerSideApply" || name == "Validate") && value == "false":
			if r.rules.Write == manifests.WriteApply {
				r.rules.Write = manifests.WriteCreate
			}
		case name == "ServerSideApply", name == "Validate", withoutEffect[name]:
		default:
			r.warn("sync option %q is not known and has no effect", cut(option))
		}
	}
}

// hasOption looks an option up among those of an Application; the last one counts.
func hasOption(all []string, name, value string) bool {
	found := false
	for _, option := range all {
		if n, v, _ := strings.Cut(strings.TrimSpace(option), "="); n == name {
			found = v == value
		}
	}
	return found
}
