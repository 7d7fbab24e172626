package clusterapi

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// policyResources are where the kinds of admission policies are written.
var policyResources = map[string]schema.GroupVersionResource{
	"ValidatingAdmissionPolicy":        {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
	"ValidatingAdmissionPolicyBinding": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"},
}

// InstallPolicies creates or updates policies of admission and their bindings.
func InstallPolicies(ctx context.Context, config *rest.Config, policies []*unstructured.Unstructured) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("install policies: %w", err)
	}
	for _, p := range policies {
		resource, ok := policyResources[p.GetKind()]
		if !ok {
			return fmt.Errorf("install policies: %s %s is none", p.GetKind(), p.GetName())
		}
		_, err := client.Resource(resource).Apply(ctx, p.GetName(), p, metav1.ApplyOptions{FieldManager: "refloat", Force: true})
		if err != nil {
			return fmt.Errorf("install %s %s: %w", p.GetKind(), p.GetName(), err)
		}
	}
	return nil
}
