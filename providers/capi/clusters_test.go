package capi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clocktesting "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/providers/capi/fake"
)

var stamp = capi.Stamp{Run: "run-1", Epoch: 1}

type world struct {
	*fake.Management
	*capi.Clusters
}

func newWorld(t *testing.T, funcs interceptor.Funcs) *world {
	m := fake.New(t, fake.Options{Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))})
	return &world{Management: m, Clusters: m.Clusters(interceptor.NewClient(m.Store, funcs))}
}

func (w *world) made(t *testing.T) capi.Incarnation {
	t.Helper()
	m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	inc, err := w.Create(t.Context(), m, stamp)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	return inc
}

// TestCreateContinuesAfterEveryCrash stops the creation at each write, before and
// after it takes effect, and lets another process begin anew.
func TestCreateContinuesAfterEveryCrash(t *testing.T) {
	crash := errors.New("crash")
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			writes, created := 0, map[string]int{}
			hit := func(effect func() error) error {
				writes++
				if writes != k {
					return effect()
				}
				if after {
					if err := effect(); err != nil {
						return err
					}
				}
				return crash
			}
			w := newWorld(t, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
					return hit(func() error {
						err := c.Create(ctx, o, opts...)
						if err == nil {
							created[o.GetName()+o.GetObjectKind().GroupVersionKind().Kind]++
						}
						return err
					})
				},
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
					return hit(func() error { return c.Patch(ctx, o, p, opts...) })
				},
			})
			m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Create(t.Context(), m, stamp)
			if err == nil {
				if k < 9 {
					t.Fatalf("only %d writes were made", k-1)
				}
				break // k is beyond the last write
			}
			if !errors.Is(err, crash) {
				t.Fatalf("write %d: %v", k, err)
			}
			if _, err := w.Create(t.Context(), m, capi.Stamp{Run: stamp.Run, Epoch: 2}); err != nil {
				t.Fatalf("after a crash at write %d: %v", k, err)
			}
			if len(created) != 5 {
				t.Errorf("crash at write %d: created %v", k, created)
			}
			for object, times := range created {
				if times != 1 {
					t.Errorf("crash at write %d: %s was created %d times", k, object, times)
				}
			}
		}
	}
}

func TestPreflight(t *testing.T) {
	w := newWorld(t, interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			options := (&client.CreateOptions{}).ApplyOptions(opts)
			if len(options.DryRun) == 0 || options.FieldValidation != metav1.FieldValidationStrict {
				t.Errorf("%s: not a strict dry run", o.GetName())
			}
			if o.GetName() == "bad" {
				return apierrors.NewInvalid(schema.GroupKind{Kind: "FakeCluster"}, "bad", nil)
			}
			return nil
		},
	})
	ok := "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}"
	for name, test := range map[string]struct {
		documents []string
		want      string
	}{
		"good":                {[]string{ok}, ""},
		"provider missing":    {[]string{ok, "apiVersion: infrastructure.cluster.x-k8s.io/v1beta1\nkind: AWSCluster\nmetadata: {name: dev}"}, "f:2: AWSCluster dev: infrastructure.cluster.x-k8s.io/v1beta1, Kind=AWSCluster is not served"},
		"invalid":             {[]string{ok, "apiVersion: infrastructure.cluster.x-k8s.io/v1beta2\nkind: FakeCluster\nmetadata: {name: bad}"}, "f:2: FakeCluster bad: the management cluster refuses it"},
		"management endpoint": {[]string{ok + "\nspec: {controlPlaneEndpoint: {host: management.invalid, port: 6443}}"}, "never a target"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := capi.Parse(decode(t, test.documents...), "dev", "fleet")
			if err != nil {
				t.Fatal(err)
			}
			err = w.Preflight(t.Context(), m)
			if test.want == "" && err == nil {
				return
			}
			if err == nil || test.want == "" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
		})
	}
}

// TestDelete changes the world between the read and the deletion.
func TestDelete(t *testing.T) {
	edit := func(t *testing.T, w *world, change func(*clusterv1.Cluster)) {
		cluster := &clusterv1.Cluster{}
		if err := w.Store.Get(t.Context(), types.NamespacedName{Namespace: "fleet", Name: "dev"}, cluster); err != nil {
			t.Fatal(err)
		}
		change(cluster)
		if err := w.Store.Update(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		before  func(*testing.T, *world)
		between func(*testing.T, *world) // run once, just before the DELETE arrives
		stamp   capi.Stamp
		first   string // the error of the first call, when it is not want
		want    string
		deleted bool
	}{
		"plain":          {stamp: stamp, deleted: true},
		"by another run": {stamp: capi.Stamp{Run: "run-2", Epoch: 1}, deleted: true},
		"status changes meanwhile": {stamp: stamp, first: "changed between", deleted: true, between: func(t *testing.T, w *world) {
			edit(t, w, func(c *clusterv1.Cluster) { c.Labels["x"] = "y" })
		}},
		"a newer process took over meanwhile": {stamp: stamp, first: "changed between", want: "newer process", between: func(t *testing.T, w *world) {
			edit(t, w, func(c *clusterv1.Cluster) { c.Annotations[capi.AnnotationEpoch] = "2" })
		}},
		"not ours": {stamp: stamp, want: "was not made by Refloat", before: func(t *testing.T, w *world) {
			edit(t, w, func(c *clusterv1.Cluster) { c.Annotations = nil })
		}},
		"handed over": {stamp: stamp, deleted: true, before: func(t *testing.T, w *world) {
			edit(t, w, func(c *clusterv1.Cluster) { c.Annotations = map[string]string{capi.AnnotationAdopt: "true"} })
		}},
		"replaced meanwhile": {stamp: stamp, first: "changed between", want: "another object", between: func(t *testing.T, w *world) {
			edit(t, w, func(c *clusterv1.Cluster) { c.Finalizers = nil })
			cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev"}}
			if err := w.Store.Delete(t.Context(), cluster); err != nil {
				t.Fatal(err)
			}
			if err := w.Store.Create(t.Context(), cluster); err != nil {
				t.Fatal(err)
			}
		}},
		"gone meanwhile": {stamp: stamp, want: "does not exist", between: func(t *testing.T, w *world) {
			edit(t, w, func(c *clusterv1.Cluster) { c.Finalizers = nil })
			if err := w.Store.Delete(t.Context(), &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "dev"}}); err != nil {
				t.Fatal(err)
			}
		}},
		"no run": {want: "needs the UID"},
	} {
		t.Run(name, func(t *testing.T) {
			var w *world
			requests, between := 0, test.between
			w = newWorld(t, interceptor.Funcs{Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				options := (&client.DeleteOptions{}).ApplyOptions(opts)
				if options.Preconditions == nil || options.Preconditions.UID == nil || options.Preconditions.ResourceVersion == nil {
					t.Error("a deletion without both preconditions")
				}
				if run := between; run != nil {
					between = nil
					run(t, w)
				}
				err := c.Delete(ctx, o, opts...)
				if err == nil {
					requests++
				}
				return err
			}})
			inc := w.made(t)
			if test.before != nil {
				test.before(t, w)
			}
			wants := []string{test.want, test.want} // the second finds it deleting, or refuses again
			if test.first != "" {
				wants[0] = test.first
			}
			for _, want := range wants {
				err := w.Delete(t.Context(), inc, test.stamp)
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Fatalf("got %v, want %q", err, want)
				}
				if test.first != "" && requests > 0 && want == test.first {
					t.Fatal("deleted although the Cluster changed")
				}
			}
			if got := requests == 1; got != test.deleted || requests > 1 {
				t.Errorf("%d deletions took effect, want deleted=%t", requests, test.deleted)
			}
		})
	}
}

func TestStuckDeletionNamesTheDeepestBlocker(t *testing.T) {
	w := newWorld(t, interceptor.Funcs{})
	inc := w.made(t)
	w.HoldDeletion("dev", true)
	machine := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": []any{
		map[string]any{"type": "Deleting", "status": "True", "message": "the cloud\ndoes not answer"}}}}}
	machine.SetGroupVersionKind(fake.MachineTemplateKind)
	machine.SetNamespace("fleet")
	machine.SetName("m-1")
	machine.SetFinalizers([]string{"machine.example.com"})
	infra := &unstructured.Unstructured{}
	infra.SetGroupVersionKind(fake.InfraClusterKind)
	if err := w.Store.Get(t.Context(), types.NamespacedName{Namespace: "fleet", Name: "dev"}, infra); err != nil {
		t.Fatal(err)
	}
	machine.SetLabels(map[string]string{clusterv1.ClusterNameLabel: "dev"})
	machine.SetOwnerReferences([]metav1.OwnerReference{{Kind: "FakeCluster", Name: "dev", UID: infra.GetUID(), APIVersion: "x/v1"}})
	if err := w.Store.Create(t.Context(), machine); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), inc, stamp); err != nil {
		t.Fatal(err)
	}
	if err := w.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	blocker, err := w.Blocker(t.Context(), inc)
	if err != nil || blocker == nil {
		t.Fatalf("blocker %v, %v", blocker, err)
	}
	if got, want := blocker.String(), "FakeMachineTemplate m-1 (finalizer machine.example.com): the cloud does not answer"; got != want {
		t.Errorf("blocker %q, want %q", got, want)
	}
}

func TestAvailable(t *testing.T) {
	good := func() capi.Observation {
		return capi.Observation{Exists: true, Incarnation: capi.Incarnation{Namespace: "fleet", Name: "dev", UID: "u"}, Generation: 2, Kubeconfig: true,
			Conditions: []metav1.Condition{{Type: "Available", Status: metav1.ConditionTrue, ObservedGeneration: 2}}}
	}
	for name, test := range map[string]struct {
		change func(*capi.Observation)
		why    string
	}{
		"available":       {func(*capi.Observation) {}, ""},
		"missing":         {func(o *capi.Observation) { o.Exists = false }, "does not exist"},
		"paused":          {func(o *capi.Observation) { o.Paused = true }, "paused"},
		"no condition":    {func(o *capi.Observation) { o.Conditions = nil }, "to report"},
		"stale condition": {func(o *capi.Observation) { o.Generation = 3 }, "generation 3"},
		"not available":   {func(o *capi.Observation) { o.Conditions[0].Status = "False"; o.Conditions[0].Message = "no\nnodes" }, "no nodes"},
		"no kubeconfig":   {func(o *capi.Observation) { o.Kubeconfig = false }, "dev-kubeconfig"},
		"phase says so":   {func(o *capi.Observation) { o.Phase = "Provisioned"; o.Conditions = nil }, "to report"},
		"waits for us alone": {func(o *capi.Observation) {
			o.Gated, o.Conditions[0].Status = true, "False"
			for _, part := range []string{"RemoteConnectionProbe", "InfrastructureReady", "ControlPlaneAvailable", "WorkersAvailable"} {
				o.Conditions = append(o.Conditions, metav1.Condition{Type: part, Status: metav1.ConditionTrue})
			}
		}, ""},
		"waits for us and more": {func(o *capi.Observation) { o.Gated, o.Conditions[0].Status = true, "False" }, "Available"},
		"unknown is false":      {func(o *capi.Observation) { o.Conditions[0].Status = "Unknown" }, "Available"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good()
			test.change(&o)
			ok, why := o.Available()
			if ok != (test.why == "") || !strings.Contains(why, test.why) {
				t.Errorf("got %t, %q", ok, why)
			}
		})
	}
}

func TestServing(t *testing.T) {
	good := capi.Observation{Exists: true, Incarnation: capi.Incarnation{Namespace: "fleet", Name: "dev", UID: "u"}, Generation: 2, Kubeconfig: true, Initialized: true,
		Conditions: []metav1.Condition{{Type: "Available", Status: metav1.ConditionFalse, Reason: "NotAvailable", Message: "no workers"}}}
	for name, test := range map[string]struct {
		change func(*capi.Observation)
		why    string
	}{
		"workers missing": {func(*capi.Observation) {}, ""},
		"missing":         {func(o *capi.Observation) { o.Exists = false }, "does not exist"},
		"paused":          {func(o *capi.Observation) { o.Paused = true }, "paused"},
		"no kubeconfig":   {func(o *capi.Observation) { o.Kubeconfig = false }, "dev-kubeconfig"},
		"not reported on": {func(o *capi.Observation) { o.Initialized, o.Conditions = false, nil }, "the control plane of Cluster fleet/dev"},
		"names the cause": {func(o *capi.Observation) {
			o.Initialized = false
			o.Conditions = append([]metav1.Condition{{Type: "InfrastructureReady", Status: "False", Reason: "NotReady", Message: "no\nquota"}}, o.Conditions...)
		}, "(InfrastructureReady is False: NotReady: no quota)"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			test.change(&o)
			if ok, why := o.Serving(); ok != (test.why == "") || !strings.Contains(why, test.why) {
				t.Errorf("got %t, %q", ok, why)
			}
		})
	}
}

// TestAvailableBesidesOurGate has Available wait for Refloat's own condition, declared on
// the Cluster or in its class, and for something else besides.
func TestAvailableBesidesOurGate(t *testing.T) {
	ours := clusterv1.ClusterAvailabilityGate{ConditionType: capi.GateCondition}
	dns := clusterv1.ClusterAvailabilityGate{ConditionType: "DNSReady"}
	pressure := clusterv1.ClusterAvailabilityGate{ConditionType: "Pressure", Polarity: clusterv1.NegativePolarityCondition}
	parts := []string{"RemoteConnectionProbe", "InfrastructureReady", "ControlPlaneAvailable", "WorkersAvailable", "TopologyReconciled"}
	for name, test := range map[string]struct {
		cluster, class []clusterv1.ClusterAvailabilityGate
		true, false    []string
		want           bool
	}{
		"ours":                     {cluster: []clusterv1.ClusterAvailabilityGate{ours}, true: parts, want: true},
		"ours, in the class":       {class: []clusterv1.ClusterAvailabilityGate{ours}, true: parts, want: true},
		"the Cluster's own count":  {cluster: []clusterv1.ClusterAvailabilityGate{dns}, class: []clusterv1.ClusterAvailabilityGate{ours}, true: parts},
		"the topology lags behind": {class: []clusterv1.ClusterAvailabilityGate{ours}, true: parts[:4], false: parts[4:]},
		"another gate":             {class: []clusterv1.ClusterAvailabilityGate{ours, dns}, true: parts},
		"another gate, open":       {class: []clusterv1.ClusterAvailabilityGate{ours, dns}, true: append(parts, "DNSReady"), want: true},
		"a negative gate":          {class: []clusterv1.ClusterAvailabilityGate{ours, pressure}, true: append(parts, "Pressure")},
		"a negative gate, open":    {class: []clusterv1.ClusterAvailabilityGate{ours, pressure}, true: parts, false: []string{"Pressure"}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, interceptor.Funcs{})
			inc := w.made(t)
			class := &clusterv1.ClusterClass{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "small"}, Spec: clusterv1.ClusterClassSpec{AvailabilityGates: test.class}}
			if err := w.Store.Create(t.Context(), class); err != nil {
				t.Fatal(err)
			}
			cluster := &clusterv1.Cluster{}
			if err := w.Store.Get(t.Context(), types.NamespacedName{Namespace: inc.Namespace, Name: inc.Name}, cluster); err != nil {
				t.Fatal(err)
			}
			cluster.Spec.Topology = clusterv1.Topology{ClassRef: clusterv1.ClusterClassRef{Name: "small"}, Version: "v1.36.3"}
			cluster.Spec.AvailabilityGates = test.cluster
			if err := w.Store.Update(t.Context(), cluster); err != nil {
				t.Fatal(err)
			}
			cluster.Status.Conditions = []metav1.Condition{{Type: "Available", Status: metav1.ConditionFalse, Reason: "Waiting", ObservedGeneration: cluster.Generation}}
			for _, kind := range test.true {
				cluster.Status.Conditions = append(cluster.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "So"})
			}
			for _, kind := range test.false {
				cluster.Status.Conditions = append(cluster.Status.Conditions, metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: "NotSo"})
			}
			if err := w.Store.Status().Update(t.Context(), cluster); err != nil {
				t.Fatal(err)
			}
			obs, err := w.Observe(t.Context(), inc.Namespace, inc.Name)
			if err != nil {
				t.Fatal(err)
			}
			if got, why := obs.Available(); got != test.want {
				t.Errorf("available %t (%s), want %t", got, why, test.want)
			}
		})
	}
}

// TestWhatSomethingElseOwnsStays has an object of an earlier run that something alive
// owns: it is not discarded, and is found in the way before anything is deleted.
func TestWhatSomethingElseOwnsStays(t *testing.T) {
	w := newWorld(t, interceptor.Funcs{})
	m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	inc := w.made(t)
	if err := w.Delete(t.Context(), inc, stamp); err != nil {
		t.Fatal(err)
	}
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "shared"}}
	secret := &corev1.Secret{}
	if err := errors.Join(w.Store.Create(t.Context(), owner), w.Store.Get(t.Context(), types.NamespacedName{Namespace: "fleet", Name: "dev-cloud"}, secret)); err != nil {
		t.Fatal(err)
	}
	secret.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	if err := errors.Join(w.Store.Update(t.Context(), secret), w.Settle(t.Context())); err != nil {
		t.Fatal(err)
	}
	var foreign *capi.ForeignError
	if err := w.Obstacles(t.Context(), m); !errors.As(err, &foreign) {
		t.Errorf("obstacles: %v", err)
	}
	if err := w.Discard(t.Context(), inc, stamp); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Errorf("it was discarded: %v", err)
	}
}

// TestDiscardOfADeposedProcess leaves alone what the process that took over has made since.
func TestDiscardOfADeposedProcess(t *testing.T) {
	w := newWorld(t, interceptor.Funcs{})
	m, err := capi.Parse(fake.Sources("dev"), "dev", "fleet")
	if err != nil {
		t.Fatal(err)
	}
	newer, stop := stamp, errors.New("not yet the Cluster")
	newer.Epoch++
	calls := 0
	_, err = w.CreateWhile(t.Context(), m, newer, func(context.Context) error {
		if calls++; calls > 1 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	inc := capi.Incarnation{Namespace: "fleet", Name: "dev"}
	var deposed *capi.DeposedError
	if err := w.Discard(t.Context(), inc, stamp); !errors.As(err, &deposed) {
		t.Errorf("got %v", err)
	}
	if items, err := w.Contents(t.Context(), inc); err != nil || len(items) != 1 {
		t.Errorf("left %v, %v", items, err)
	}
	if err := w.Discard(t.Context(), inc, newer); err != nil {
		t.Error(err)
	}
}

func TestKubeconfigThatIsNotFilledYetIsWaitedFor(t *testing.T) {
	w := newWorld(t, interceptor.Funcs{})
	inc := w.made(t)
	secret := &corev1.Secret{}
	if err := w.Store.Get(t.Context(), types.NamespacedName{Namespace: "fleet", Name: "dev-kubeconfig"}, secret); err != nil {
		t.Fatal(err)
	}
	secret.Data = nil
	if err := w.Store.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	var wait *capi.NotReadyError
	if _, err := w.Connect(t.Context(), inc); !errors.As(err, &wait) {
		t.Errorf("error %v", err)
	}
}

func TestConnectRefuses(t *testing.T) {
	for name, change := range map[string]func(*corev1.Secret, *clientcmdapi.Cluster, *clientcmdapi.AuthInfo){
		"exec": func(_ *corev1.Secret, _ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
			u.Exec = &clientcmdapi.ExecConfig{Command: "sh", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"}
		},
		"plugin": func(_ *corev1.Secret, _ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
			u.AuthProvider = &clientcmdapi.AuthProviderConfig{Name: "oidc"}
		},
		"cert file": func(_ *corev1.Secret, _ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) {
			u.ClientCertificate = "/etc/passwd"
		},
		"key file":   func(_ *corev1.Secret, _ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) { u.ClientKey = "/etc/passwd" },
		"token file": func(_ *corev1.Secret, _ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) { u.TokenFile = "/etc/passwd" },
		"ca file": func(_ *corev1.Secret, c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			c.CertificateAuthority = "/etc/passwd"
		},
		"insecure": func(_ *corev1.Secret, c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			c.CertificateAuthorityData = nil
			c.InsecureSkipTLSVerify = true
		},
		"password in the address": func(_ *corev1.Secret, c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			c.Server = "https://ada:secret@192.0.2.1:6443"
		},
		"proxy":       func(_ *corev1.Secret, c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { c.ProxyURL = "http://p" },
		"plain http":  func(_ *corev1.Secret, c *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { c.Server = "http://x" },
		"impersonate": func(_ *corev1.Secret, _ *clientcmdapi.Cluster, u *clientcmdapi.AuthInfo) { u.Impersonate = "root" },
		"too large": func(s *corev1.Secret, _ *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			s.Data["value"] = make([]byte, 300<<10)
		},
		"garbage": func(s *corev1.Secret, _ *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			s.Data["value"] = []byte("secret-canary: [")
		},
		"no key": func(s *corev1.Secret, _ *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			delete(s.Data, "value")
			s.Data["other"] = nil
		},
		"no label": func(s *corev1.Secret, _ *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) { s.Labels = nil },
		"other life": func(s *corev1.Secret, _ *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
			s.OwnerReferences[0].UID = "old"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, interceptor.Funcs{})
			inc := w.made(t)
			holder := &corev1.Secret{}
			if err := w.Store.Get(t.Context(), types.NamespacedName{Namespace: "fleet", Name: "dev-kubeconfig"}, holder); err != nil {
				t.Fatal(err)
			}
			config, err := clientcmd.Load(holder.Data["value"])
			if err != nil {
				t.Fatal(err)
			}
			original := string(holder.Data["value"])
			change(holder, config.Clusters["w"], config.AuthInfos["w"])
			if string(holder.Data["value"]) == original {
				if holder.Data["value"], err = clientcmd.Write(*config); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Store.Update(t.Context(), holder); err != nil {
				t.Fatal(err)
			}
			_, err = w.Connect(t.Context(), inc)
			var refused *capi.RefusedError
			var stale *capi.NotReadyError
			if !errors.As(err, &refused) && !errors.As(err, &stale) {
				t.Fatalf("got %v, want it refused", err)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "passwd") {
				t.Errorf("the error quotes the kubeconfig: %v", err)
			}
		})
	}
}

func TestRefuseManagement(t *testing.T) {
	w := newWorld(t, interceptor.Funcs{})
	inc := w.made(t)
	config, err := w.Connect(t.Context(), inc)
	if err != nil {
		t.Fatal(err)
	}
	health, err := w.Probe(t.Context(), config, 1)
	if err != nil || health.ReadyNodes != 1 || !health.Simulated {
		t.Fatalf("probe %+v, %v", health, err)
	}
	if err := w.RefuseManagement(t.Context(), config, health.KubeSystemUID); err != nil {
		t.Errorf("a workload cluster was refused: %v", err)
	}
	w.Workload(inc.UID).SetIdentity(fake.SystemUID)
	health, err = w.Probe(t.Context(), config, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.RefuseManagement(t.Context(), config, health.KubeSystemUID); err == nil {
		t.Error("the management cluster was accepted by identity")
	}
	for _, host := range []string{"https://management.invalid:6443", "management.invalid:6443/"} {
		config.Host = host
		if err := w.RefuseManagement(t.Context(), config, ""); err == nil {
			t.Errorf("the management endpoint %s was accepted", host)
		}
	}
}

func TestErrorsReadWell(t *testing.T) {
	for err, want := range map[error]string{
		&capi.InputError{Problem: "p"}:                   "p",
		&capi.InputError{Object: "A b", Problem: "p"}:    "A b: p",
		&capi.ForeignError{Object: "A b", Run: "r"}:      "belongs to run r",
		&capi.NotFoundError{Namespace: "n", Name: "c"}:   "Cluster n/c does not exist",
		fmt.Errorf("x: %w", &capi.DeposedError{Mine: 1}): "newer process",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}
