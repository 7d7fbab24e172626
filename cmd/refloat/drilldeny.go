package main

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// drilled is a client of the throw-away cluster of a drill, with the kubeconfig that
// Cluster API keeps.
func (x *chaos) drilled(ctx context.Context, run *v1alpha1.RecoveryRun) (kubernetes.Interface, error) {
	held := &corev1.Secret{}
	key := client.ObjectKey{Namespace: run.Namespace, Name: run.Status.Target.Name + "-kubeconfig"}
	if err := x.c.Get(ctx, key, held); err != nil {
		return nil, fmt.Errorf("read the kubeconfig of the drill for --chaos: %w", err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(held.Data["value"])
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig of the drill for --chaos: %w", err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reach the drill for --chaos: %w", err)
	}
	return kube, nil
}

// denyAll is a webhook that nobody answers. It leaves alone what the control plane itself
// lives on.
func denyAll() *admissionv1.ValidatingWebhookConfiguration {
	fail, none, nowhere, seconds := admissionv1.Fail, admissionv1.SideEffectClassNone, "https://127.0.0.1:1/", int32(1)
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "refloat-chaos-deny"},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "deny.chaos.refloat.dev", FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &seconds,
			AdmissionReviewVersions: []string{"v1"}, ClientConfig: admissionv1.WebhookClientConfig{URL: &nowhere},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"kube-system", "kube-node-lease", "kube-public"}},
			}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{"", "apps", "batch", "networking.k8s.io"}, APIVersions: []string{"*"}, Resources: []string{"*"}},
			}},
		}},
	}
}
