package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/providers/capi"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/report"
)

// outcome is the end of a run: its result and every object that is there, without what
// differs between two runs that went equally well.
type outcome struct {
	result  string
	objects map[string]any
	writes  []faultproxy.Request
}

// kinds that are looked at: on the management cluster within the namespace, on the new
// one everywhere but in what the API server makes for itself.
var (
	managed = []schema.GroupVersionKind{
		{Group: "refloat.dev", Version: "v1alpha1", Kind: "RecoveryRun"}, {Group: "refloat.dev", Version: "v1alpha1", Kind: "RecoveryPlan"},
		{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"}, localCluster, localControlPlane,
		{Version: "v1", Kind: "Secret"}, {Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"},
	}
	inside = []schema.GroupVersionKind{
		{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}, {Version: "v1", Kind: "Namespace"},
		{Group: "chaos.example.com", Version: "v1", Kind: "Widget"}, {Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ServiceAccount"},
	}
)

// end reads what is there now.
func (t *trial) end(ctx context.Context, run *v1alpha1.RecoveryRun) (*outcome, error) {
	o := &outcome{result: string(recovery.ResultOf(run)), objects: map[string]any{}}
	mask := newMask(run, t.namespace)
	for _, gvk := range managed {
		if err := o.read(ctx, t.client, gvk, "management ", mask, client.InNamespace(t.namespace)); err != nil {
			return nil, err
		}
	}
	chain, err := t.chain(ctx)
	if err != nil {
		return nil, err
	}
	o.objects["the chain of reports"] = chain
	if takesOver(t.point.Operation) {
		users := &corev1.ConfigMap{}
		err := t.client.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: usersName}, users)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read where users are led at the end: %w", err)
		}
		o.objects["where users are led"] = users.Data["cluster"]
	}
	if t.point.Operation != v1alpha1.OperationRebuild && !takesOver(t.point.Operation) {
		return o, nil
	}
	workload, err := client.New(t.plane.AdminConfig(), client.Options{})
	if err != nil {
		return nil, err
	}
	for _, gvk := range inside {
		if err := o.read(ctx, workload, gvk, "new cluster ", mask); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *outcome) read(ctx context.Context, c client.Client, gvk schema.GroupVersionKind, where string, mask mask, options ...client.ListOption) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := c.List(ctx, list, options...)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil // a run that failed did not come to apply the kind
	}
	if err != nil {
		return fmt.Errorf("list %s at the end: %w", gvk.Kind, err)
	}
	for i := range list.Items {
		u := &list.Items[i]
		if u.GetNamespace() == "kube-system" || u.GetLabels()["kubernetes.io/bootstrapping"] != "" || u.GetName() == faultproxy.LeaderLease || u.GetKind() == "ConfigMap" && u.GetName() == "kube-root-ca.crt" {
			continue
		}
		content, err := mask.of(u)
		if err != nil {
			return err
		}
		o.objects[mask.text(where+gvk.Kind+" "+u.GetNamespace()+"/"+u.GetName())] = content
	}
	return nil
}

// differences in words, one for each object.
func (o *outcome) differences(other *outcome) []string {
	var out []string
	if o.result != other.result {
		out = append(out, fmt.Sprintf("the run ended as %q, without faults as %q", other.result, o.result))
	}
	names := maps.Clone(o.objects)
	maps.Copy(names, other.objects)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		want, wanted := o.objects[name]
		have, there := other.objects[name]
		switch {
		case !there:
			out = append(out, name+" is missing")
		case !wanted:
			out = append(out, name+" is there and is not without faults")
		default:
			if d := cmp.Diff(want, have); d != "" {
				out = append(out, fmt.Sprintf("%s differs (-without faults +with): %s", name, brief(d, 1500)))
			}
		}
	}
	return out
}

// mask replaces what differs from run to run.
type mask []struct {
	pattern *regexp.Regexp
	by      string
}

func newMask(run *v1alpha1.RecoveryRun, namespace string) mask {
	m := mask{}
	add := func(pattern, by string) {
		m = append(m, struct {
			pattern *regexp.Regexp
			by      string
		}{regexp.MustCompile(pattern), by})
	}
	if run.Status.Target != nil && run.Spec.Operation == v1alpha1.OperationDrill {
		add(regexp.QuoteMeta(run.Status.Target.Name), "DRILL")
	}
	add(`(file://)?[^" ]*/(repository|sources/[^" /]+)\b`, "SOURCE")
	add(regexp.QuoteMeta(namespace), "NAMESPACE")
	add(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UID")
	add(`\d{4}-\d\d-\d\dT[0-9:.]+Z`, "TIME")
	add(`127\.0\.0\.1:\d+`, "ADDRESS")
	add(`recovered in [0-9.a-zµ]+`, "recovered in DURATION")
	return m
}

func (m mask) text(s string) string {
	for _, p := range m {
		s = p.pattern.ReplaceAllString(s, p.by)
	}
	return s
}

// of an object, as JSON that can be compared.
func (m mask) of(u *unstructured.Unstructured) (any, error) {
	u = u.DeepCopy()
	for _, path := range [][]string{
		{"metadata", "uid"}, {"metadata", "resourceVersion"}, {"metadata", "creationTimestamp"}, {"metadata", "managedFields"}, {"metadata", "generation"},
		{"status", "epoch"}, {"status", "pinned", "clusterDigest"}, {"status", "lastRun", "recoveryTime"}, {"status", "lastDrill", "recoveryTime"}, {"status", "phase"},
		{"spec", "controlPlaneEndpoint", "port"}, {"metadata", "annotations", capi.AnnotationEpoch},
	} {
		unstructured.RemoveNestedField(u.Object, path...)
	}
	if links, found, _ := unstructured.NestedSlice(u.Object, "status", "reports", "recent"); found {
		for i := range links {
			if link, ok := links[i].(map[string]any); ok {
				delete(link, "digest") // it covers times; the chain is judged as a whole
			}
		}
		if err := unstructured.SetNestedSlice(u.Object, links, "status", "reports", "recent"); err != nil {
			return nil, err
		}
	}
	if u.GetKind() == "Secret" {
		// A kubeconfig has keys of its own each time; of others the values count.
		if t, _, _ := unstructured.NestedString(u.Object, "type"); t == "cluster.x-k8s.io/secret" {
			unstructured.RemoveNestedField(u.Object, "data")
		}
	}
	raw, err := json.Marshal(u.Object)
	if err != nil {
		return nil, err
	}
	var content any
	return content, json.Unmarshal([]byte(m.text(string(raw))), &content)
}

// chain is the verdict on the reports of the plan.
func (t *trial) chain(ctx context.Context) (string, error) {
	plans, runs := &v1alpha1.RecoveryPlanList{}, &v1alpha1.RecoveryRunList{}
	for _, list := range []client.ObjectList{plans, runs} {
		if err := t.client.List(ctx, list, client.InNamespace(t.namespace)); err != nil {
			return "", fmt.Errorf("list plans and runs at the end: %w", err)
		}
	}
	var held []report.Held
	there := map[types.UID]bool{}
	for i := range runs.Items {
		there[runs.Items[i].UID] = true
		cm := &corev1.ConfigMap{}
		err := t.client.Get(ctx, client.ObjectKey{Namespace: t.namespace, Name: recovery.ReportName(&runs.Items[i])}, cm)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read a report at the end: %w", err)
		}
		raw, err := report.RawFromConfigMap(cm)
		held = append(held, report.Held{Name: runs.Items[i].Name, Raw: raw, Err: err})
	}
	verdicts := ""
	for i := range plans.Items {
		v := report.CheckChain(&plans.Items[i], held, there)
		verdicts += fmt.Sprintf("%s: %s, %d of %d proven, %d problems; ", plans.Items[i].Name, v.State, v.Proven, v.Length, len(v.Problems))
	}
	return verdicts, nil
}

// told is what the controllers said where people read: logs, and the report.
func (t *trial) told(ctx context.Context, run *v1alpha1.RecoveryRun) (map[string]string, error) {
	told := map[string]string{"the log": t.log.String()}
	held := &corev1.ConfigMap{}
	err := t.client.Get(ctx, client.ObjectKey{Namespace: run.Namespace, Name: recovery.ReportName(run)}, held)
	if err != nil {
		return told, client.IgnoreNotFound(err)
	}
	r, err := report.FromConfigMap(held)
	if err != nil {
		return told, fmt.Errorf("read the report: %w", err)
	}
	raw, err := json.Marshal(r)
	told["the report"] = string(raw)
	return told, err
}

// forgiveStray takes one object away that is only there because the request of a frozen
// process was on its way when the run was already done: nothing that the API server offers
// could fence it, no provider acts on it, and the witness allows no second one.
func forgiveStray(reference, end *outcome) {
	for name := range end.objects {
		_, known := reference.objects[name]
		if !known && strings.Contains(name, "DRILL") && !strings.HasPrefix(name, "management Cluster ") {
			delete(end.objects, name)
			return
		}
	}
}
