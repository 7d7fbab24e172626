package argocd

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
)

// explode expands a bomb and checks that it ends in a sentence and in little memory.
// Steps are few and time is long, so that a busy machine changes nothing.
func explode(t *testing.T, spec, want string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	limits := Limits{Steps: 200_000, Time: time.Hour}
	g, err := NewExpander(tree(), nil, Options{Limits: limits}).ApplicationSet(context.Background(), appSet(t, spec))
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Fatalf("made %d Applications", len(g.Applications))
	}
	if !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
		t.Errorf("error %.1000s, want %q", err, want)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 1500 {
		t.Errorf("allocated %d MiB", used)
	}
}

func TestExplosions(t *testing.T) {
	thousand := "{" + elementsOf(1000, "a") + "}, {" + elementsOf(1000, "b") + "}"
	for name, spec := range map[string]string{
		"matrix":           "generators: [{matrix: {generators: [" + thousand + "]}}]\n",
		"matrix of matrix": "generators: [{matrix: {generators: [{matrix: {generators: [{" + elementsOf(90, "a") + "}, {" + elementsOf(90, "b") + "}]}}, {matrix: {generators: [{" + elementsOf(90, "c") + "}, {" + elementsOf(90, "d") + "}]}}]}}]\n",
		"long list":        "generators: [{" + elementsOf(10_001, "a") + "}]\n",
		"many generators":  "generators: [" + strings.Repeat("{"+elementsOf(100, "a")+"},", 101) + "]\n",
	} {
		t.Run(name, func(t *testing.T) {
			explode(t, goTemplate("{{.a}}", "")+spec, map[bool]string{true: "two Applications get the name", false: "makes more than 10000 Applications"}[name == "many generators"])
		})
	}
}

func TestManyApplicationsAreFine(t *testing.T) {
	g := generate(t, tree(), nil, goTemplate("{{.a}}-{{.b}}", "{{.a | upper}}")+"generators: [{matrix: {generators: [{"+elementsOf(100, "a")+"}, {"+elementsOf(50, "b")+"}]}}]\n")
	if len(g.Applications) != 5000 {
		t.Errorf("%d Applications", len(g.Applications))
	}
}

func TestTemplateBombs(t *testing.T) {
	const big = `{{$x := repeat 100000 "aaaaaaaa"}}`
	for name, test := range map[string]struct{ template, want string }{
		"loops":              {`{{range until 1000}}{{range until 1000}}{{range until 1000}}{{end}}{{end}}{{end}}`, "take more than 200000 steps"},
		"loop over a number": {`{{range 1000000000}}{{end}}`, "take more than"},
		"nested number":      {`{{range 1000000000}}{{if .}}{{else}}{{end}}{{end}}`, "take more than"},
		"until":              {`{{until 999999999}}`, "until would make too much"},
		"untilStep":          {`{{untilStep 0 999999999 1}}`, "untilStep would make too much"},
		"untilStep by none":  {`{{untilStep 0 9 0}}`, "untilStep would make too much"},
		"seq":                {`{{seq 1 999999999}}`, "seq would make too much"},
		"seq down":           {`{{seq 999999999 -1 0}}`, "seq would make too much"},
		"repeat":             {`{{repeat 999999999 "a"}}`, "repeat would make too much"},
		"indent":             {`{{indent 999999999 "a"}}`, "indent would make too much"},
		"indent below zero":  {`{{indent -1 "a"}}`, "indent would make too much"},
		"output":             {`{{range until 1000}}{{repeat 10000 "a"}}{{end}}`, "makes too much text"},
		"doubling":           {`{{$x := "aaaaaaaa"}}{{range until 60}}{{$x = print $x $x}}{{end}}`, "becomes too large"},
		"doubling by cat":    {`{{$x := "aaaaaaaa"}}{{range until 60}}{{$x = cat $x $x}}{{end}}`, "becomes too large"},
		"doubling by printf": {`{{$x := "aaaaaaaa"}}{{range until 60}}{{$x = printf "%s%s" $x $x}}{{end}}`, "too"},
		"nested lists":       {`{{$x := list "a"}}{{range until 50}}{{$x = list $x $x}}{{end}}{{toJson $x}}`, "becomes too large"},
		"nested dicts":       {`{{$x := dict}}{{range until 50}}{{$x = dict "a" $x "b" $x}}{{end}}{{$x}}`, "becomes too large"},
		"concat":             {`{{$x := list 1 2 3}}{{range until 60}}{{$x = concat $x $x}}{{end}}`, "becomes too large"},
		"within itself":      {`{{$x := dict}}{{set $x "a" $x}}{{$x}}`, "becomes too large"},
		"replace":            {big + `{{replace "a" $x $x}}`, "replace would make too much"},
		"regexReplaceAll":    {`{{$x := repeat 60000 "a"}}{{regexReplaceAll "a" $x "$0$0$0$0$0$0$0$0"}}`, "regexReplaceAll would make too much"},
		"slow pattern":       {big + `{{regexMatch "a" $x}}`, "regexMatch would make too much"},
		"join":               {big + `{{join $x (until 1000)}}`, "join would make too much"},
		"wrapWith":           {big + `{{wrapWith 1 $x $x}}`, "wrapWith would make too much"},
		"uniq":               {`{{uniq (until 100000)}}`, "uniq would make too much"},
		"printf width":       {`{{printf "%999999d" 1}}`, "printf would make too much"},
		"printf star":        {`{{printf "%*d" 999999 1}}`, "printf would make too much"},
		"printf again":       {big + `{{printf (repeat 1000 "%[1]s") $x}}`, "printf would make too much"},
		"recursion":          {`{{define "a"}}{{template "b" .}}{{end}}{{define "b"}}{{template "a" .}}{{end}}{{template "a" .}}`, "includes itself"},
		"tpl of itself":      {`{{tpl .self .}}`, "tpl calls itself too deeply"},
		"deep template":      {strings.Repeat("{{if true}}", 9000) + strings.Repeat("{{end}}", 9000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := "goTemplate: true\ngenerators: [{list: {elements: [{self: '{{tpl .self .}}'}]}}]\ntemplate:\n  metadata: {name: a}\n  spec:\n    x: |\n      " + test.template + "\n"
			if test.want == "" {
				if g := generate(t, tree(), nil, spec); len(g.Applications) != 1 {
					t.Errorf("%d Applications", len(g.Applications))
				}
				return
			}
			explode(t, spec, test.want)
		})
	}
}

func TestTimeIsLimited(t *testing.T) {
	o := appSet(t, "goTemplate: true\ngenerators: [{"+elementsOf(1000, "a")+"}]\ntemplate: {metadata: {name: '{{range 100000}}{{end}}{{.a}}'}}\n")
	_, err := NewExpander(tree(), nil, Options{Limits: Limits{Time: time.Millisecond, Steps: 1 << 40}}).ApplicationSet(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "takes longer than 1ms") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewExpander(tree(), nil, Options{}).ApplicationSet(ctx, o); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("error %v", err)
	}
}

func TestGlobs(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		options       globOptions
		want          bool
	}{
		{"*", "a/b", globOptions{}, true},
		{"*", "a/b", globOptions{segments: true}, false},
		{"a/**/c", "a/b/x/c", globOptions{segments: true}, true},
		{"a/**/c", "a/c", globOptions{segments: true}, true},
		{"**", "a/b", globOptions{segments: true}, true},
		{"a?c", "abc", globOptions{}, true},
		{"a?c", "a/c", globOptions{segments: true}, false},
		{"[!a]b", "cb", globOptions{}, true},
		{"[!a]b", "ab", globOptions{}, false},
		{"[a-c]", "b", globOptions{}, true},
		{"{a,b}c", "bc", globOptions{braces: true}, true},
		{"{a,b}c", "{a,b}c", globOptions{}, true},
		{`\*`, "*", globOptions{}, true},
		{`\*`, "a", globOptions{}, false},
		{"a.b", "axb", globOptions{}, false},
		{"ü*", "über", globOptions{}, true},
		{"", "", globOptions{}, true},
		{"", "a", globOptions{}, false},
	} {
		match, err := compileGlob(test.pattern, test.options)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
		} else if got := match(test.text); got != test.want {
			t.Errorf("%q matches %q: %v", test.pattern, test.text, got)
		}
	}
	for _, bad := range []string{"{a", "[b-a]", strings.Repeat("*", 10_001)} {
		if _, err := compileGlob(bad, globOptions{braces: true}); err == nil {
			t.Errorf("%.20q is accepted", bad)
		}
	}
}
