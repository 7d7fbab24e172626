package capi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/providers/capi"
)

func lend(t *testing.T, admin *rest.Config, role capi.Role) kubernetes.Interface {
	t.Helper()
	began := time.Now()
	config, err := (&capi.Clusters{Clock: clock.RealClock{}}).Lend(t.Context(), admin, role)
	if err != nil {
		t.Fatalf("lend %s: %v", role, err)
	}
	t.Logf("lent %s within %s", role, time.Since(began).Round(time.Microsecond))
	return kubernetes.NewForConfigOrDie(config)
}

// TestLentAccess asks a real API server what each role may do with what it was lent.
func TestLentAccess(t *testing.T) {
	plane, err := planetest.Start(t.Context(), planetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	admin := kubernetes.NewForConfigOrDie(plane.Config)
	for _, role := range []capi.Role{capi.RoleApplier, capi.RoleVerifier, capi.RoleDestroyer} {
		t.Run(string(role), func(t *testing.T) {
			for range 2 { // what is there is used
				may(t, lend(t, plane.Config, role), role)
			}
			account, err := admin.CoreV1().ServiceAccounts("kube-system").Get(t.Context(), string(role), metav1.GetOptions{})
			if err != nil || account.Labels[capi.LabelAccess] != "true" || ptr.Deref(account.AutomountServiceAccountToken, true) {
				t.Errorf("account %+v, %v", account, err)
			}
		})
	}
	t.Run("nothing is written twice", func(t *testing.T) {
		before := version(t, admin)
		lend(t, plane.Config, capi.RoleVerifier)
		if after := version(t, admin); after != before {
			t.Errorf("the account changed from %s to %s", before, after)
		}
	})
	t.Run("rights of another version", func(t *testing.T) {
		role, err := admin.RbacV1().ClusterRoles().Get(t.Context(), "refloat-verifier", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		role.Rules = nil
		if _, err := admin.RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		account, err := admin.CoreV1().ServiceAccounts("kube-system").Get(t.Context(), "refloat-verifier", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		account.Annotations["refloat.dev/rights"] = "of another version"
		if _, err := admin.CoreV1().ServiceAccounts("kube-system").Update(t.Context(), account, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		may(t, lend(t, plane.Config, capi.RoleVerifier), capi.RoleVerifier)
	})
	t.Run("who takes the account away takes the access away", func(t *testing.T) {
		lent := lend(t, plane.Config, capi.RoleDestroyer)
		if err := admin.CoreV1().ServiceAccounts("kube-system").Delete(t.Context(), "refloat-destroyer", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := lent.CoreV1().Services("").List(t.Context(), metav1.ListOptions{})
		if err == nil {
			t.Error("it still works")
		}
		may(t, lend(t, plane.Config, capi.RoleDestroyer), capi.RoleDestroyer)
	})
}

func version(t *testing.T, admin kubernetes.Interface) string {
	t.Helper()
	account, err := admin.CoreV1().ServiceAccounts("kube-system").Get(t.Context(), "refloat-verifier", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return account.ResourceVersion
}

// may tries what each role is for, and what it must not do.
func may(t *testing.T, lent kubernetes.Interface, role capi.Role) {
	t.Helper()
	try := func(what string, allowed bool, err error) {
		t.Helper()
		if allowed && err != nil && !apierrors.IsNotFound(err) || !allowed && !apierrors.IsForbidden(err) {
			t.Errorf("%s: %s: %v, want allowed %v", role, what, err, allowed)
		}
	}
	ctx := t.Context()
	_, err := lent.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
	try("read kube-system", true, err)
	try("read /readyz", true, lent.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error())
	_, err = lent.CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{})
	try("list Secrets", role != capi.RoleDestroyer, err)
	_, err = lent.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}}, metav1.CreateOptions{})
	try("create a ConfigMap", role == capi.RoleApplier, err)
	try("delete a Service", role != capi.RoleVerifier, lent.CoreV1().Services("default").Delete(ctx, "none", metav1.DeleteOptions{}))
	try("delete a Namespace", role == capi.RoleApplier, lent.CoreV1().Namespaces().Delete(ctx, "none", metav1.DeleteOptions{}))
	_, err = lent.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
	try("list ClusterRoles", role != capi.RoleDestroyer, err)
}

// TestLentTokensAreRenewed: of the hour that the server grants, a fifth is left when the
// next one is asked for. The administrator's credentials are used for that alone.
func TestLentTokensAreRenewed(t *testing.T) {
	tokens, asked := 0, ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var answer any = &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
		switch {
		case strings.HasSuffix(r.URL.Path, "/token"):
			tokens++
			answer = &authenticationv1.TokenRequest{
				TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"},
				Spec:     authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)},
				Status:   authenticationv1.TokenRequestStatus{Token: "token-" + string(rune('0'+tokens))},
			}
		case strings.Contains(r.URL.Path, "/serviceaccounts/"):
			answer = &corev1.ServiceAccount{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"refloat.dev/rights": capi.RightsDigest(capi.RoleVerifier)}},
			}
		default:
			asked = r.Header.Get("Authorization")
		}
		_ = json.NewEncoder(w).Encode(answer) // a client that went away fails by itself
	}))
	defer server.Close()
	admin := &rest.Config{Host: server.URL, BearerToken: "canary-admin", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	for name, test := range map[string]struct {
		ago    time.Duration
		tokens int
	}{
		"young": {47 * time.Minute, 1},
		"old":   {49 * time.Minute, 2},
	} {
		tokens, asked = 0, ""
		clusters := &capi.Clusters{Clock: clocktesting.NewFakePassiveClock(time.Now().Add(-test.ago))}
		config, err := clusters.Lend(t.Context(), admin, capi.RoleVerifier)
		if err != nil {
			t.Fatal(err)
		}
		client := kubernetes.NewForConfigOrDie(config)
		for range 2 {
			if _, err := client.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if want := "Bearer token-" + string(rune('0'+test.tokens)); tokens != test.tokens || asked != want {
			t.Errorf("%s: %d tokens, the last request with %q: want %d and %q", name, tokens, asked, test.tokens, want)
		}
	}
}
