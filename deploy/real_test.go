package deploy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/refloat-dev/refloat/deploy"
	"github.com/refloat-dev/refloat/internal/planetest"
)

// TestInstall applies what docs/installing.md says to a real API server: for one
// namespace first, then for all.
func TestInstall(t *testing.T) {
	plane, err := planetest.Start(t.Context(), planetest.Options{Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := kubernetes.NewForConfigOrDie(plane.Config)
	install := func(t *testing.T, dir string) {
		for range 2 { // an upgrade is the same command again
			if err := planetest.Apply(t.Context(), plane.Config, built(t, dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("one namespace", func(t *testing.T) {
		install(t, "one-namespace")
		check(t, client, append(always(), inNamespace("fleet", true)...))
		check(t, client, inNamespace("other", false))
		check(t, client, inNamespace("", false))
	})
	t.Run("every namespace", func(t *testing.T) {
		install(t, ".")
		check(t, client, append(always(), inNamespace("other", true)...))
	})
	t.Run("the pods are allowed", func(t *testing.T) { available(t, client) })
}

// question to the API server.
type question struct {
	account, verb, resource, namespace, name string
	allowed                                  bool
}

// always is so whatever was installed.
func always() []question {
	const system = deploy.Namespace
	return []question{
		{deploy.Controller, "impersonate", "serviceaccounts", system, deploy.Planner, true},
		{deploy.Controller, "impersonate", "serviceaccounts", system, deploy.Applier, true},
		{deploy.Controller, "impersonate", "serviceaccounts", system, deploy.Destroyer, true},
		{deploy.Controller, "impersonate", "serviceaccounts", system, "default", false},
		{deploy.Controller, "impersonate", "serviceaccounts", "kube-system", deploy.Destroyer, false},
		{deploy.Controller, "impersonate", "users", "", "refloat-admin", false},
		{deploy.Controller, "impersonate", "groups", "", "system:masters", false},
		{deploy.Controller, "create", "leases.coordination.k8s.io", system, "", true},
		{deploy.Controller, "update", "leases.coordination.k8s.io", system, "controller.refloat.dev", true},
		{deploy.Controller, "update", "leases.coordination.k8s.io", system, "another", false},
		{deploy.Controller, "get", "secrets", "fleet", "git", false},
		{deploy.Controller, "delete", "clusters.cluster.x-k8s.io", "fleet", "dev", false},
		{deploy.Controller, "get", "recoveryruns.refloat.dev", "fleet", "run", false},
		{deploy.Planner, "get", "namespaces", "", "kube-system", true},
		{deploy.Planner, "get", "namespaces", "", "other", false},
		{deploy.Planner, "list", "nodes", "", "", true},
		{deploy.Planner, "impersonate", "serviceaccounts", system, deploy.Destroyer, false},
		{deploy.Planner, "create", "serviceaccounts/token", system, deploy.Destroyer, false},
		{deploy.Destroyer, "list", "customresourcedefinitions.apiextensions.k8s.io", "", "", true},
	}
}

// inNamespace is what the accounts may do where they serve plans, and must not elsewhere;
// what none of them may do anywhere is among it.
func inNamespace(namespace string, served bool) []question {
	var all []question
	ask := func(account, verbs, resources string, allowed bool) {
		for verb := range strings.FieldsSeq(verbs) {
			for resource := range strings.FieldsSeq(resources) {
				all = append(all, question{account, verb, resource, namespace, "", allowed && served})
			}
		}
	}
	const providers = "fakeclusters.infrastructure.cluster.x-k8s.io fakes.controlplane.cluster.x-k8s.io fakes.bootstrap.cluster.x-k8s.io"
	ask(deploy.Planner, "get", "recoveryplans.refloat.dev secrets configmaps clusters.cluster.x-k8s.io "+providers, true)
	ask(deploy.Planner, "list watch", "recoveryruns.refloat.dev runapprovals.refloat.dev teardownbudgets.refloat.dev clusters.cluster.x-k8s.io", true)
	ask(deploy.Planner, "update", "recoveryruns/status.refloat.dev recoveryplans/status.refloat.dev teardownbudgets/status.refloat.dev", true)
	ask(deploy.Planner, "list watch create update patch delete", "secrets", false)
	ask(deploy.Planner, "create update patch delete deletecollection", "clusters.cluster.x-k8s.io "+providers, false)
	ask(deploy.Planner, "create update delete", "recoveryplans.refloat.dev recoveryruns.refloat.dev runapprovals.refloat.dev holds.refloat.dev teardownbudgets.refloat.dev", false)

	ask(deploy.Applier, "create", "clusters.cluster.x-k8s.io secrets configmaps "+providers, true)
	ask(deploy.Applier, "patch", "clusters/status.cluster.x-k8s.io "+providers, true)
	ask(deploy.Applier, "delete deletecollection update", "clusters.cluster.x-k8s.io machinedeployments.cluster.x-k8s.io secrets configmaps "+providers, false)
	ask(deploy.Applier, "patch", "clusters.cluster.x-k8s.io recoveryruns/status.refloat.dev", false)
	ask(deploy.Applier, "list watch", "secrets", false)

	ask(deploy.Destroyer, "list delete", "clusters.cluster.x-k8s.io secrets configmaps "+providers, true)
	ask(deploy.Destroyer, "create update deletecollection", "clusters.cluster.x-k8s.io secrets "+providers, false)
	ask(deploy.Destroyer, "get", "secrets", false)
	ask(deploy.Destroyer, "patch update delete", "recoveryruns.refloat.dev recoveryruns/status.refloat.dev", false)

	for _, account := range []string{deploy.Planner, deploy.Applier, deploy.Destroyer} {
		ask(account, "create update patch delete bind escalate", "roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io", false)
		ask(account, "create get list delete", "pods deployments.apps", false)
	}
	return all
}

// check asks until the answers are as they have to be: the API server learns of new rights
// a moment after they were written.
func check(t *testing.T, client kubernetes.Interface, questions []question) {
	t.Helper()
	for _, q := range questions {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, q.review(), metav1.CreateOptions{})
			return err == nil && answer.Status.Allowed == q.allowed, err
		})
		cancel()
		if err != nil {
			t.Errorf("%s may %s %s %q in namespace %q: want %v (%v)", q.account, q.verb, q.resource, q.name, q.namespace, q.allowed, err)
		}
	}
}

func (q question) review() *authorizationv1.SubjectAccessReview {
	resource, group, _ := strings.Cut(q.resource, ".")
	resource, sub, _ := strings.Cut(resource, "/")
	return &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + deploy.Namespace + ":" + q.account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + deploy.Namespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: q.verb, Group: group, Resource: resource, Subresource: sub, Namespace: q.namespace, Name: q.name,
		},
	}}
}

// available waits until the Deployment has its pods, which the API server takes only when
// they keep to the restricted standard.
func available(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	api := client.AppsV1().Deployments(deploy.Namespace)
	selector := fields.OneTermEqualSelector("metadata.name", deploy.Controller).String()
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			return api.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return api.Watch(ctx, o)
		},
	}
	var last *appsv1.Deployment
	_, err := watchtools.UntilWithSync(ctx, source, &appsv1.Deployment{}, nil, func(e watch.Event) (bool, error) {
		d, ok := e.Object.(*appsv1.Deployment)
		if ok {
			last = d
		}
		return ok && d.Status.AvailableReplicas == *d.Spec.Replicas, nil
	})
	if err != nil {
		t.Fatalf("the controller's pods: %v; status: %+v", err, last)
	}
	pods, err := client.CoreV1().Pods(deploy.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.Spec.ServiceAccountName != deploy.Controller || p.Status.Phase != corev1.PodRunning {
			t.Errorf("pod %s runs as %s: %s", p.Name, p.Spec.ServiceAccountName, p.Status.Phase)
		}
	}
}
