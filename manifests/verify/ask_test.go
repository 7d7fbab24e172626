package verify_test

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// TestReadsWithAnAccessThatOnlyReads: whoever may only read can verify, as long as somebody
// else asks what an object would become.
func TestReadsWithAnAccessThatOnlyReads(t *testing.T) {
	objects := planetest.Mixed(40, "reader")
	objects = append(objects, planetest.Deployment("reader-0", "web", 1))
	applied(t, objects)
	admin := kubernetes.NewForConfigOrDie(plane.Config).RbacV1()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "reader", Labels: map[string]string{"refloat.dev/access": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: role.ObjectMeta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "reader"}},
	}
	t.Cleanup(func() {
		_ = admin.ClusterRoles().Delete(context.Background(), "reader", metav1.DeleteOptions{})
		_ = admin.ClusterRoleBindings().Delete(context.Background(), "reader", metav1.DeleteOptions{})
	})
	if _, err := admin.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	reader := rest.CopyConfig(plane.Config)
	reader.Impersonate.UserName = "reader"

	ask, dry, real := counted()
	for _, thorough := range []bool{false, true} {
		r, err := verify.Verify(t.Context(), objects, verify.Options{Config: reader, Ask: ask, Simulated: true, Thorough: thorough})
		if err != nil || !r.Clean() {
			t.Fatalf("report %+v, error %v", r, err)
		}
		for _, f := range r.Extra {
			if f.ID.Name == "reader" {
				t.Errorf("the access of Refloat counts as extra: %+v", f)
			}
		}
	}
	if int(dry.Load()) < len(objects) || real.Load() != 0 {
		t.Errorf("%d dry runs and %d writes for %d objects", dry.Load(), real.Load(), len(objects))
	}
	r, err := verify.Verify(t.Context(), objects, verify.Options{Config: reader, Simulated: true, Thorough: true})
	if err == nil && r.Clean() {
		t.Error("a cluster matches although nobody could ask about its objects")
	}
}
