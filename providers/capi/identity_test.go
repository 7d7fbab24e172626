package capi

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// TestStandsFor has Secrets in the way of a kept identity.
func TestStandsFor(t *testing.T) {
	part := map[string][]byte{"tls.crt": []byte("c"), "tls.key": []byte("k")}
	held := func(change func(*corev1.Secret)) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{AnnotationRun: "run", AnnotationEpoch: "1"}}, Data: part}
		change(s)
		return s
	}
	for name, test := range map[string]struct {
		live  *corev1.Secret
		mine  bool
		error any
	}{
		"none":           {nil, false, nil},
		"made before":    {held(func(*corev1.Secret) {}), true, nil},
		"of another run": {held(func(s *corev1.Secret) { s.Annotations[AnnotationRun] = "other" }), false, nil},
		"of somebody":    {held(func(s *corev1.Secret) { s.Annotations = nil }), false, nil},
		"other keys":     {held(func(s *corev1.Secret) { s.Data = map[string][]byte{"tls.key": []byte("x")} }), false, new(*RefusedError)},
		"going":          {held(func(s *corev1.Secret) { now := metav1.Now(); s.DeletionTimestamp = &now }), false, new(*NotReadyError)},
	} {
		mine, err := standsFor(test.live, part, Stamp{Run: "run", Epoch: 2})
		if mine != test.mine || (err != nil) != (test.error != nil) || err != nil && !errors.As(err, test.error) {
			t.Errorf("%s: %t, %v", name, mine, err)
		}
	}
}

// TestIdentitySource is what a control plane provider looks for.
func TestIdentitySource(t *testing.T) {
	src, err := identitySource(&Manifests{Namespace: "fleet", Name: "dev"}, "ca", map[string][]byte{"tls.crt": []byte("c")})
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := src.Object.Object["type"].(string)
	if src.Object.GetName() != "dev-ca" || src.Object.GetNamespace() != "fleet" || kind != string(clusterv1.ClusterSecretType) || src.Object.GetLabels()[clusterv1.ClusterNameLabel] != "dev" {
		t.Errorf("%+v", src.Object.Object)
	}
}
