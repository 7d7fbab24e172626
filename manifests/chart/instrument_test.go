package chart

import (
	"strings"
	"testing"
	"text/template"
)

// Ticks must change neither the output nor the lines of a template.
func TestTicksChangeNothing(t *testing.T) {
	for _, text := range []string{
		"",
		"plain",
		"a{{ range .l }}x{{ end }}b",
		"a\n{{- range .l }}\n  x: {{ . }}\n{{- end }}\nb",
		"a\n{{ range .l -}}\n  x: {{ . }}\n{{ end -}}\n  b",
		"a\n{{- range .l -}}\n  \n{{- end -}}\n  b",
		"{{ range .l }}\n   {{- . }}{{ end }}",
		"{{ range .l }}{{ end }}",
		"{{ range $i, $v := .l }}{{ $i }}={{ $v }},{{ else }}none{{ end }}",
		"{{ range .none }}{{ . }}{{ else }}\n  none {{ range .l }}-{{ end }}{{ end }}",
		"{{ range .l }}{{/* a comment }} */}}x{{ end }}",
		"{{ range .l }}{{- /* a comment */ -}}   x{{ end }}",
		`{{ range .l }}{{ "}}" }}{{ end }}`,
		`{{ if .l }}{{ with .m }}{{ range .l }}[{{ . }}]{{ end }}{{ end }}{{ end }}`,
		`{{ define "a" }}  <{{ . }}>{{ end }}{{ range .l }}{{ template "a" . }}{{ end }}`,
		`{{ define "a" -}}   <{{ . }}>  {{- end }}{{ template "a" 1 }}{{ block "b" .l }} {{ range . }}b{{ end }}{{ end }}`,
		"{{ define \"a\" }}\n  {{- /* c */}}\n  x\n{{ end }}{{ template \"a\" }}",
		`{{ define "a" }}{{ end }}{{ template "a" }}`,
		`{{ range .l }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ break }}{{ end }}`,
		"{{ range `}}` | printf `%s` | len }}x{{ end }}",
	} {
		ticked := ticking("x", text)
		if strings.Count(text, "\n") != strings.Count(ticked, "\n") {
			t.Errorf("%q: lines moved: %q", text, ticked)
		}
		ticks := 0
		got := run(t, ticked, &ticks)
		unused := 0
		if want := run(t, text, &unused); got != want {
			t.Errorf("%q\nbecomes %q\nand prints %q, not %q", text, ticked, got, want)
		}
		if loops := strings.Contains(text, "range .l"); loops && ticks == 0 {
			t.Errorf("%q has no tick: %q", text, ticked)
		}
	}
}

func run(t *testing.T, text string, ticks *int) string {
	t.Helper()
	parsed, err := template.New("x").Funcs(template.FuncMap{tick: func() string { *ticks++; return "" }}).Parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, map[string]any{"l": []int{1, 2, 3}, "m": map[string]any{"l": []int{4}}}); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return b.String()
}

func FuzzTicksChangeNothing(f *testing.F) {
	f.Add("a{{ range .l -}} x {{- end }}")
	f.Add("{{ define \"a\" }}{{ end }}{{ range .l }}{{/* */}}{{ end }}")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, tick) || strings.Contains(text, "template") || strings.Contains(text, "block") {
			t.Skip() // they may recurse
		}
		parse := func(text string) (*template.Template, error) {
			return template.New("x").Funcs(template.FuncMap{tick: func() string { return "" }}).Parse(text)
		}
		plain, err := parse(text)
		if err != nil {
			return
		}
		ticked, err := parse(ticking("x", text))
		if err != nil {
			t.Fatalf("%q cannot be parsed any more: %v", text, err)
		}
		data := map[string]any{"l": []int{1, 2}}
		var a, b strings.Builder
		errA, errB := plain.Execute(&a, data), ticked.Execute(&b, data)
		if a.String() != b.String() || (errA == nil) != (errB == nil) {
			t.Fatalf("%q prints %q (%v), with ticks %q (%v)", text, a.String(), errA, b.String(), errB)
		}
	})
}
