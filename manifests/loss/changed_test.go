package loss_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// TestChangedFields tells what is lost of an object that the repository has.
func TestChangedFields(t *testing.T) {
	live := thing("v1 ConfigMap shop/in-git")
	disposable := thing("v1 ConfigMap shop/in-git", annotation("refloat.dev/disposable", "a try"))
	going := thing("v1 ConfigMap shop/in-git", content(`metadata: {deletionTimestamp: "2026-06-02T11:59:00Z"}`))
	set := func(path, manager string) verify.Change {
		return verify.Change{Path: path, Rendered: "1", Live: "2", Manager: manager}
	}
	for name, test := range map[string]struct {
		live    *unstructured.Unstructured
		finding verify.Finding
		lost    string // paths; "none" for an object that is lost without any
	}{
		"by a person":            {finding: verify.Finding{Changes: []verify.Change{set("data.a", "kubectl-edit")}}, lost: "data.a"},
		"by a program":           {finding: verify.Finding{Changes: []verify.Change{set("data.a", "terraform")}}, lost: "data.a"},
		"by an earlier commit":   {finding: verify.Finding{Changes: []verify.Change{set("data.a", "refloat")}}},
		"by Flux":                {finding: verify.Finding{Changes: []verify.Change{set("data.a", "kustomize-controller")}}},
		"by a drain":             {finding: verify.Finding{Changes: []verify.Change{set("spec.replicas", "refloat-drain")}}},
		"by Kubernetes":          {finding: verify.Finding{Changes: []verify.Change{set("data.a", "kube-controller-manager")}}},
		"only missing":           {finding: verify.Finding{Changes: []verify.Change{set("data.a", "")}}},
		"owners of this cluster": {finding: verify.Finding{Changes: []verify.Change{set("metadata.ownerReferences[0]", "kubectl-edit")}}},
		"one among others":       {finding: verify.Finding{Changes: []verify.Change{set("data.a", "refloat"), set("data.b", "kubectl-edit"), set("data.c", "")}}, lost: "data.b"},
		"not comparable":         {finding: verify.Finding{Incomparable: true}, lost: "none"},
		"being deleted":          {live: going, finding: verify.Finding{Changes: []verify.Change{set("data.a", "kubectl-edit")}}},
		"disposable":             {live: disposable, finding: verify.Finding{Changes: []verify.Change{set("data.a", "kubectl-edit")}}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.live == nil {
				test.live = live
			}
			c := contents([]*unstructured.Unstructured{test.live})
			test.finding.ID = idOf(live)
			c.Changed = []verify.Finding{test.finding}
			got := ""
			for _, i := range loss.Judge(c, loss.Rules{Now: now}).Counting() {
				var paths []string
				for _, f := range i.Fields {
					paths = append(paths, f.Path)
				}
				if got = strings.Join(paths, " "); got == "" {
					got = "none"
				}
			}
			if got != test.lost {
				t.Errorf("lost %q, want %q", got, test.lost)
			}
		})
	}
}
