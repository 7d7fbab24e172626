package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/deploy"
	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/providers/local/clusterapi"
	"github.com/refloat-dev/refloat/recovery/controller"
)

// TestRolesOnTheWire: a request without the header of who it is made as would be one of
// the account that may become all of them.
func TestRolesOnTheWire(t *testing.T) {
	var user string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { user = r.Header.Get("Impersonate-User") }))
	defer server.Close()
	r := rolesOf(&rest.Config{Host: server.URL}, "somewhere")
	for want, config := range map[string]*rest.Config{
		"": r.own,
		"system:serviceaccount:somewhere:refloat-planner":   r.planner,
		"system:serviceaccount:somewhere:refloat-applier":   r.applier,
		"system:serviceaccount:somewhere:refloat-destroyer": r.destroyer,
	} {
		c, err := rest.HTTPClientFor(config)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if user != want {
			t.Errorf("a request was made as %q, want %q", user, want)
		}
	}
}

// TestControllersElectALeader runs the controller with the token of its service account and
// the rights that deploy/one-namespace gives it. It leads, serves its namespace, and looks
// at no other.
func TestControllersElectALeader(t *testing.T) {
	plane, err := planetest.Start(t.Context(), planetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	install(t, plane.Config)
	c := served(t, plane.Config)
	order := func(namespace string) *v1alpha1.RecoveryRun {
		run := &v1alpha1.RecoveryRun{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "run"},
			Spec:       v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "none"}, Operation: v1alpha1.OperationRebuild},
		}
		if err := c.Create(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		return run
	}
	elsewhere := order("default")
	ours := order("fleet")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		ended <- execute(ctx, []string{"controller", "--kubeconfig", tokenOf(t, plane.Config, deploy.Controller), "--namespace", "fleet",
			"--act-as-accounts-in", deploy.Namespace, "--leader-elect-namespace", deploy.Namespace, "--cache-dir", t.TempDir()}, terminal{Out: &log, Err: &log})
	}()
	ours = finishedRun(t, c, ours, ended)
	if ours.Status.Failure == nil || ours.Status.Failure.Reason != "PlanNotFound" {
		t.Errorf("the run of a plan that does not exist: %+v", ours.Status)
	}
	lease := &coordinationv1.Lease{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: deploy.Namespace, Name: "controller.refloat.dev"}, lease); err != nil || lease.Spec.HolderIdentity == nil {
		t.Errorf("lease of the leader: %+v, %v", lease.Spec, err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(elsewhere), elsewhere); err != nil || elsewhere.Status.FinishedAt != nil || len(elsewhere.Finalizers) > 0 {
		t.Errorf("the run of another namespace was looked at: %+v, %v", elsewhere, err)
	}
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, log.String())
	}
}

func install(t *testing.T, config *rest.Config) {
	t.Helper()
	definitions, err := clusterapi.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	if err := clusterapi.Install(t.Context(), config, definitions); err != nil {
		t.Fatal(err)
	}
	objects, err := planetest.Kustomize("../../deploy/one-namespace")
	if err != nil {
		t.Fatal(err)
	}
	if err := planetest.Apply(t.Context(), config, objects); err != nil {
		t.Fatal(err)
	}
}

// served waits until the kinds of Refloat are.
func served(t *testing.T, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := controller.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tokenOf an account, in a kubeconfig.
func tokenOf(t *testing.T, config *rest.Config, account string) string {
	t.Helper()
	answer, err := kubernetes.NewForConfigOrDie(config).CoreV1().ServiceAccounts(deploy.Namespace).
		CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k := clientcmdapi.NewConfig()
	k.Clusters["plane"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	k.AuthInfos["account"] = &clientcmdapi.AuthInfo{Token: answer.Status.Token}
	k.Contexts["it"] = &clientcmdapi.Context{Cluster: "plane", AuthInfo: "account"}
	k.CurrentContext = "it"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func finishedRun(t *testing.T, c client.WithWatch, run *v1alpha1.RecoveryRun, ended chan int) *v1alpha1.RecoveryRun {
	t.Helper()
	w, err := c.Watch(t.Context(), &v1alpha1.RecoveryRunList{}, client.InNamespace(run.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case e := <-w.ResultChan():
			now, ok := e.Object.(*v1alpha1.RecoveryRun)
			if ok && now.Status.FinishedAt != nil {
				return now
			}
		case code := <-ended:
			t.Fatalf("the controller ended with exit code %d", code)
		case <-limit.C:
			t.Fatal("the controller did not finish the run within a minute")
		}
	}
}
