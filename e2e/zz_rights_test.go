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

// unusedRights are those that no test here uses, each with the reason why it is there.
var unusedRights = map[string]string{
	"refloat-controller: create leases.coordination.k8s.io":       "the sandbox has one controller, which needs no lease; see TestControllersElectALeader in deploy",
	"refloat-controller: get leases.coordination.k8s.io":          "as above",
	"refloat-controller: update leases.coordination.k8s.io":       "as above",
	"refloat-controller: create events":                           "as above",
	"refloat-controller: patch events":                            "as above",
	"refloat-planner: update recoveryruns/finalizers.refloat.dev": "only OwnerReferencesPermissionEnforcement asks, which the sandbox does not have",
	"refloat-applier: update recoveryruns/finalizers.refloat.dev": "as above",
	"refloat-planner: patch events.events.k8s.io":                 "an event is patched when it repeats within minutes",
	"refloat-planner: get *.addons.cluster.x-k8s.io":              "no plan here has add-ons",
	"refloat-applier: create *.addons.cluster.x-k8s.io":           "as above",
	"refloat-applier: patch *.addons.cluster.x-k8s.io":            "as above",
	"refloat-destroyer: delete *.addons.cluster.x-k8s.io":         "as above",
	"refloat-destroyer: list *.clusterctl.cluster.x-k8s.io":       "the sandbox installs Cluster API without clusterctl",
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
			if r.account == account && r.covers(e) {
				used[r.String()] = true
			}
		}
	}
	if requests == 0 {
		t.Fatal("the audit log of the management plane has no request of the controller")
	}
	if flag.Lookup("test.run").Value.String() != "" {
		t.Log("not every test ran, so that rights may look unused")
		return
	}
	for _, r := range rights {
		reason, excused := unusedRights[r.String()]
		switch {
		case !used[r.String()] && !excused:
			t.Errorf("nothing used the right %q", r)
		case used[r.String()] && excused:
			t.Errorf("the right %q is used, although it is said not to be (%s)", r, reason)
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

// covers tells whether a request needed the right. To act as an account is a request of
// that account too.
func (r right) covers(e auditEvent) bool {
	if r.verb == "impersonate" {
		return e.As.Username != ""
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
