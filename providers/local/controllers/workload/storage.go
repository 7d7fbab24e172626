package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/refloat-dev/refloat/providers/local/api"
)

// The protocol between Kubernetes' volume controllers and a provisioner.
const (
	provisionerAnnotation     = "volume.kubernetes.io/storage-provisioner"
	betaProvisionerAnnotation = "volume.beta.kubernetes.io/storage-provisioner"
	selectedNodeAnnotation    = "volume.kubernetes.io/selected-node"
	provisionedByAnnotation   = "pv.kubernetes.io/provisioned-by"
	betaClassAnnotation       = "volume.beta.kubernetes.io/storage-class"
	noProvisioner             = "kubernetes.io/no-provisioner"
)

// volumeDirectory is where a volume claims to lie. No kubelet runs, so nobody
// ever opens it.
const volumeDirectory = "/var/lib/refloat-simulated/"

func setupStorage(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).Named("local-claims").
		For(&corev1.PersistentVolumeClaim{}, builder.WithPredicates(unbound())).
		Watches(&storagev1.StorageClass{}, handler.EnqueueRequestsFromMapFunc(claimsOfClass(mgr.GetClient())),
			builder.WithPredicates(onlyCreation())).
		Complete(&claimReconciler{client: mgr.GetClient()})
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).Named("local-volumes").
		For(&corev1.PersistentVolume{}).
		Complete(&volumeReconciler{client: mgr.GetClient()})
}

func unbound() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool {
		claim, ok := o.(*corev1.PersistentVolumeClaim)
		return ok && claim.Spec.VolumeName == ""
	})
}

func onlyCreation() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(event.UpdateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// claimsOfClass finds the claims that waited for a class to appear.
func claimsOfClass(c client.Client) handler.MapFunc {
	return func(ctx context.Context, class client.Object) []reconcile.Request {
		var claims corev1.PersistentVolumeClaimList
		if err := c.List(ctx, &claims); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list claims of a new storage class", "class", class.GetName())
			return nil
		}
		var requests []reconcile.Request
		for i := range claims.Items {
			if claim := &claims.Items[i]; claim.Spec.VolumeName == "" && className(claim) == class.GetName() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(claim)})
			}
		}
		return requests
	}
}

// claimReconciler provides a volume for each claim that asks for one. It plays
// every provisioner there is, not only its own: a repository names the classes of
// the cloud it is meant for, and their drivers are among the simulated pods.
type claimReconciler struct{ client client.Client }

// Reconcile creates the volume of one claim.
func (r *claimReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := r.client.Get(ctx, request.NamespacedName, claim); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	class := &storagev1.StorageClass{}
	if name := className(claim); name == "" {
		return reconcile.Result{}, nil
	} else if err := r.client.Get(ctx, client.ObjectKey{Name: name}, class); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !wantsVolume(claim, class) {
		return reconcile.Result{}, nil
	}
	volume := volumeFor(claim, class)
	if err := r.client.Create(ctx, volume); err != nil && !apierrors.IsAlreadyExists(err) {
		return reconcile.Result{}, fmt.Errorf("create volume %s for claim %s: %w", volume.Name, request, err)
	}
	return reconcile.Result{}, nil
}

// volumeReconciler deletes what the claim reconciler made once its claim is gone.
type volumeReconciler struct{ client client.Client }

// Reconcile deletes one volume when it is released and may be deleted.
func (r *volumeReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	volume := &corev1.PersistentVolume{}
	if err := r.client.Get(ctx, request.NamespacedName, volume); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !disposable(volume) {
		return reconcile.Result{}, nil
	}
	err := r.client.Delete(ctx, volume, client.Preconditions{UID: &volume.UID})
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("delete released volume %s: %w", volume.Name, err)
	}
	return reconcile.Result{}, nil
}

// wantsVolume tells whether Kubernetes handed the claim to a provisioner. It does
// so by an annotation; a claim that waits for its first consumer also needs the
// node that the scheduler chose.
func wantsVolume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) bool {
	if claim.Spec.VolumeName != "" || !claim.DeletionTimestamp.IsZero() || class.Provisioner == noProvisioner {
		return false
	}
	provisioner := claim.Annotations[provisionerAnnotation]
	if provisioner == "" {
		provisioner = claim.Annotations[betaProvisionerAnnotation]
	}
	if provisioner == "" || provisioner != class.Provisioner {
		return false
	}
	waits := ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) == storagev1.VolumeBindingWaitForFirstConsumer
	return !waits || claim.Annotations[selectedNodeAnnotation] != ""
}

func disposable(volume *corev1.PersistentVolume) bool {
	return volume.Labels[api.SimulatedLabel] == api.SimulatedValue &&
		volume.DeletionTimestamp.IsZero() &&
		volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
}

// volumeFor makes the volume of a claim. Its name is derived from the claim's UID,
// so that making it twice makes one.
func volumeFor(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{api.SimulatedLabel: api.SimulatedValue},
			Annotations: map[string]string{provisionedByAnnotation: class.Provisioner},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			MountOptions:                  class.MountOptions,
			PersistentVolumeReclaimPolicy: ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete),
			StorageClassName:              class.Name,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID, ResourceVersion: claim.ResourceVersion,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: volumeDirectory + name},
			},
		},
	}
}

func className(claim *corev1.PersistentVolumeClaim) string {
	if name, ok := claim.Annotations[betaClassAnnotation]; ok {
		return name
	}
	return ptr.Deref(claim.Spec.StorageClassName, "")
}
