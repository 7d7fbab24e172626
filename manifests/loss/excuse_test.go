package loss_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/loss"
)

// precious are an object, fields and data that would be lost.
func precious() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		thing("v1 ConfigMap shop/mine", kubectl),
		thing("v1 ServiceAccount shop/default", by("kubectl-patch", `{"f:imagePullSecrets":{}}`)),
		thing(pvc+"shop/data", bound), volumeOf("shop/data", deleted),
	}
}

func waiver(p manifests.Pattern, until time.Time) loss.Waiver {
	return loss.Waiver{Pattern: p, Reason: "known", Until: until}
}

// TestExcuses waives and accepts, and counts what is left.
func TestExcuses(t *testing.T) {
	later, before := now.Add(time.Hour), now.Add(-time.Second)
	list := loss.Judge(contents(precious()), loss.Rules{Now: now})
	if list.Total != 3 {
		t.Fatalf("lost: %v", lostOf(list))
	}
	accepted := func(change func(*loss.Accepted)) *loss.Accepted {
		a := loss.Accept(list, "ada", "known", later)
		if change != nil {
			change(a)
		}
		return a
	}
	for name, test := range map[string]struct {
		rules loss.Rules
		left  string
		note  string
	}{
		"nothing":                   {left: "Data Fields Object"},
		"object waived":             {rules: loss.Rules{Waivers: []loss.Waiver{waiver(manifests.Pattern{Kind: "ConfigMap"}, later)}}, left: "Data Fields"},
		"expired":                   {rules: loss.Rules{Waivers: []loss.Waiver{waiver(manifests.Pattern{Kind: "ConfigMap"}, now)}}, left: "Data Fields Object", note: "the waiver of ConfigMap */* expired"},
		"no data without its kind":  {rules: loss.Rules{Waivers: []loss.Waiver{waiver(manifests.Pattern{Namespace: "shop"}, later)}}, left: "Data"},
		"data by its kind":          {rules: loss.Rules{Waivers: []loss.Waiver{waiver(manifests.Pattern{Kind: "PersistentVolumeClaim", Namespace: "shop"}, later)}}, left: "Fields Object"},
		"another namespace":         {rules: loss.Rules{Waivers: []loss.Waiver{waiver(manifests.Pattern{Namespace: "sh?"}, later)}}, left: "Data Fields Object"},
		"accepted":                  {rules: loss.Rules{Accepted: accepted(nil)}},
		"accepted before":           {rules: loss.Rules{Accepted: accepted(func(a *loss.Accepted) { a.Until = before })}, left: "Data Fields Object", note: "expired"},
		"of an earlier life":        {rules: loss.Rules{Accepted: accepted(func(a *loss.Accepted) { a.ClusterID = "earlier" })}, left: "Data Fields Object", note: "earlier life"},
		"another object then":       {rules: loss.Rules{Accepted: accepted(func(a *loss.Accepted) { a.Items = a.Items[:0] })}, left: "Data Fields Object"},
		"fewer fields then":         {rules: loss.Rules{Accepted: accepted(func(a *loss.Accepted) { clearFields(a) })}, left: "Fields"},
		"disposable data":           {rules: loss.Rules{DisposableData: "caches"}, left: "Fields Object"},
		"no container wrote a byte": {rules: loss.Rules{Simulated: true}, left: "Fields Object"},
	} {
		t.Run(name, func(t *testing.T) {
			test.rules.Now = now
			p := loss.Judge(contents(precious()), test.rules)
			var left []string
			for _, s := range lostOf(p) {
				left = append(left, strings.Fields(s)[0])
			}
			if got := strings.Join(left, " "); got != test.left || p.Clean() != (test.left == "") {
				t.Errorf("left %q, want %q", got, test.left)
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), test.note) || (test.note == "") != (len(p.Notes) == 0) {
				t.Errorf("notes %q, want %q", p.Notes, test.note)
			}
		})
	}
}

func clearFields(a *loss.Accepted) {
	for i := range a.Items {
		a.Items[i].Fields = nil
	}
}

// TestRecreatedObjectIsNew accepts one object and finds another one under its name.
func TestRecreatedObjectIsNew(t *testing.T) {
	list := loss.Judge(contents(precious()), loss.Rules{Now: now})
	again := precious()
	again[0].SetUID("another")
	p := loss.Judge(contents(again), loss.Rules{Now: now, Accepted: loss.Accept(list, "ada", "known", now.Add(time.Hour))})
	if got := lostOf(p); len(got) != 1 || got[0] != "Object ConfigMap shop/mine" {
		t.Errorf("left %v", got)
	}
}
