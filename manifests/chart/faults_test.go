package chart

import (
	"bytes"
	"context"
	"errors"
	"log"
	"strings"
	"testing"
	"time"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

func TestFaultsNameThePlace(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"syntax": {
			map[string]string{"templates/a.yaml": configMap + "data:\n  x: {{ .Values.x \n"},
			[]string{"chart demo 1.0.0: chart demo-1.0.0: templates/a.yaml:5: "},
		},
		"nil pointer": {
			map[string]string{"templates/a.yaml": configMap + "data:\n  x: {{ .Values.a.b }}\n"},
			[]string{"templates/a.yaml:5: nil pointer evaluating"},
		},
		"after a loop on the same line": {
			map[string]string{"templates/a.yaml": configMap + "\n{{ range list 1 }}{{ .a }}{{ end }}"},
			[]string{"templates/a.yaml:5: ", "can't evaluate field a"},
		},
		"required": {
			map[string]string{"templates/a.yaml": configMap + "data:\n  x: {{ required \"set x to the name of the shop\" .Values.x }}\n"},
			[]string{"templates/a.yaml:5: set x to the name of the shop"},
		},
		"fail in a named template": {
			map[string]string{
				"templates/_h.tpl":  "{{- define \"check\" }}\n{{- fail \"no such mode\" }}\n{{- end }}",
				"templates/a.yaml":  configMap,
				"templates/b.yaml":  "# first\n{{ include \"check\" . }}\n",
				"templates/c~.yaml": configMap,
			},
			[]string{"templates/b.yaml:2: no such mode"},
		},
		"nil pointer in a named template": {
			map[string]string{
				"templates/_h.tpl": "{{- define \"deep\" }}\n{{- .Values.a.b }}\n{{- end }}",
				"templates/b.yaml": "# first\n{{ include \"deep\" . }}\n",
			},
			[]string{"templates/_h.tpl:2: nil pointer", "(from chart demo-1.0.0: templates/b.yaml:2)"},
		},
		"missing template": {
			map[string]string{"templates/a.yaml": "{{ include \"nowhere\" . }}"},
			[]string{"templates/a.yaml:1: ", "nowhere"},
		},
		"unknown function": {
			map[string]string{"templates/a.yaml": "\n{{ env \"HOME\" }}"},
			[]string{"templates/a.yaml:2: ", "\"env\" not defined"},
		},
		"broken YAML": {
			map[string]string{"templates/a.yaml": configMap + "data:\n   x: 1\n  y: 2\n"},
			[]string{"templates/a.yaml: line 6 of what it renders is not valid YAML"},
		},
		"no kind": {
			map[string]string{"templates/a.yaml": "apiVersion: v1\nmetadata: {name: a}\n"},
			[]string{"templates/a.yaml: line 1 of what it renders has no kind"},
		},
		"broken definition": {
			map[string]string{"crds/a.yaml": "a: b: c\n"},
			[]string{"crds/a.yaml:1: is not valid YAML"},
		},
		"library": {
			map[string]string{"Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n"},
			[]string{"chart lib 1.0.0 is a library"},
		},
		"packed without dependency": {
			map[string]string{"Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\ndependencies: [{name: redis, version: 1.x, repository: https://x.test}]\n"},
			[]string{"chart x 1.0.0 lacks charts that it depends on (redis)"},
		},
		"too new": {
			map[string]string{"Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\nkubeVersion: '>=1.40'\n"},
			[]string{"wants Kubernetes >=1.40, the cluster has v1.36.3"},
		},
		"value under the name of a chart": {
			map[string]string{"values.yaml": "sub: canary-value\n", "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n"},
			[]string{"chart demo 1.0.0", "mapping"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Render(t.Context(), request(chartOf(t, test.files)))
			if err == nil {
				t.Fatal("it rendered")
			}
			contains(t, err.Error(), test.want...)
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), tick) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the message shows too much: %v", err)
			}
		})
	}
}

func TestSchemaNamesChartAndField(t *testing.T) {
	for name, test := range map[string]struct {
		values map[string]any
		want   []string
	}{
		"type":    {map[string]any{"port": "http-canary"}, []string{"strict: values.port is a string, not a integer"}},
		"pattern": {map[string]any{"password": "CANARY-9f"}, []string{"strict: values.password does not match the pattern"}},
		"enum":    {map[string]any{"mode": "canary"}, []string{"strict: values.mode is none of [fast safe]"}},
		"unknown": {map[string]any{"prot": 1}, []string{"strict: values has what the chart does not know: prot"}},
		"range":   {map[string]any{"port": 70000}, []string{"strict: values.port does not satisfy maximum"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := request(chartOf(t, fixture(t, "strict")))
			req.Values = test.values
			_, err := Render(t.Context(), req)
			var fault *ValuesError
			if !errors.As(err, &fault) {
				t.Fatalf("got %v", err)
			}
			contains(t, err.Error(), append(test.want, "chart strict 0.1.0 does not accept the values")...)
			if strings.Contains(strings.ToLower(err.Error()), "canary") {
				t.Errorf("the value is shown: %v", err)
			}
			req.SkipSchemaValidation = true
			rendered(t, req)
		})
	}
}

func TestSchemaReadsNothingElse(t *testing.T) {
	req := request(chartOf(t, fixture(t, "strict")))
	req.Values = map[string]any{"local": "anything", "remote": 5}
	contains(t, strings.Join(rendered(t, req).Warnings, "\n"), "refers to file:///etc/passwd, which is not read", "refers to http://127.0.0.1:1/schema.json")
}

// Values from Secrets reach templates, and with them messages that a chart's author writes.
func TestSecretsStayOutOfMessagesAndLogs(t *testing.T) {
	const canary = "canary-5e1f"
	var logged bytes.Buffer
	previous := log.Writer()
	log.SetOutput(&logged)
	defer log.SetOutput(previous)
	for name, files := range map[string]map[string]string{
		"fail":   {"templates/a.yaml": `{{ fail (printf "bad password %s" .Values.password) }}`},
		"tpl":    {"templates/a.yaml": `{{ tpl (printf "{{ %s" .Values.password) . }}`},
		"yaml":   {"templates/a.yaml": configMap + "data: {{ .Values.password }}: {{ .Values.password }}: x\n"},
		"text":   {"templates/a.yaml": "{{ .Values.password }}"},
		"lookup": {"templates/a.yaml": `{{ $x := lookup "v1" "Secret" "ns" .Values.password }}` + configMap},
		"table":  {"templates/a.yaml": configMap, "values.yaml": "password: {a: {b: 1}}\nother: " + canary + "\n"},
	} {
		req := request(chartOf(t, files))
		req.Values = map[string]any{"password": canary, "other": map[string]any{"x": canary}}
		req.Redact = []string{canary}
		result, err := Render(t.Context(), req)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
		if result != nil && strings.Contains(strings.Join(result.Warnings, "\n"), canary) {
			t.Errorf("%s: a warning shows the secret: %v", name, result.Warnings)
		}
		if (name == "fail" || name == "tpl" || name == "yaml" || name == "text") && err == nil {
			t.Errorf("%s rendered", name)
		}
	}
	if strings.Contains(logged.String(), canary) {
		t.Errorf("the log shows the secret: %s", logged.String())
	}
	log.Print("others still log")
	contains(t, logged.String(), "others still log")
}

// Each of these would run for ever, or take all memory, or end the process.
func TestBombsEndInAnError(t *testing.T) {
	doubling := `{{ $s := "0123456789abcdef" }}{{ range until 60 }}{{ $s = printf "%s%s" $s $s }}{{ end }}{{ $s }}`
	for name, template := range map[string]string{
		"until":             `{{ range until 2000000000 }}x{{ end }}`,
		"until backwards":   `{{ range until -9223372036854775808 }}x{{ end }}`,
		"untilStep":         `{{ range untilStep 0 9000000000000000000 1 }}x{{ end }}`,
		"seq":               `{{ seq 1 2000000000 }}`,
		"repeat":            `{{ repeat 2000000000 "x" }}`,
		"indent":            `{{ indent 2000000000 "x" }}`,
		"random":            `{{ randAlphaNum 2000000000 }}`,
		"loops in loops":    `{{ $l := until 100000 }}{{ range $l }}{{ range $l }}{{ range $l }}{{ end }}{{ end }}{{ end }}`,
		"endless range":     `{{ range 9000000000000000000 }}x{{ end }}`,
		"include twice":     `{{ define "a" }}{{ include "a" . }}{{ include "a" . }}{{ end }}{{ include "a" . }}`,
		"include itself":    `{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`,
		"template itself":   `{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`,
		"doubling text":     doubling,
		"doubling include":  `{{ define "a" }}{{ . }}{{ . }}{{ end }}{{ $s := "0123456789abcdef" }}{{ range until 60 }}{{ $s = include "a" $s }}{{ end }}`,
		"dictionary itself": `{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}`,
		"dictionary inside": `{{ $d := dict }}{{ $_ := set $d "l" (list 1 (dict "d" $d)) }}{{ toYamlPretty $d }}`,
		"merge itself":      `{{ $d := dict }}{{ $_ := merge $d (dict "d" $d) }}{{ $d }}`,
		"deep blocks":       strings.Repeat("{{ if 1 }}", 100_000) + strings.Repeat("{{ end }}", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			req := request(chartOf(t, map[string]string{"templates/a.yaml": template}))
			req.Limits = Limits{RenderTime: 300 * time.Millisecond, Memory: 128 << 20}
			start := time.Now()
			_, err := Render(t.Context(), req)
			if err == nil {
				t.Fatal("it rendered")
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			if strings.Contains(err.Error(), tick) || len(err.Error()) > 500 {
				t.Errorf("the message is no help: %v", err)
			}
			contains(t, err.Error(), "chart demo 1.0.0")
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	req := request(chartOf(t, map[string]string{
		"templates/a.yaml": "\n" + `{{ $s := "0123456789abcdef" }}{{ range until 60 }}{{ $s = printf "%s%s" $s $s }}{{ end }}{{ $s }}`,
	}))
	req.Limits = Limits{RenderTime: time.Minute, Memory: 64 << 20}
	_, err := Render(t.Context(), req)
	if !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "templates/a.yaml:2: cannot be rendered: it takes more than 64 MiB of memory")
}

func TestMutualRecursionDoesNotEndTheProcess(t *testing.T) {
	var b strings.Builder
	const names = 100
	for i := range names {
		b.WriteString(`{{ define "` + word(i) + `" }}{{ include "` + word((i+1)%names) + `" . }}{{ end }}`)
	}
	req := request(chartOf(t, map[string]string{"templates/a.yaml": b.String() + `{{ include "` + word(0) + `" . }}`}))
	req.Limits = Limits{RenderTime: time.Minute}
	_, err := Render(t.Context(), req)
	if !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "include each other too deep")
}

func word(i int) string { return strings.Repeat("n", i/26) + string(rune('a'+i%26)) }

func TestACancelledRenderingEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	timer := time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
	defer timer.Stop()
	_, err := Render(ctx, request(chartOf(t, map[string]string{"templates/a.yaml": `{{ range 9000000000000000000 }}{{ end }}`})))
	if !errors.Is(err, enough) {
		t.Fatalf("got %v", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	req := request(chartOf(t, map[string]string{"templates/a.yaml": configMap + `data: {x: "{{ repeat 3000 "x" }}"}`}))
	req.Limits = Limits{OutputBytes: 1000}
	if _, err := Render(t.Context(), req); !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
}

func TestNamesAreChecked(t *testing.T) {
	for _, change := range []func(*Request){
		func(r *Request) { r.ReleaseName = "" },
		func(r *Request) { r.ReleaseName = "Upper" },
		func(r *Request) { r.ReleaseName = strings.Repeat("a", 54) },
		func(r *Request) { r.Namespace = "a/b" },
		func(r *Request) { r.KubeVersion = "newest" },
	} {
		req := request(chartOf(t, map[string]string{"templates/a.yaml": configMap}))
		change(&req)
		var invalid *InvalidError
		if _, err := Render(t.Context(), req); !errors.As(err, &invalid) {
			t.Errorf("%+v: got %v", req.ReleaseName, err)
		}
	}
}
