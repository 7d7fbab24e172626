package e2e

import (
	"net/url"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/providers/capi"
)

// TestCredentialsInTheCluster: the administrator that Cluster API gives serves to make
// Refloat's own accounts and their tokens; everything that the repository says is written
// as one of them, and none of that counts as extra.
func TestCredentialsInTheCluster(t *testing.T) {
	const name = "borrowed"
	repo := newRepository(t, map[string]string{"state/a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\ndata: {a: b}\n"})
	plan := repo.plan(t, name, "", "state")
	out := box.must(t, "rebuild", "-f", plan, "--confirm", name, "-o", "json").stdout
	assertVerified(t, parseReport(t, out))
	applied := 0
	tokens := map[string]int{}
	for _, e := range readAudit(t, box.planeDir(t, name)) {
		uri, err := url.Parse(e.RequestURI)
		if err != nil {
			t.Fatal(err)
		}
		manager := uri.Query().Get("fieldManager")
		if e.ObjectRef.Resource == "serviceaccounts" && e.ObjectRef.Subresource == "token" && strings.HasPrefix(e.ObjectRef.Name, "refloat-") {
			tokens[e.ObjectRef.Name]++
		}
		if manager == "refloat" || manager == "refloat-seeds" {
			applied++
			if want := "system:serviceaccount:kube-system:" + string(capi.RoleApplier); e.User.Username != want {
				t.Errorf("%s %s was sent as %s, want %s", e.Verb, e.RequestURI, e.User.Username, want)
			}
		}
	}
	if applied < 2 {
		t.Errorf("%d requests of the applier, want at least two objects written", applied)
	}
	for _, role := range []capi.Role{capi.RoleApplier, capi.RoleVerifier} {
		if n := tokens[string(role)]; n == 0 || n > 5 {
			t.Errorf("%d tokens of %s were asked for, want a few", n, role)
		}
	}
	box.must(t, "teardown", name, "-n", "default", "--confirm", name)
}
