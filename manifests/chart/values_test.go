package chart

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestValuesInHelmsOrder(t *testing.T) {
	one := ValuesFile{"one.yaml", []byte("a: file1\nm: {x: 1, z: 1}\nl: [1, 2]\n")}
	two := ValuesFile{"two.yaml", []byte("a: file2\nm: {z: 2}\nl: [3]\n---\nlate: yes\n")}
	for name, test := range map[string]struct {
		values Values
		want   map[string]any
	}{
		"nothing": {Values{}, map[string]any{}},
		"later files win, maps merge, lists do not": {
			Values{Files: []ValuesFile{one, two}},
			map[string]any{"a": "file2", "m": map[string]any{"x": 1.0, "z": 2.0}, "l": []any{3.0}, "late": true},
		},
		"inline after files": {
			Values{Files: []ValuesFile{one}, Inline: map[string]any{"a": "inline", "m": map[string]any{"x": int64(9)}}},
			map[string]any{"a": "inline", "m": map[string]any{"x": 9.0, "z": 1.0}, "l": []any{1.0, 2.0}},
		},
		"parameters after inline": {
			Values{Inline: map[string]any{"a": "inline"}, Parameters: []Parameter{{Name: "a", Value: "5"}, {Name: "b.c[1]", Value: "true"}}},
			map[string]any{"a": int64(5), "b": map[string]any{"c": []any{nil, true}}},
		},
		"strings after the other parameters": {
			Values{Parameters: []Parameter{{Name: "a", Value: "1", ForceString: true}, {Name: "a", Value: "2"}}},
			map[string]any{"a": "1"},
		},
		"commas and lists": {
			Values{Parameters: []Parameter{
				{Name: "a", Value: "x,y"}, {Name: "b", Value: "{x,y}"}, {Name: "c", Value: `x\,y`}, {Name: "d", Value: `{x},\y`, Literal: true}, {Name: `e\.f`, Value: "1"},
			}},
			map[string]any{"a": "x,y", "b": []any{"x", "y"}, "c": "x,y", "d": `{x},\y`, "e.f": int64(1)},
		},
		"files as values last": {
			Values{Parameters: []Parameter{{Name: "a", Value: "p", ForceString: true}}, FileParameters: []FileParameter{{"a", []byte("line 1\nline, 2\n")}}},
			map[string]any{"a": "line 1\nline, 2\n"},
		},
		"null stays": {
			Values{Files: []ValuesFile{one}, Inline: map[string]any{"m": nil}},
			map[string]any{"a": "file1", "m": nil, "l": []any{1.0, 2.0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.values.Merge()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeChangesNoInput(t *testing.T) {
	inline := map[string]any{"m": map[string]any{"x": "before"}}
	if _, err := (Values{Inline: inline, Parameters: []Parameter{{Name: "m.x", Value: "after"}}}).Merge(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"m": map[string]any{"x": "before"}}, inline); diff != "" {
		t.Errorf("it changed:\n%s", diff)
	}
}

func TestFaultsOfValuesShowNoValue(t *testing.T) {
	for name, values := range map[string]Values{
		"list":      {Files: []ValuesFile{{"a.yaml", []byte("- canary\n")}}},
		"text":      {Files: []ValuesFile{{"a.yaml", []byte("canary")}}},
		"syntax":    {Files: []ValuesFile{{"a.yaml", []byte("a: 1\nb: canary: canary\n")}}},
		"large":     {Files: []ValuesFile{{"a.yaml", []byte(strings.Repeat("#", mostValues+1))}}},
		"aliases":   {Files: []ValuesFile{{"a.yaml", []byte(aliasBomb())}}},
		"index":     {Parameters: []Parameter{{Name: "a[99999999999]", Value: "canary"}}},
		"negative":  {Parameters: []Parameter{{Name: "a[-1]", Value: "canary"}}},
		"no name":   {Parameters: []Parameter{{Name: "", Value: "canary"}}},
		"wrong way": {Inline: map[string]any{"a": "text"}, Parameters: []Parameter{{Name: "a.b", Value: "canary"}}},
	} {
		_, err := values.Merge()
		var invalid *InvalidError
		if !errors.As(err, &invalid) && !errors.Is(err, ErrLimit) {
			t.Errorf("%s: got %v", name, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the value is shown: %v", name, err)
		}
	}
	_, err := ParseValues("charts/values.yaml", []byte("a: 1\nb: x: y\n"))
	contains(t, err.Error(), "charts/values.yaml is not a file of values: line 2")
}

func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		n, m := string(rune('0'+i)), string(rune('1'+i))
		b.WriteString("a" + m + ": &a" + m + " [" + strings.TrimSuffix(strings.Repeat("*a"+n+", ", 10), ", ") + "]\n")
	}
	return b.String()
}

// Inline values of a manifest hold whole numbers; Flux and Argo CD hand a chart others.
func TestNumbersPrintAsTheToolsPrintThem(t *testing.T) {
	c := chartOf(t, map[string]string{"templates/a.yaml": configMap + "data: {number: \"{{ .Values.n }}\"}\n"})
	req := request(c)
	req.Values = map[string]any{"n": int64(10_000_000)}
	got, _, _ := unstructured.NestedString(rendered(t, req).Objects[0].Object, "data", "number")
	if got != "1e+07" {
		t.Errorf("it prints %s", got)
	}
}
