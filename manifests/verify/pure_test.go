package verify

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

func parse(t *testing.T, s string) map[string]any {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(s), &u.Object); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u.Object
}

func TestDiff(t *testing.T) {
	cases := map[string]struct {
		want, have string
		ignored    ignores
		secret     bool
		out        string
	}{
		"equal":             {`{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1.0}`, nil, false, ""},
		"changed":           {`{"a":{"b":"x"}}`, `{"a":{"b":"y"}}`, nil, false, `a.b: rendered "x", live "y"`},
		"only rendered":     {`{"a":{"b":"x"}}`, `{"a":{}}`, nil, false, `a.b: rendered "x", live nothing`},
		"only live":         {`{"a":{}}`, `{"a":{"b":"x"}}`, nil, false, `a.b: rendered nothing, live "x"`},
		"in a list":         {`{"a":[{"n":1},{"n":2}]}`, `{"a":[{"n":1},{"n":3}]}`, nil, false, `a[1].n: rendered 2, live 3`},
		"shorter list":      {`{"a":[1,2]}`, `{"a":[1]}`, nil, false, `a[1]: rendered 2, live nothing`},
		"other type":        {`{"a":[1]}`, `{"a":{"b":1}}`, nil, false, `a: rendered [1], live {"b":1}`},
		"key with a dot":    {`{"a":{"b.c/d":1}}`, `{"a":{"b.c/d":2}}`, nil, false, `a["b.c/d"]: rendered 1, live 2`},
		"ignored":           {`{"status":1,"w":[{"ca":1},{"ca":2}]}`, `{"w":[{"ca":9},{"ca":9}]}`, ignores{{path: []string{"status"}}, {path: []string{"w", "*", "ca"}}}, false, ""},
		"secret changed":    {`{"data":{"k":"hunter2"}}`, `{"data":{"k":"hunter3"}}`, nil, true, `data.k differs (value not shown)`},
		"secret missing":    {`{"data":{"k":"hunter2"}}`, `{"data":{}}`, nil, true, `data.k is missing`},
		"secret added":      {`{"data":{}}`, `{"data":{"k":"hunter2"}}`, nil, true, `data.k is not in the repository`},
		"more than bounded": {`{"a":[1,2,3,4,5,6,7]}`, `{"a":[]}`, nil, false, `a[0]: rendered 1, live nothing; a[1]: rendered 2, live nothing; a[2]: rendered 3, live nothing; a[3]: rendered 4, live nothing; a[4]: rendered 5, live nothing; perhaps more`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := describe(diff(parse(t, tc.want), parse(t, tc.have), tc.ignored), tc.secret)
			if d := cmp.Diff(tc.out, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// managedBy completes a live object with a record of ownership.
func managedBy(t *testing.T, object, manager, fields string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{Object: parse(t, object)}
	if fields == "" {
		return u
	}
	entry := `{"metadata":{"managedFields":[{"manager":"` + manager + `","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":` + fields + `}]}}`
	record, _, _ := unstructured.NestedFieldNoCopy(parse(t, entry), "metadata", "managedFields")
	u.Object["metadata"].(map[string]any)["managedFields"] = record
	return u
}

func TestProven(t *testing.T) {
	const head = `"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b"}`
	cases := map[string]struct {
		desired, live, fields string
		manager               string
		want                  bool
	}{
		"as applied, with defaults added": {`{` + head + `,"spec":{"x":1}}`, `{` + head + `,"spec":{"x":1,"y":2}}`, `{"f:spec":{"f:x":{}}}`, "", true},
		"value changed":                   {`{` + head + `,"spec":{"x":1}}`, `{` + head + `,"spec":{"x":2}}`, `{"f:spec":{"f:x":{}}}`, "", false},
		"field gone":                      {`{` + head + `,"spec":{"x":1}}`, `{` + head + `,"spec":{}}`, `{}`, "", false},
		"even an empty field gone":        {`{` + head + `,"spec":{"x":false}}`, `{` + head + `,"spec":{}}`, `{"f:spec":{}}`, "", false},
		"we own more than is rendered":    {`{` + head + `,"spec":{"x":1}}`, `{` + head + `,"spec":{"x":1,"y":2}}`, `{"f:spec":{"f:x":{},"f:y":{}}}`, "", false},
		"no record":                       {`{` + head + `,"spec":{"x":1}}`, `{` + head + `,"spec":{"x":1}}`, ``, "", false},
		"no record of a bare object":      {`{` + head + `}`, `{` + head + `,"spec":{"x":1}}`, ``, "", true},
		"record of somebody else":         {`{` + head + `,"spec":{"x":1}}`, `{` + head + `,"spec":{"x":1}}`, `{"f:spec":{"f:x":{}}}`, "kubectl", false},
		"list element by its keys":        {`{` + head + `,"p":[{"n":"h","v":1}]}`, `{` + head + `,"p":[{"n":"h","v":1,"d":2}]}`, `{"f:p":{"k:{\"n\":\"h\"}":{".":{},"f:n":{},"f:v":{}}}}`, "", true},
		"list element with a default key": {`{` + head + `,"p":[{"v":1}]}`, `{` + head + `,"p":[{"v":1,"n":"h"}]}`, `{"f:p":{"k:{\"n\":\"h\"}":{"f:v":{}}}}`, "", false},
		"port with the default protocol":  {`{` + head + `,"p":[{"port":1}]}`, `{` + head + `,"p":[{"port":1,"protocol":"TCP"}]}`, `{"f:p":{"k:{\"port\":1,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}`, "", true},
		"port with another protocol":      {`{` + head + `,"p":[{"port":1}]}`, `{` + head + `,"p":[{"port":1,"protocol":"UDP"}]}`, `{"f:p":{"k:{\"port\":1,\"protocol\":\"UDP\"}":{"f:port":{}}}}`, "", false},
		"port whose protocol was changed": {`{` + head + `,"p":[{"port":1}]}`, `{` + head + `,"p":[{"port":1,"protocol":"UDP"}]}`, `{"f:p":{"k:{\"port\":1,\"protocol\":\"TCP\"}":{"f:port":{}}}}`, "", false},
		"list with an element more":       {`{` + head + `,"p":[{"n":"h"}]}`, `{` + head + `,"p":[{"n":"h"},{"n":"i"}]}`, `{"f:p":{"k:{\"n\":\"h\"}":{"f:n":{}}}}`, "", false},
		"list in another sequence":        {`{` + head + `,"p":[1,2]}`, `{` + head + `,"p":[2,1]}`, `{"f:p":{}}`, "", false},
		"set":                             {`{` + head + `,"p":["a"]}`, `{` + head + `,"p":["a"]}`, `{"f:p":{"v:\"a\"":{}}}`, "", true},
		"quantity in another form":        {`{` + head + `,"m":"1000m"}`, `{` + head + `,"m":"1"}`, `{"f:m":{}}`, "", false},
		"a selector that somebody widened": {`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","labels":{"l":"1"}},"spec":{"selector":{"app":"x"}}}`,
			`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"b","labels":{"l":"1"}},"spec":{"selector":{"app":"x","version":"v2"}}}`,
			`{"f:metadata":{"f:labels":{"f:l":{}}}}`, "", false},
		"a rule that somebody narrowed": {`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"a","namespace":"b","labels":{"l":"1"}},"rules":[{"verbs":["get"]}]}`,
			`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"a","namespace":"b","labels":{"l":"1"}},"rules":[{"verbs":["get"],"resourceNames":["x"]}]}`,
			`{"f:metadata":{"f:labels":{"f:l":{}}}}`, "", false},
		"a whole that has a key more":  {`{` + head + `,"spec":{"s":{"app":"x"}}}`, `{` + head + `,"spec":{"s":{"app":"x","v":"2"}}}`, `{"f:spec":{"f:s":{}}}`, "", false},
		"a whole that is equal":        {`{` + head + `,"spec":{"s":{"app":"x"}}}`, `{` + head + `,"spec":{"s":{"app":"x"}}}`, `{"f:spec":{"f:s":{}}}`, "", true},
		"a field that is not recorded": {`{` + head + `,"spec":{"x":1,"y":2}}`, `{` + head + `,"spec":{"x":1,"y":2}}`, `{"f:spec":{"f:x":{}}}`, "", false},
		"malformed record":             {`{` + head + `,"x":1}`, `{` + head + `,"x":1}`, `{"z:x":{}}`, "", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			manager := tc.manager
			if manager == "" {
				manager = manifests.FieldManager
			}
			if got := proven(parse(t, tc.desired), managedBy(t, tc.live, manager, tc.fields), manifests.FieldManager); got != tc.want {
				t.Errorf("proven %t, want %t", got, tc.want)
			}
		})
	}
}

func TestRecordOfAnotherVersionProvesNothing(t *testing.T) {
	live := managedBy(t, `{"apiVersion":"v2","kind":"X","metadata":{"name":"a"},"spec":1}`, manifests.FieldManager, `{"f:spec":{}}`)
	if proven(parse(t, `{"apiVersion":"v2","kind":"X","metadata":{"name":"a"},"spec":1}`), live, manifests.FieldManager) {
		t.Error("proven by the record of another version")
	}
}

func id(s string) manifests.ID {
	kind, name, _ := strings.Cut(s, " ")
	kind, group, _ := strings.Cut(kind, ".")
	namespace, name, found := strings.Cut(name, "/")
	if !found {
		namespace, name = "", namespace
	}
	return manifests.ID{Group: group, Kind: kind, Namespace: namespace, Name: name}
}

func TestIgnoredFields(t *testing.T) {
	object := func(s string) manifests.Object {
		return manifests.Object{Unstructured: &unstructured.Unstructured{Object: parse(t, s)}}
	}
	web := object(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"a"}}`)
	scaler := object(`{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"x","namespace":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}}`)
	keda := object(`{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"x","namespace":"a"},"spec":{"scaleTargetRef":{"name":"web"}}}`)
	role := object(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"x"},"aggregationRule":{}}`)
	hook := object(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"x"},"webhooks":[{}]}`)
	pinned := object(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"x"},"webhooks":[{"clientConfig":{"caBundle":"QUJD"}}]}`)
	cases := map[string]struct {
		objects []manifests.Object
		path    string
		want    bool
	}{
		"replicas":                     {[]manifests.Object{web}, "spec/replicas", false},
		"replicas under an autoscaler": {[]manifests.Object{web, scaler}, "spec/replicas", true},
		"replicas under KEDA":          {[]manifests.Object{web, keda}, "spec/replicas", true},
		"aggregated rules":             {[]manifests.Object{role}, "rules/[0]", true},
		"injected bundle":              {[]manifests.Object{hook}, "webhooks/[0]/clientConfig/caBundle", true},
		"rendered bundle":              {[]manifests.Object{pinned}, "webhooks/[0]/clientConfig/caBundle", false},
		"status":                       {[]manifests.Object{web}, "status/x", true},
		"spec":                         {[]manifests.Object{web}, "spec", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := ignoredIn(tc.objects[0], scaled(tc.objects)).match(strings.Split(tc.path, "/")) != nil; got != tc.want {
				t.Errorf("ignored %t, want %t", got, tc.want)
			}
		})
	}
}

func TestLargeNumbersAreNotRounded(t *testing.T) {
	if equal(int64(9007199254740993), int64(9007199254740992)) {
		t.Error("two integers that differ by one are taken for equal")
	}
	if !equal(int64(3), float64(3)) {
		t.Error("3 and 3.0 are taken for different")
	}
}
