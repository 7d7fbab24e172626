package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/refloat-dev/refloat/providers/local/api"
)

func class(mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "disk.example.com", VolumeBindingMode: &mode,
		ReclaimPolicy: ptr.To(corev1.PersistentVolumeReclaimRetain), MountOptions: []string{"noatime"},
	}
}

func claim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "app", Name: "data", UID: "claim-uid",
			Annotations: map[string]string{provisionerAnnotation: "disk.example.com"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("fast"),
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			VolumeMode:       ptr.To(corev1.PersistentVolumeBlock),
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("7Gi")},
			},
		},
	}
}

func TestWantsVolume(t *testing.T) {
	immediate, later := storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer
	tests := map[string]struct {
		mode   storagev1.VolumeBindingMode
		change func(*corev1.PersistentVolumeClaim, *storagev1.StorageClass)
		want   bool
	}{
		"immediate":       {mode: immediate, want: true},
		"before consumer": {mode: later},
		"after consumer": {mode: later, want: true, change: func(c *corev1.PersistentVolumeClaim, _ *storagev1.StorageClass) {
			c.Annotations[selectedNodeAnnotation] = "node-1"
		}},
		"not handed over": {mode: immediate, change: func(c *corev1.PersistentVolumeClaim, _ *storagev1.StorageClass) {
			c.Annotations = nil
		}},
		"handed over the old way": {mode: immediate, want: true, change: func(c *corev1.PersistentVolumeClaim, _ *storagev1.StorageClass) {
			c.Annotations = map[string]string{betaProvisionerAnnotation: "disk.example.com"}
		}},
		"handed to another class": {mode: immediate, change: func(_ *corev1.PersistentVolumeClaim, s *storagev1.StorageClass) {
			s.Provisioner = "other.example.com"
		}},
		"bound": {mode: immediate, change: func(c *corev1.PersistentVolumeClaim, _ *storagev1.StorageClass) {
			c.Spec.VolumeName = "pv"
		}},
		"being deleted": {mode: immediate, change: func(c *corev1.PersistentVolumeClaim, _ *storagev1.StorageClass) {
			c.DeletionTimestamp = &metav1.Time{}
			*c.DeletionTimestamp = metav1.Now()
		}},
		"static volumes only": {mode: immediate, change: func(c *corev1.PersistentVolumeClaim, s *storagev1.StorageClass) {
			s.Provisioner = noProvisioner
			c.Annotations[provisionerAnnotation] = noProvisioner
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, s := claim(), class(test.mode)
			if test.change != nil {
				test.change(c, s)
			}
			if got := wantsVolume(c, s); got != test.want {
				t.Errorf("wantsVolume = %v, want %v", got, test.want)
			}
		})
	}
}

func newClient(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).Build()
}

func TestClaimGetsItsVolumeOnce(t *testing.T) {
	c := newClient(claim(), class(storagev1.VolumeBindingImmediate))
	r := &claimReconciler{client: c}
	for range 2 {
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "app", Name: "data"}}); err != nil {
			t.Fatal(err)
		}
	}
	var volumes corev1.PersistentVolumeList
	if err := c.List(t.Context(), &volumes); err != nil || len(volumes.Items) != 1 {
		t.Fatalf("%d volumes (%v), want 1", len(volumes.Items), err)
	}
	got := volumes.Items[0]
	if got.Name != "pvc-claim-uid" || got.Annotations[provisionedByAnnotation] != "disk.example.com" || got.Labels[api.SimulatedLabel] != "true" {
		t.Errorf("metadata %+v", got.ObjectMeta)
	}
	want := corev1.PersistentVolumeSpec{
		Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("7Gi")},
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, VolumeMode: ptr.To(corev1.PersistentVolumeBlock),
		MountOptions: []string{"noatime"}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		StorageClassName: "fast",
		ClaimRef: &corev1.ObjectReference{
			APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: "app", Name: "data", UID: "claim-uid", ResourceVersion: "999",
		},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: volumeDirectory + "pvc-claim-uid"}},
	}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestClaimsWaitForTheirClass(t *testing.T) {
	bound := claim()
	bound.Name, bound.Spec.VolumeName = "bound", "pv"
	other := claim()
	other.Name, other.Spec.StorageClassName = "other", ptr.To("slow")
	c := newClient(claim(), bound, other)
	if _, err := (&claimReconciler{client: c}).Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "app", Name: "data"}}); err != nil {
		t.Errorf("a claim without its class: %v", err)
	}
	got := claimsOfClass(c)(t.Context(), class(storagev1.VolumeBindingImmediate))
	want := []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: "app", Name: "data"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

func TestVolumeIsDeletedWhenReleased(t *testing.T) {
	tests := map[string]struct {
		phase  corev1.PersistentVolumePhase
		policy corev1.PersistentVolumeReclaimPolicy
		ours   bool
		stays  bool
	}{
		"released":        {corev1.VolumeReleased, corev1.PersistentVolumeReclaimDelete, true, false},
		"bound":           {corev1.VolumeBound, corev1.PersistentVolumeReclaimDelete, true, true},
		"retained":        {corev1.VolumeReleased, corev1.PersistentVolumeReclaimRetain, true, true},
		"of someone else": {corev1.VolumeReleased, corev1.PersistentVolumeReclaimDelete, false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			volume := volumeFor(claim(), class(storagev1.VolumeBindingImmediate))
			volume.Spec.PersistentVolumeReclaimPolicy, volume.Status.Phase = test.policy, test.phase
			if !test.ours {
				volume.Labels = nil
			}
			c := newClient(volume)
			request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(volume)}
			if _, err := (&volumeReconciler{client: c}).Reconcile(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			err := c.Get(t.Context(), request.NamespacedName, volume)
			if stays := err == nil; stays != test.stays || err != nil && !apierrors.IsNotFound(err) {
				t.Errorf("still there: %v (%v), want %v", stays, err, test.stays)
			}
		})
	}
}

func TestPrepareOnce(t *testing.T) {
	c := newClient()
	if err := prepare(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	system := &corev1.Namespace{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: metav1.NamespaceSystem}, system); err != nil {
		t.Fatal(err)
	}
	if system.Labels[api.SimulatedLabel] != api.SimulatedValue {
		t.Errorf("labels of kube-system: %v", system.Labels)
	}
	var classes storagev1.StorageClassList
	if err := c.List(t.Context(), &classes); err != nil {
		t.Fatal(err)
	}
	modes, defaults := map[string]storagev1.VolumeBindingMode{}, 0
	for _, s := range classes.Items {
		modes[s.Name] = *s.VolumeBindingMode
		if s.Annotations[defaultClassAnnotation] == "true" {
			defaults++
		}
	}
	want := map[string]storagev1.VolumeBindingMode{
		DefaultStorageClass: storagev1.VolumeBindingWaitForFirstConsumer, ImmediateStorageClass: storagev1.VolumeBindingImmediate,
	}
	if diff := cmp.Diff(want, modes); diff != "" || defaults != 1 {
		t.Errorf("%d default classes; modes (-want +got):\n%s", defaults, diff)
	}

	// What its owner deleted stays deleted.
	if err := c.Delete(t.Context(), &classes.Items[0]); err != nil {
		t.Fatal(err)
	}
	if err := prepare(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := c.List(t.Context(), &classes); err != nil || len(classes.Items) != 1 {
		t.Errorf("%d classes after the second time (%v), want 1", len(classes.Items), err)
	}
}
