package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/refloat-dev/refloat/deploy"
)

// unusedRights are those that not every pass of these tests uses, each with the reason why
// it is there.
var unusedRights = map[string]string{
	"refloat-controller: create leases.coordination.k8s.io":          "the sandbox has one controller, which needs no lease; see TestControllersElectALeader in deploy",
	"refloat-controller: get leases.coordination.k8s.io":             "as above",
	"refloat-controller: update leases.coordination.k8s.io":          "as above",
	"refloat-controller: create events":                              "as above",
	"refloat-controller: patch events":                               "as above",
	"refloat-planner: update recoveryruns/finalizers.refloat.dev":    "only OwnerReferencesPermissionEnforcement asks, which the sandbox does not have",
	"refloat-applier: update recoveryruns/finalizers.refloat.dev":    "as above",
	"refloat-planner: patch events.events.k8s.io":                    "an event is patched when it repeats within minutes",
	"refloat-planner: update leases.coordination.k8s.io":             "only the lock of a run that vanished is taken over",
	"refloat-planner: list runapprovals.refloat.dev":                 "a watch brings the list along, but for older API servers",
	"refloat-planner: list clusters.cluster.x-k8s.io":                "as above",
	"refloat-planner: list recoveryplans.refloat.dev":                "as above",
	"refloat-planner: list recoveryschedules.refloat.dev":            "as above",
	"refloat-planner: list failoverpolicies.refloat.dev":             "as above",
	"refloat-scheduler: update recoveryruns.refloat.dev":             "only a run that waits in a queue until its time is over is taken back",
	"refloat-applier: patch machinedeployments.cluster.x-k8s.io":     "Cluster API may be first to tie it to the Cluster",
	"refloat-applier: patch machinesets.cluster.x-k8s.io":            "as above",
	"refloat-applier: patch machinehealthchecks.cluster.x-k8s.io":    "as above",
	"refloat-applier: patch machines.cluster.x-k8s.io":               "no plan here has Machines without a set",
	"refloat-applier: create machines.cluster.x-k8s.io":              "as above",
	"refloat-destroyer: delete machines.cluster.x-k8s.io":            "as above",
	"refloat-destroyer: delete machinesets.cluster.x-k8s.io":         "only what a creation that was cut short left behind",
	"refloat-destroyer: delete machinedeployments.cluster.x-k8s.io":  "as above",
	"refloat-destroyer: delete clusterclasses.cluster.x-k8s.io":      "as above",
	"refloat-destroyer: delete machinedrainrules.cluster.x-k8s.io":   "as above",
	"refloat-destroyer: delete machinehealthchecks.cluster.x-k8s.io": "as above",
	"refloat-destroyer: delete secrets":                              "as above",
	"refloat-destroyer: delete configmaps":                           "as above",
	"refloat-destroyer: delete *.infrastructure.cluster.x-k8s.io":    "as above",
	"refloat-destroyer: delete *.controlplane.cluster.x-k8s.io":      "as above",
	"refloat-planner: get machines.cluster.x-k8s.io":                 "read when one holds up a deletion",
}

// absent groups and resources are not served by the sandbox.
var absent = map[string]string{
	"bootstrap.cluster.x-k8s.io":  "its provider needs no bootstrap provider",
	"clusterctl.cluster.x-k8s.io": "it installs Cluster API without clusterctl",
	"operator.cluster.x-k8s.io":   "and without the operator",
	"ipam.cluster.x-k8s.io":       "kinds of plans in it come with a provider",
	"addons.cluster.x-k8s.io":     "no plan here has add-ons",
	"machinepools":                "it has the feature off",
}

// TestTheRightsAreThoseThatAreUsed has to come last: it holds what every other test made
// the controller do against the rights that deploy/ gives it. None may be missing, and none
// may be there for nothing.
func TestTheRightsAreThoseThatAreUsed(t *testing.T) {
	events := readAudit(t, filepath.Join(box.dir, "management"))
	rights := rightsOf(t)
	used := map[string]bool{}
	requests := 0
	for _, e := range events {
		account, ours := accountOf(e)
		if !ours {
			continue
		}
		requests++
		if e.ResponseStatus.Code == http.StatusForbidden {
			t.Errorf("%s may not %s %s", account, e.Verb, e.RequestURI)
		}
		for _, r := range rights {
			if r.covers(account, e) {
				used[r.String()] = true
			}
		}
	}
	if requests == 0 {
		t.Fatal("the audit log of the management plane has no request of the controller")
	}
	complain := t.Errorf
	if flag.Lookup("test.run").Value.String() != "" {
		complain = t.Logf // not every test ran
	}
	for _, r := range rights {
		if absent[r.group] != "" || absent[r.resource] != "" {
			continue
		}
		if reason := unusedRights[r.String()]; !used[r.String()] && reason == "" {
			complain("nothing used the right %q", r)
		}
	}
	for name := range unusedRights {
		if !slices.ContainsFunc(rights, func(r right) bool { return r.String() == name }) {
			t.Errorf("there is no right %q", name)
		}
	}
}

// accountOf Refloat that a request was made as.
func accountOf(e auditEvent) (string, bool) {
	const prefix = "system:serviceaccount:" + deploy.Namespace + ":"
	name, ours := strings.CutPrefix(e.User.Username, prefix)
	if ours && e.As.Username != "" {
		name, ours = strings.CutPrefix(e.As.Username, prefix)
	}
	return name, ours
}

// right to do one thing with one kind, or with every kind of a group.
type right struct {
	account, verb, group, resource string
}

func (r right) String() string {
	kind := r.resource
	if r.group != "" {
		kind += "." + r.group
	}
	return fmt.Sprintf("%s: %s %s", r.account, r.verb, kind)
}

// covers tells whether a request of an account needed the right. One that was made as
// another account also needed the right to act as it.
func (r right) covers(account string, e auditEvent) bool {
	if r.verb == "impersonate" {
		return e.As.Username != ""
	}
	if r.account != account {
		return false
	}
	resource := e.ObjectRef.Resource
	if sub := e.ObjectRef.Subresource; sub != "" {
		resource += "/" + sub
	}
	return r.verb == e.Verb && r.group == e.ObjectRef.APIGroup && (r.resource == resource || r.resource == "*" && e.ObjectRef.Subresource == "")
}

// rightsOf the accounts, from what deploy/ ships. The roles of an account begin with its
// name.
func rightsOf(t *testing.T) []right {
	t.Helper()
	objects, err := deploy.Access()
	if err != nil {
		t.Fatal(err)
	}
	var rights []right
	for _, o := range objects {
		if kind := o.GetKind(); kind != "Role" && kind != "ClusterRole" {
			continue
		}
		account := strings.Join(strings.SplitN(o.GetName(), "-", 3)[:2], "-")
		for _, rule := range rulesOf(t, o) {
			for _, verb := range rule.Verbs {
				for _, group := range rule.APIGroups {
					for _, resource := range rule.Resources {
						rights = append(rights, right{account, verb, group, resource})
					}
				}
			}
		}
	}
	return rights
}

func rulesOf(t *testing.T, o *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	role := &rbacv1.ClusterRole{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role); err != nil {
		t.Fatal(err)
	}
	return role.Rules
}
