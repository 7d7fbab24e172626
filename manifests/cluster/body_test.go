package cluster

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func parse(t *testing.T, s string) map[string]any {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(s), &u.Object); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u.Object
}

func resource(group, kind string, namespaced, status bool) Resource {
	return Resource{GroupVersionResource: schema.GroupVersionResource{Group: group, Version: "v1"}, Kind: kind, Namespaced: namespaced, StatusSubresource: status}
}

func TestDesired(t *testing.T) {
	certificate := base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	conversion := func(bundle string) string {
		return `{"spec":{"conversion":{"webhook":{"clientConfig":{"caBundle":"` + bundle + `","url":"x"}}},"group":"g"}}`
	}
	definition := resource("apiextensions.k8s.io", "CustomResourceDefinition", false, true)
	cases := map[string]struct {
		resource Resource
		in, want string
	}{
		"left-overs of an export": {resource("apps", "Deployment", true, true),
			`{"metadata":{"name":"a","namespace":"b","uid":"1","resourceVersion":"2","generation":3,"creationTimestamp":null,"managedFields":[]},"status":{"x":1},"spec":{}}`,
			`{"metadata":{"name":"a","namespace":"b"},"spec":{}}`},
		"status that is a plain field": {resource("x.io", "Thing", true, false), `{"status":{"x":1}}`, `{"status":{"x":1}}`},
		"namespace of a cluster kind":  {resource("x.io", "Thing", false, false), `{"metadata":{"name":"a","namespace":"b"}}`, `{"metadata":{"name":"a"}}`},
		"stringData":                   {resource("", "Secret", true, false), `{"data":{"b":"Qg=="},"stringData":{"a":"A","b":"C"}}`, `{"data":{"a":"QQ==","b":"Qw=="}}`},
		"stringData that is no text":   {resource("", "Secret", true, false), `{"stringData":{"a":1}}`, `{"stringData":{"a":1}}`},
		"aggregated rules":             {resource("rbac.authorization.k8s.io", "ClusterRole", false, false), `{"aggregationRule":{},"rules":[]}`, `{"aggregationRule":{}}`},
		"rules":                        {resource("rbac.authorization.k8s.io", "ClusterRole", false, false), `{"rules":[]}`, `{"rules":[]}`},
		"placeholder bundle":           {definition, conversion("Cg=="), `{"spec":{"conversion":{"webhook":{"clientConfig":{"url":"x"}}},"group":"g"}}`},
		"real bundle":                  {definition, conversion(certificate), conversion(certificate)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := &unstructured.Unstructured{Object: parse(t, tc.in)}
			if d := cmp.Diff(parse(t, tc.want), Desired(in, tc.resource)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if d := cmp.Diff(parse(t, tc.in), in.Object); d != "" {
				t.Errorf("the rendered object was changed: -want +got\n%s", d)
			}
		})
	}
}

func TestKindsAreMappedExactly(t *testing.T) {
	k := &Kinds{}
	found := k.Announce(&unstructured.Unstructured{Object: parse(t, `{"spec":{"group":"x.io","scope":"Namespaced","names":{"kind":"Thing","plural":"things"},
		"versions":[{"name":"v1","served":true,"subresources":{"status":{}}},{"name":"v2","served":false},{"name":"v3","served":true}]}}`)})
	if len(found) != 2 {
		t.Fatalf("found %v", found)
	}
	cases := map[string]struct {
		known, status bool
		path          string
	}{
		"v1": {true, true, "/apis/x.io/v1/namespaces/ns/things/n"},
		"v2": {false, false, ""},
		"v3": {true, false, "/apis/x.io/v3/namespaces/ns/things/n"},
	}
	for version, tc := range cases {
		t.Run(version, func(t *testing.T) {
			r, ok := k.Lookup(schema.GroupVersionKind{Group: "x.io", Version: version, Kind: "Thing"})
			if ok != tc.known || r.StatusSubresource != tc.status || ok && r.path("ns", "n") != tc.path {
				t.Errorf("%+v, %t", r, ok)
			}
		})
	}
	if k.Served(schema.GroupVersionKind{Group: "x.io", Version: "v1", Kind: "Thing"}) {
		t.Error("announced is not served")
	}
}

func TestNamesCannotLeaveTheirPath(t *testing.T) {
	cases := map[string]struct {
		namespace, name string
		ok              bool
	}{
		"plain":             {"a", "b", true},
		"role with a colon": {"a", "system:x", true},
		"up":                {"a", "..", false},
		"elsewhere":         {"a", "../secrets/x", false},
		"namespace":         {"../..", "x", false},
		"percent":           {"a", "b%2fc", false},
		"no name":           {"a", "", false},
		"no namespace":      {"", "b", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := Write{Resource: resource("", "ConfigMap", true, false), Namespace: tc.namespace, Name: tc.name}.validate()
			if (err == nil) != tc.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}
