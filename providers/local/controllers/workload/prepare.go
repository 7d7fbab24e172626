package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/providers/local/api"
)

// Provisioner is the provisioner of the storage classes that every cluster gets.
const Provisioner = "local.refloat.dev/simulated"

const (
	// DefaultStorageClass binds a claim when its first pod is scheduled, as the
	// default class of kind and of most clouds does.
	DefaultStorageClass = "standard"
	// ImmediateStorageClass binds a claim at once, for claims without a pod.
	ImmediateStorageClass = "standard-immediate"
)

const defaultClassAnnotation = "storageclass.kubernetes.io/is-default-class"

// Prepare gives a new cluster its storage classes and then the mark that it is
// simulated. The mark comes last, so that a cluster that has it is never touched
// again: a class that its owner deleted stays deleted.
func (c *Cluster) Prepare(ctx context.Context) error {
	direct, err := c.connect()
	if err != nil {
		return err
	}
	return prepare(ctx, direct)
}

func prepare(ctx context.Context, c client.Client) error {
	system := &corev1.Namespace{}
	err := c.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, system)
	switch {
	case err == nil && system.Labels[api.SimulatedLabel] == api.SimulatedValue:
		return nil
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("read namespace %s: %w", metav1.NamespaceSystem, err)
	}
	for _, class := range storageClasses() {
		if err := c.Create(ctx, class, fieldOwner); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create storage class %s: %w", class.Name, err)
		}
	}
	// The API server makes kube-system a moment after it reports ready. Applying
	// makes it when it is not there yet, so that there is nothing to wait for.
	mark := corev1ac.Namespace(metav1.NamespaceSystem).
		WithLabels(map[string]string{api.SimulatedLabel: api.SimulatedValue})
	if err := c.Apply(ctx, mark, fieldOwner, client.ForceOwnership); err != nil {
		return fmt.Errorf("mark namespace %s as simulated: %w", metav1.NamespaceSystem, err)
	}
	return nil
}

func storageClasses() []*storagev1.StorageClass {
	class := func(name string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
		return &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{
				Name:   name,
				Labels: map[string]string{api.SimulatedLabel: api.SimulatedValue},
			},
			Provisioner:       Provisioner,
			ReclaimPolicy:     ptr.To(corev1.PersistentVolumeReclaimDelete),
			VolumeBindingMode: ptr.To(mode),
		}
	}
	standard := class(DefaultStorageClass, storagev1.VolumeBindingWaitForFirstConsumer)
	standard.Annotations = map[string]string{defaultClassAnnotation: "true"}
	return []*storagev1.StorageClass{standard, class(ImmediateStorageClass, storagev1.VolumeBindingImmediate)}
}
