package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/recovery"
)

// seedManager owns the fields of seeds. It differs from the manager of the state, by
// whose fields a run knows what it has applied already.
const seedManager = "refloat-seeds"

// Seed implements Engine. It may be repeated: the same Secret is applied again.
func (e *engine) Seed(ctx context.Context, target Target, seeds []SeedSecret) error {
	if len(seeds) == 0 {
		return nil
	}
	if err := target.Guard(ctx); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(target.Config)
	if err != nil {
		return fmt.Errorf("connect to the new cluster: %w", err)
	}
	for _, s := range seeds {
		if err := seedOne(ctx, client, s); err != nil {
			return err
		}
	}
	return nil
}

func seedOne(ctx context.Context, client kubernetes.Interface, s SeedSecret) error {
	mark := map[string]string{manifests.SeedLabel: "true"}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace, Labels: mark}}
	_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: seedManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return seedRefused(s, err, "create its namespace", schema.GroupKind{Kind: "Namespace"})
	}
	secret := corev1ac.Secret(s.Secret.Name, s.Namespace).WithType(s.Secret.Type).WithData(s.Secret.Data).
		WithLabels(seedLabels(s.Secret)).WithAnnotations(seedAnnotations(s.Secret))
	_, err = client.CoreV1().Secrets(s.Namespace).Apply(ctx, secret, metav1.ApplyOptions{FieldManager: seedManager, Force: true})
	if err != nil {
		return seedRefused(s, err, "write it", cluster.Secret)
	}
	return nil
}

// seedRefused says why without the values of the Secret, which an API server may quote.
// For that the error is not wrapped. What the server calls invalid stays so.
func seedRefused(s SeedSecret, err error, what string, kind schema.GroupKind) error {
	text := fmt.Sprintf("seed %s/%s: %s: %s", s.Namespace, s.Secret.Name, what, cluster.Explain(err, kind))
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return recovery.Faultf("SeedInvalid", "%s; correct the Secret or spec.seeds, then start another run", text)
	}
	return errors.New(text)
}
