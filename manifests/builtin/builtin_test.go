package builtin_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/refloat-dev/refloat/manifests/builtin"
)

func TestLookup(t *testing.T) {
	tests := map[string]struct {
		kind       schema.GroupKind
		resource   string
		namespaced bool
		version    string
	}{
		"core":               {schema.GroupKind{Kind: "ConfigMap"}, "configmaps", true, "v1"},
		"irregular plural":   {schema.GroupKind{Kind: "Endpoints"}, "endpoints", true, "v1"},
		"of the cluster":     {schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}, "ingressclasses", false, "v1"},
		"several versions":   {schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}, "horizontalpodautoscalers", true, "v2"},
		"custom definitions": {schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, "customresourcedefinitions", false, "v1"},
		"aggregated APIs":    {schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}, "apiservices", false, "v1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := builtin.Lookup(tt.kind)
			if k == nil || k.Resource != tt.resource || k.Namespaced != tt.namespaced || !slices.Contains(k.Versions, tt.version) {
				t.Errorf("got %+v", k)
			}
		})
	}
}

func TestLookupOfOthers(t *testing.T) {
	for _, gk := range []schema.GroupKind{{Kind: "Widget"}, {Group: "policy", Kind: "PodSecurityPolicy"},
		{Group: "gateway.networking.k8s.io", Kind: "Gateway"}, {Group: "authorization.k8s.io", Kind: "SubjectAccessReview"}} {
		if builtin.Lookup(gk) != nil {
			t.Errorf("%s is not built in", gk)
		}
	}
}

// TestTableAgreesWithTheClient finds a kind or version that client-go does not know:
// a table taken from another release.
func TestTableAgreesWithTheClient(t *testing.T) {
	known := 0
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if k := builtin.Lookup(gvk.GroupKind()); k != nil && slices.Contains(k.Versions, gvk.Version) {
			known++
		}
	}
	// The client has no CustomResourceDefinition and no APIService.
	total := 0
	for _, k := range builtin.Kinds() {
		total += len(builtin.Lookup(k).Versions)
	}
	if known != total-2 {
		t.Errorf("the client knows %d of %d kinds and versions, want all but 2", known, total)
	}
}
