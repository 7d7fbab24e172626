package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/expand"
)

func TestClustersOfArgoCD(t *testing.T) {
	o := &stateFlags{clusters: []string{"eu-1", "https://eu.example.com:6443", "us=https://us.example.com"}}
	o.planned(&v1alpha1.ArgoCDPolicy{Namespace: "gitops", Clusters: []v1alpha1.ArgoCDCluster{{Name: "planned"}}})
	want := expand.ArgoOptions{Namespace: "gitops", Clusters: []argocd.ClusterName{
		{Name: "planned"}, {Name: "eu-1"}, {Server: "https://eu.example.com:6443"}, {Name: "us", Server: "https://us.example.com"},
	}}
	for range 2 { // asking twice gives the same
		got, err := o.argoOptions()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	o = &stateFlags{argo: expand.ArgoOptions{Namespace: "flag"}}
	o.planned(&v1alpha1.ArgoCDPolicy{Namespace: "gitops"})
	o.planned(nil)
	if o.argo.Namespace != "flag" {
		t.Errorf("namespace %s: the flag goes first", o.argo.Namespace)
	}
	for _, wrong := range []string{"", "=", "a=", "=https://x", "a=http://x", "http://x", "a b", "a/b"} {
		o = &stateFlags{clusters: []string{wrong}}
		if got, err := o.argoOptions(); err == nil {
			t.Errorf("%q is taken as %+v", wrong, got)
		}
	}
}
