package controller

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/recovery/report"
)

func aChart(version string) expand.ChartPin {
	return expand.ChartPin{Repository: "https://charts.example.com", Name: "web", Requested: "1.x", Version: version, Digest: "sha256:" + strings.Repeat("a", 64)}
}

// TestChartsArePinned takes a run over after its preflight, when a repository has a newer
// chart: the rendering is asked for with the charts that were pinned.
func TestChartsArePinned(t *testing.T) {
	w := newWorld(t)
	w.engine.charts = []expand.ChartPin{aChart("1.0.0")}
	other := expand.SourcePin{URL: "https://git.example.com/lib.git", Requested: "branch main", Revision: strings.Repeat("b", 40)}
	w.engine.pinned = []expand.SourcePin{other, {URL: "oci://quay.io/app", Requested: "tag latest", Revision: aChart("1").Digest, Digest: aChart("1").Digest}}
	w.must(w.store.Store.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mirror"}, Data: map[string][]byte{"password": []byte("canary-mirror")}}))
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		p.Spec.ChartMirrors = []v1alpha1.ChartMirror{{From: "oci://quay.io", To: "oci://mirror.example.com/quay", SecretRef: &v1alpha1.LocalSecretReference{Name: "mirror"}}}
	})
	w.order("run", v1alpha1.OperationRebuild)
	w.store.HoldProvisioning("dev", "wait")
	w.until("run", "the cluster", func(run *v1alpha1.RecoveryRun) bool { return run.Status.Target != nil && run.Status.Target.UID != "" })
	if asked := w.engine.asked; len(asked.Charts)+len(asked.Sources) != 0 || len(asked.Seeds) != 1 || string(asked.Seeds[0].Data["age.key"]) != "canary" || asked.Seeds[0].Namespace != "flux-system" {
		t.Errorf("the preflight asks with charts %v and %d seeds", asked.Charts, len(asked.Seeds))
	}
	w.replace()
	w.store.HoldProvisioning("dev", "")
	run := w.finish("run")
	if run.Status.Failure != nil {
		t.Fatalf("failure %+v", run.Status.Failure)
	}
	asked := w.engine.asked
	if !slices.Equal(asked.Charts, []expand.ChartPin{aChart("1.0.0")}) {
		t.Errorf("the rendering after a restart asks for %+v", asked.Charts)
	}
	if !slices.Equal(asked.Sources, w.engine.pinned) {
		t.Errorf("the rendering after a restart asks for %+v", asked.Sources)
	}
	if m := asked.ChartMirrors; len(m) != 1 || string(m[0].Credentials["password"]) != "canary-mirror" || m[0].From != "oci://quay.io" {
		t.Errorf("%d mirrors", len(m))
	}
	held := &corev1.ConfigMap{}
	w.must(w.store.Store.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: ReportName(run)}, held))
	written, err := report.FromConfigMap(held)
	w.must(err)
	if !slices.Equal(written.Charts, []report.Chart{report.Chart(aChart("1.0.0"))}) {
		t.Errorf("the report lists %+v", written.Charts)
	}
	if len(written.Sources) != 2 || written.Sources[0] != report.Source(other) {
		t.Errorf("the report lists %+v", written.Sources)
	}
	status, err := json.Marshal(run)
	w.must(err)
	text, err := json.Marshal(written)
	w.must(err)
	if all := append(status, text...); bytes.Contains(all, []byte("canary")) || bytes.Contains(all, []byte("Y2FuYXJ5")) {
		t.Error("the run or its report holds a seed or the credentials of a mirror")
	}
}

func TestMissingMirrorCredentialsAreFoundInPreflight(t *testing.T) {
	w := newWorld(t)
	w.plan(func(p *v1alpha1.RecoveryPlan) {
		p.Spec.ChartMirrors = []v1alpha1.ChartMirror{{From: "oci://quay.io", To: "oci://mirror.example.com", SecretRef: &v1alpha1.LocalSecretReference{Name: "lost"}}}
	})
	w.order("run", v1alpha1.OperationRebuild)
	if f := w.finish("run").Status.Failure; f == nil || f.Phase != v1alpha1.PhasePreflight || !strings.Contains(f.Message, "spec.chartMirrors[0].secretRef") {
		t.Errorf("failure %+v", f)
	}
}
