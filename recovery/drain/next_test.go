package drain

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func about(namespace, name string, changes ...func(*metav1.ObjectMeta)) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name), ResourceVersion: "7", CreationTimestamp: metav1.NewTime(t0)}
	for _, change := range changes {
		change(&m)
	}
	return m
}

func going(m *metav1.ObjectMeta) { at := metav1.NewTime(t0); m.DeletionTimestamp = &at }
func younger(m *metav1.ObjectMeta) {
	m.CreationTimestamp = metav1.NewTime(t0.Add(time.Second))
}
func labelled(pairs ...string) func(*metav1.ObjectMeta) {
	return func(m *metav1.ObjectMeta) {
		m.Labels = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m.Labels[pairs[i]] = pairs[i+1]
		}
	}
}
func ownedBy(kind, name string, uid types.UID) func(*metav1.ObjectMeta) {
	yes := true
	return func(m *metav1.ObjectMeta) {
		m.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, UID: uid, Controller: &yes}}
	}
}

var (
	flux     = labelled("app.kubernetes.io/part-of", "flux")
	fluxOp   = labelled("app.kubernetes.io/name", "flux-operator")
	argo     = labelled("app.kubernetes.io/part-of", "argocd", "app.kubernetes.io/component", "application-controller")
	argoUI   = labelled("app.kubernetes.io/part-of", "argocd", "app.kubernetes.io/component", "server")
	fleetApp = labelled("app", "fleet-agent")
)

func deployment(m metav1.ObjectMeta, wanted, running int32) appsv1.Deployment {
	return appsv1.Deployment{ObjectMeta: m, Spec: appsv1.DeploymentSpec{Replicas: &wanted}, Status: appsv1.DeploymentStatus{Replicas: running}}
}

func statefulSet(m metav1.ObjectMeta, wanted, running int32) appsv1.StatefulSet {
	return appsv1.StatefulSet{ObjectMeta: m, Spec: appsv1.StatefulSetSpec{Replicas: &wanted}, Status: appsv1.StatefulSetStatus{Replicas: running}}
}

func service(m metav1.ObjectMeta, kind corev1.ServiceType) corev1.Service {
	return corev1.Service{ObjectMeta: m, Spec: corev1.ServiceSpec{Type: kind}}
}

func claim(m metav1.ObjectMeta) corev1.PersistentVolumeClaim {
	return corev1.PersistentVolumeClaim{ObjectMeta: m}
}

// volume that is bound to a claim.
func volume(name, claim string, policy corev1.PersistentVolumeReclaimPolicy, changes ...func(*corev1.PersistentVolume)) corev1.PersistentVolume {
	v := corev1.PersistentVolume{ObjectMeta: about("", name), Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeReclaimPolicy: policy, ClaimRef: &corev1.ObjectReference{UID: types.UID(claim)},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example.com", VolumeHandle: "vol-" + name}},
	}}
	for _, change := range changes {
		change(&v)
	}
	return v
}

func onNode(v *corev1.PersistentVolume) {
	v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}}
}
func released(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeReleased }

// pod that runs on a node with one claim.
func pod(m metav1.ObjectMeta, claim string, changes ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: m, Spec: corev1.PodSpec{NodeName: "n", Volumes: []corev1.Volume{
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}},
	}}}
	for _, change := range changes {
		change(&p)
	}
	return p
}

const (
	del    = corev1.PersistentVolumeReclaimDelete
	retain = corev1.PersistentVolumeReclaimRetain
	lb     = corev1.ServiceTypeLoadBalancer
)

func TestNext(t *testing.T) {
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	unscheduled := func(p *corev1.Pod) { p.Spec.NodeName = "" }
	ephemeral := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}}}
	}
	deleting := Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "data", going))}, Volumes: []corev1.PersistentVolume{volume("v", "a/data", del)}}
	with := func(c Contents, change func(*Contents)) Contents { change(&c); return c }
	for name, test := range map[string]struct {
		c                     Contents
		stop, remove, awaited string
	}{
		"nothing":                 {Contents{}, "", "", ""},
		"an ordinary workload":    {Contents{Deployments: []appsv1.Deployment{deployment(about("a", "web"), 2, 2)}}, "", "", ""},
		"Flux":                    {Contents{Deployments: []appsv1.Deployment{deployment(about("f", "kustomize-controller", flux), 1, 1)}}, "Deployment f/kustomize-controller", "", ""},
		"Flux is stopping":        {Contents{Deployments: []appsv1.Deployment{deployment(about("f", "kustomize-controller", flux), 0, 1)}}, "", "", "Deployment f/kustomize-controller"},
		"Flux is stopped":         {Contents{Deployments: []appsv1.Deployment{deployment(about("f", "kustomize-controller", flux), 0, 0)}}, "", "", ""},
		"its operator goes first": {Contents{Deployments: []appsv1.Deployment{deployment(about("f", "kustomize-controller", flux), 1, 1), deployment(about("f", "op", fluxOp), 1, 1)}}, "Deployment f/op", "", ""},
		"Argo CD":                 {Contents{StatefulSets: []appsv1.StatefulSet{statefulSet(about("c", "argocd", argo), 1, 1)}, Deployments: []appsv1.Deployment{deployment(about("c", "server", argoUI), 1, 1)}}, "StatefulSet c/argocd", "", ""},
		"Fleet where it belongs":  {Contents{Deployments: []appsv1.Deployment{deployment(about("cattle-fleet-system", "x", fleetApp), 1, 1), deployment(about("a", "x", fleetApp), 1, 1)}}, "Deployment cattle-fleet-system/x", "", ""},
		"Git first": {Contents{Deployments: []appsv1.Deployment{deployment(about("f", "c", flux), 0, 1)}, Services: []corev1.Service{service(about("a", "web"), lb)}},
			"", "", "Deployment f/c"},

		"a load balancer":         {Contents{Services: []corev1.Service{service(about("a", "web"), lb), service(about("a", "db"), corev1.ServiceTypeClusterIP)}}, "", "Service a/web", ""},
		"a load balancer going":   {Contents{Services: []corev1.Service{service(about("a", "web", going), lb)}}, "", "", "Service a/web"},
		"a younger load balancer": {Contents{Services: []corev1.Service{service(about("a", "web", younger), lb), service(about("a", "web2", younger, going), lb)}}, "", "", ""},
		"an Ingress and a Gateway": {Contents{Ingresses: []networkingv1.Ingress{{ObjectMeta: about("a", "web")}},
			Gateways: []unstructured.Unstructured{{Object: map[string]any{"metadata": map[string]any{"namespace": "a", "name": "gw", "creationTimestamp": t0.Format(time.RFC3339)}}}}}, "", "Ingress a/web,Gateway a/gw", ""},
		"addresses before volumes": {with(deleting, func(c *Contents) { c.Services = []corev1.Service{service(about("a", "web", going), lb)} }), "", "", "Service a/web"},

		"a claim":             {Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "data"))}, Volumes: []corev1.PersistentVolume{volume("v", "a/data", del)}}, "", "PersistentVolumeClaim a/data", ""},
		"a younger claim":     {Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "data", younger))}, Volumes: []corev1.PersistentVolume{volume("v", "a/data", del)}}, "", "", ""},
		"a claim that keeps":  {Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "data"))}, Volumes: []corev1.PersistentVolume{volume("v", "a/data", retain)}}, "", "", ""},
		"a claim on a node":   {Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "data"))}, Volumes: []corev1.PersistentVolume{volume("v", "a/data", del, onNode)}}, "", "", ""},
		"an unbound claim":    {Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "data"))}}, "", "", ""},
		"a claim going":       {deleting, "", "", "PersistentVolumeClaim a/data"},
		"a volume going":      {Contents{Volumes: []corev1.PersistentVolume{volume("v", "a/data", del, released)}}, "", "", "PersistentVolume v"},
		"a kept volume stays": {Contents{Volumes: []corev1.PersistentVolume{volume("v", "a/data", retain, released)}}, "", "", ""},
		"a volume on a node":  {Contents{Volumes: []corev1.PersistentVolume{volume("v", "a/data", del, released, onNode)}}, "", "", ""},
		"a pod uses it":       {with(deleting, func(c *Contents) { c.Pods = []corev1.Pod{pod(about("a", "p"), "data")} }), "", "Pod a/p", "PersistentVolumeClaim a/data"},
		"one of its own": {with(deleting, func(c *Contents) {
			c.Pods = []corev1.Pod{pod(about("a", "p"), "another"), pod(about("b", "p"), "data")}
		}), "", "", "PersistentVolumeClaim a/data"},
		"a pod that ended":     {with(deleting, func(c *Contents) { c.Pods = []corev1.Pod{pod(about("a", "p"), "data", ended)} }), "", "", "PersistentVolumeClaim a/data"},
		"a pod going":          {with(deleting, func(c *Contents) { c.Pods = []corev1.Pod{pod(about("a", "p", going), "data")} }), "", "", "PersistentVolumeClaim a/data"},
		"a pod without a node": {with(deleting, func(c *Contents) { c.Pods = []corev1.Pod{pod(about("a", "p"), "data", unscheduled)} }), "", "", "PersistentVolumeClaim a/data"},
		"an ephemeral claim": {Contents{Claims: []corev1.PersistentVolumeClaim{claim(about("a", "p-scratch", going))}, Volumes: []corev1.PersistentVolume{volume("v", "a/p-scratch", del)},
			Pods: []corev1.Pod{pod(about("a", "p"), "", ephemeral)}}, "", "Pod a/p", "PersistentVolumeClaim a/p-scratch"},
		"a StatefulSet uses it": {with(deleting, func(c *Contents) {
			c.StatefulSets = []appsv1.StatefulSet{statefulSet(about("a", "db"), 2, 2)}
			c.Pods = []corev1.Pod{pod(about("a", "db-0", ownedBy("StatefulSet", "db", "a/db")), "data"), pod(about("a", "db-1", ownedBy("StatefulSet", "db", "a/db")), "data")}
		}), "StatefulSet a/db", "", "PersistentVolumeClaim a/data"},
		"a Deployment uses it": {with(deleting, func(c *Contents) {
			c.Deployments = []appsv1.Deployment{deployment(about("a", "db"), 1, 1)}
			c.ReplicaSets = []appsv1.ReplicaSet{{ObjectMeta: about("a", "db-1", ownedBy("Deployment", "db", "a/db"))}}
			c.Pods = []corev1.Pod{pod(about("a", "db-1-x", ownedBy("ReplicaSet", "db-1", "a/db-1")), "data")}
		}), "Deployment a/db", "", "PersistentVolumeClaim a/data"},
		"an operator's pod uses it": {with(deleting, func(c *Contents) {
			c.Pods = []corev1.Pod{pod(about("a", "db-0", ownedBy("Postgres", "db", "a/postgres")), "data")}
		}), "", "Pod a/db-0", "PersistentVolumeClaim a/data"},
	} {
		t.Run(name, func(t *testing.T) {
			step := Next(test.c, t0)
			got := []string{names(step.Stop), names(step.Delete), names(step.Awaited)}
			if diff := cmp.Diff([]string{test.stop, test.remove, test.awaited}, got); diff != "" {
				t.Errorf("stop, delete, await (-want +got):\n%s", diff)
			}
			if !step.Done() && step.waiting() == "" {
				t.Error("it waits and does not say for what")
			}
		})
	}
}

func names(refs []Ref) string {
	var out []string
	for _, ref := range refs {
		out = append(out, ref.String())
	}
	return strings.Join(out, ",")
}

func TestLedger(t *testing.T) {
	web := service(about("a", "web", func(m *metav1.ObjectMeta) {
		m.Annotations = map[string]string{annotationHostname: "shop.example.com, www.example.com"}
	}), lb)
	web.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "lb.example.net", IP: "192.0.2.2"}}
	ing := networkingv1.Ingress{ObjectMeta: about("a", "ing"), Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: "api.example.com"}, {}}}}
	ing.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.3"}}
	gateway := unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": "a", "name": "gw"},
		"spec":     map[string]any{"listeners": []any{map[string]any{"hostname": "gw.example.com"}, "broken"}},
		"status":   map[string]any{"addresses": []any{map[string]any{"value": "192.0.2.4"}}},
	}}
	c := Contents{Services: []corev1.Service{web, service(about("a", "db"), corev1.ServiceTypeClusterIP)}, Ingresses: []networkingv1.Ingress{ing},
		Gateways: []unstructured.Unstructured{gateway},
		Volumes:  []corev1.PersistentVolume{volume("v", "a/x", del), volume("w", "a/y", retain), volume("n", "a/z", del, onNode)}}
	want := []Entry{
		{DNSName, "api.example.com", "Ingress a/ing", false}, {DNSName, "gw.example.com", "Gateway a/gw", false},
		{DNSName, "shop.example.com", "Service a/web", false}, {DNSName, "www.example.com", "Service a/web", false},
		{LoadBalancer, "192.0.2.1", "Service a/web", false}, {LoadBalancer, "192.0.2.3", "Ingress a/ing", false},
		{LoadBalancer, "192.0.2.4", "Gateway a/gw", false}, {LoadBalancer, "lb.example.net", "Service a/web", false},
		{Volume, "csi.example.com vol-v", "PersistentVolume v", false}, {Volume, "csi.example.com vol-w", "PersistentVolume w", true},
	}
	if diff := cmp.Diff(want, Ledger(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
