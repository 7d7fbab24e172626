package text_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/order/text"
)

func graph(t *testing.T, docs ...string) *order.Graph {
	t.Helper()
	var objects []manifests.Object
	for n, d := range docs {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(d), &u.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, manifests.Object{Unstructured: u, Origin: manifests.Origin{File: "shop.yaml", Line: n*10 + 1}})
	}
	g, err := order.Build(objects, order.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}"

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: shop}"
}

func TestWrite(t *testing.T) {
	tests := map[string]struct {
		docs    []string
		options text.Options
		want    string
	}{
		"one kind with the same needs is one block": {
			docs: []string{namespace, configMap("a"), configMap("longer")},
			want: `3 objects in 2 waves. Each goes as soon as what is listed below it is there.

Wave 1 (1 object)
  Namespace shop  shop.yaml:1

Wave 2 (2 objects)
  ConfigMap shop/a       shop.yaml:11
  ConfigMap shop/longer  shop.yaml:21
    each after Namespace shop  is in this namespace (applied)

`,
		},
		"many edges of one reason are counted": {docs: mounting(6), want: `8 objects in 3 waves. Each goes as soon as what is listed below it is there.

Wave 1 (1 object)
  Namespace shop  shop.yaml:1

Wave 2 (6 objects)
  ConfigMap shop/c0  shop.yaml:21
  ConfigMap shop/c1  shop.yaml:31
  ConfigMap shop/c2  shop.yaml:41
  ConfigMap shop/c3  shop.yaml:51
  ConfigMap shop/c4  shop.yaml:61
  ConfigMap shop/c5  shop.yaml:71
    each after Namespace shop  is in this namespace (applied)

Wave 3 (1 object)
  Pod shop/p  shop.yaml:11
    after Namespace shop            is in this namespace (applied)
    after ConfigMap shop/c0         mounts it as a volume (applied)
    after ConfigMap shop/c1         mounts it as a volume (applied)
    after ConfigMap shop/c2         mounts it as a volume (applied)
    after 3 more of kind ConfigMap  mounts it as a volume (applied)

`},
		"barriers and warnings follow the waves": {
			docs: []string{
				"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: default, annotations: {argocd.argoproj.io/sync-wave: soon}}",
				"apiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: default, annotations: {argocd.argoproj.io/sync-wave: '1'}}",
			},
			want: `2 objects in 2 waves. Each goes as soon as what is listed below it is there.

Wave 1 (1 object)
  Secret default/a  shop.yaml:1

Wave 2 (1 object)
  Secret default/b  shop.yaml:11
    after all 1 object of sync-wave 0  is in sync-wave 1 (ready)

Barrier: all 1 object of sync-wave 0
    after Secret default/a  is in sync-wave 0 (ready)

Warnings
  - Secret default/a (shop.yaml:1): sync-wave "soon" is not a whole number and counts as 0
`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := text.Write(&b, graph(t, tt.docs...).View(), tt.options); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// mounting is a Pod that mounts n ConfigMaps.
func mounting(n int) []string {
	docs := []string{namespace, ""}
	volumes := ""
	for i := range n {
		volumes += fmt.Sprintf("{name: v%d, configMap: {name: c%d}},", i, i)
		docs = append(docs, configMap(fmt.Sprintf("c%d", i)))
	}
	docs[1] = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec: {volumes: [" + volumes + "]}"
	return docs
}

func TestAllPrintsEveryEdge(t *testing.T) {
	var b bytes.Buffer
	if err := text.Write(&b, graph(t, mounting(6)...).View(), text.Options{All: true}); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.Bytes(), []byte("mounts it as a volume")); n != 6 {
		t.Errorf("%d of 6 edges printed", n)
	}
}

func TestViewIsData(t *testing.T) {
	data, err := json.Marshal(graph(t, namespace, configMap("a")).View())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"waves":[{"number":1,"objects":[{"kind":"Namespace","name":"shop","apiVersion":"v1","origin":{"file":"shop.yaml","line":1}}]},` +
		`{"number":2,"objects":[{"kind":"ConfigMap","namespace":"shop","name":"a","apiVersion":"v1","origin":{"file":"shop.yaml","line":11},` +
		`"after":[{"object":{"kind":"Namespace","name":"shop"},"gate":"Applied","kind":"Hard","reason":"is in this namespace"}]}]}]}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

type closed struct{}

var errClosed = errors.New("closed")

func (closed) Write([]byte) (int, error) { return 0, errClosed }

func TestWriteReportsAClosedPipe(t *testing.T) {
	if err := text.Write(closed{}, graph(t, namespace).View(), text.Options{}); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}
