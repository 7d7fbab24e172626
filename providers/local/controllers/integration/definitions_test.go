package integration

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	controlplanev1 "github.com/refloat-dev/refloat/providers/local/api/controlplane/v1alpha1"
	infrav1 "github.com/refloat-dev/refloat/providers/local/api/infrastructure/v1alpha1"
)

// testDefinitions checks what only an API server can: defaults and refusals.
func testDefinitions(t *testing.T, m *management) {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "sample"}
	local := func(spec infrav1.LocalClusterSpec) client.Object {
		return &infrav1.LocalCluster{ObjectMeta: meta, Spec: spec}
	}
	endpoint := func(host string, port int32) infrav1.LocalClusterSpec {
		return infrav1.LocalClusterSpec{ControlPlaneEndpoint: infrav1.APIEndpoint{Host: host, Port: port}}
	}
	refused := map[string]struct {
		o    client.Object
		want string
	}{
		"endpoint elsewhere":      {local(endpoint("10.0.0.1", 30000)), `supported values: "127.0.0.1"`},
		"endpoint on a low port":  {local(endpoint("127.0.0.1", 443)), "greater than or equal to 1024"},
		"endpoint without port":   {local(endpoint("127.0.0.1", 0)), "port"},
		"too many nodes":          {local(infrav1.LocalClusterSpec{Nodes: infrav1.Nodes{Count: ptr.To[int32](1001)}}), "less than or equal to 1000"},
		"a zone twice":            {local(infrav1.LocalClusterSpec{FailureDomains: []string{"a", "a"}}), "Duplicate value"},
		"a zone that is no label": {local(infrav1.LocalClusterSpec{FailureDomains: []string{"A_"}}), "should match"},
		"no version":              {&controlplanev1.LocalControlPlane{ObjectMeta: meta}, "spec.version"},
		"a vague version": {&controlplanev1.LocalControlPlane{ObjectMeta: meta,
			Spec: controlplanev1.LocalControlPlaneSpec{Version: "v1.36.x"}}, "should match"},
	}
	for name, test := range refused {
		t.Run(name, func(t *testing.T) {
			err := m.client.Create(t.Context(), test.o, client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
	t.Run("defaults", func(t *testing.T) { testDefaults(t, m, meta) })
	t.Run("endpoint is written once", func(t *testing.T) { testEndpointOnce(t, m, meta) })
}

func testDefaults(t *testing.T, m *management, meta metav1.ObjectMeta) {
	o := &infrav1.LocalCluster{ObjectMeta: meta}
	if err := m.client.Create(t.Context(), o, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	if got := ptr.Deref(o.Spec.Nodes.Count, -1); got != infrav1.DefaultNodes {
		t.Errorf("%d nodes, want %d", got, infrav1.DefaultNodes)
	}
	if len(o.Spec.FailureDomains) != 3 {
		t.Errorf("failure domains %v", o.Spec.FailureDomains)
	}
}

func testEndpointOnce(t *testing.T, m *management, meta metav1.ObjectMeta) {
	o := &infrav1.LocalCluster{ObjectMeta: meta}
	if err := m.client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.client.Delete(t.Context(), o); err != nil {
			t.Error(err)
		}
	}()
	for _, step := range []struct {
		endpoint infrav1.APIEndpoint
		refused  string
	}{
		{infrav1.APIEndpoint{Host: "127.0.0.1", Port: 30000}, ""},
		{infrav1.APIEndpoint{Host: "127.0.0.1", Port: 30001}, "immutable"},
		{infrav1.APIEndpoint{}, "cannot be removed"},
	} {
		changed := o.DeepCopy()
		changed.Spec.ControlPlaneEndpoint = step.endpoint
		err := m.client.Update(t.Context(), changed)
		switch {
		case step.refused == "" && err != nil:
			t.Fatal(err)
		case step.refused != "" && (err == nil || !strings.Contains(err.Error(), step.refused)):
			t.Errorf("endpoint %+v: error %v, want one with %q", step.endpoint, err, step.refused)
		case err == nil:
			o = changed
		}
	}
}
