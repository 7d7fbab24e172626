package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVariables(t *testing.T) {
	values := map[string]string{"NAME": "dev", "EMPTY": "", "_u1": "u"}
	for text, want := range map[string]string{
		"plain $NAME and $":         "plain $NAME and $",
		"a ${NAME} b ${NAME}":       "a dev b dev",
		"${_u1}":                    "u",
		"${NAME:=other}":            "dev",
		"${NONE:=1.2.3}":            "1.2.3",
		"${EMPTY:=full}":            "full",
		"${EMPTY}":                  "",
		"${NONE:-x y}":              "x y",
		`${NONE:=["10.0.0.0/16"]}`:  `["10.0.0.0/16"]`,
		"${NONE:=${NAME}-suffix}":   "dev-suffix",
		"${NONE:=}":                 "",
		"$${NAME}":                  "${NAME}",
		"${NONE:=a}\n${NONE:=b} ${": "!f:2: opens a variable",
		"x\n${NONE}":                "!f:2: uses the variable NONE, which has no value",
		"${NAME^^}":                 "!f:1: has ${NAME^^}",
		"${}":                       "!f:1: has ${}",
		"${1}":                      "!f:1: has ${1}",
	} {
		got, err := substitute("f", 1, []byte(text), values, 1000)
		result := string(got)
		if err != nil {
			result = "!" + err.Error()
		}
		if fault, ok := strings.CutPrefix(want, "!"); ok && strings.HasPrefix(result, "!"+fault) {
			continue
		}
		if diff := cmp.Diff(want, result); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestVariablesInFiles(t *testing.T) {
	f := files{
		"plain/a.yaml":              "---\n" + cm("${CLUSTER_NAME}-a") + "data: {count: \"${N:=3}\"}\n",
		"kust/kustomization.yaml":   "resources: [b.yaml]\nnamePrefix: ${CLUSTER_NAME}-\n",
		"kust/b.yaml":               cm("b") + "data: {count: \"${N:=3}\"}\n",
		"kust/not-a-manifest.unset": "${UNKNOWN}",
	}
	res := render(t, f, Options{Variables: map[string]string{"CLUSTER_NAME": "dev"}}, "plain", "kust")
	want := []string{"ConfigMap x/dev-a @ plain/a.yaml:2", "ConfigMap x/dev-b @ kust/b.yaml:1"}
	if diff := cmp.Diff(want, listing(res.Objects)); diff != "" {
		t.Error(diff)
	}
	for _, o := range res.Objects {
		if n := o.Object["data"].(map[string]any)["count"]; n != "3" {
			t.Errorf("count is %v", n)
		}
	}
	renderFails(t, files{"a.yaml": cm("a") + "---\n# x\n" + cm("${X}")}, Options{Variables: map[string]string{}}, "a.yaml:11", "variable X")
	renderFails(t, files{"kustomization.yaml": "resources: [a.yaml]", "a.yaml": cm("a") + "---\n" + cm("${X}")},
		Options{Variables: map[string]string{}}, "a.yaml:10", "variable X")
	if got := render(t, files{"a.yaml": cm("a") + "data: {x: \"${X}\"}"}, Options{}).Objects[0].Object["data"]; !cmp.Equal(got, map[string]any{"x": "${X}"}) {
		t.Errorf("variables are off, but data is %v", got)
	}
}

func FuzzVariables(f *testing.F) {
	for _, seed := range []string{"${A}", "${A:=${B:=x}}", "$${A}", "${", "${A:=", "}${A:-}}", strings.Repeat("${A:=", 50)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := substitute("f", 1, []byte(text), map[string]string{"A": "value"}, 1<<16)
		if err == nil && len(out) > 1<<17 {
			t.Errorf("%d bytes became %d", len(text), len(out))
		}
	})
}
