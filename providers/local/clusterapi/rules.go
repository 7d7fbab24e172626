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

const rbac = "rbac.authorization.k8s.io"

// ruleResources are where policies of admission, accounts and their rights are written.
var ruleResources = map[string]schema.GroupVersionResource{
	"ValidatingAdmissionPolicy":        {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
	"ValidatingAdmissionPolicyBinding": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"},
	"Namespace":                        {Version: "v1", Resource: "namespaces"},
	"ServiceAccount":                   {Version: "v1", Resource: "serviceaccounts"},
	"Role":                             {Group: rbac, Version: "v1", Resource: "roles"},
	"RoleBinding":                      {Group: rbac, Version: "v1", Resource: "rolebindings"},
	"ClusterRole":                      {Group: rbac, Version: "v1", Resource: "clusterroles"},
	"ClusterRoleBinding":               {Group: rbac, Version: "v1", Resource: "clusterrolebindings"},
}

// InstallRules creates or updates policies of admission, accounts and their rights, in
// the order in which they are given.
func InstallRules(ctx context.Context, config *rest.Config, rules []*unstructured.Unstructured) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("install policies and rights: %w", err)
	}
	for _, r := range rules {
		resource, ok := ruleResources[r.GetKind()]
		if !ok {
			return fmt.Errorf("install policies and rights: %s %s is neither", r.GetKind(), r.GetName())
		}
		_, err := client.Resource(resource).Namespace(r.GetNamespace()).Apply(ctx, r.GetName(), r, metav1.ApplyOptions{FieldManager: "refloat", Force: true})
		if err != nil {
			return fmt.Errorf("install %s %s: %w", r.GetKind(), r.GetName(), err)
		}
	}
	return nil
}
