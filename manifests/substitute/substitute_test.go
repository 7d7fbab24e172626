package substitute

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const canary = "canary-5up3r"

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestForms(t *testing.T) {
	values := Values{}
	for name, value := range map[string]string{"A": "one", "N": "5", "EMPTY": "", "LINES": "a\nb\n", "PATH_": "x.tar.gz"} {
		if err := values.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{
		"${A}": `"one"`, "x-${A}-y": `"x-one-y"`, "${N}": `5`, "'${N}'": `5`, "\"n${N}\"": `"n5"`,
		"${MISSING:=d}": `"d"`, "${EMPTY:-d}": `"d"`, "${A:0:2}": `true`, "${A:1}": `"ne"`, "${A^^}": `"ONE"`, "${A/n/N}": `"oNe"`,
		"${LINES}": `"ab"`, "$${A}": `"${A}"`, "$${A//x/${A}}": `"${A//x/one}"`, "$${A} $${NONE} $$": `"${A} ${NONE} $"`, "$$${A}": `"$one"`, "plain": `"plain"`, "${PATH_%%.*}": `"x"`, "${PATH_%.gz}": `"x.tar"`,
		"${MISSING:-${A}}": `"one"`, "$A": `"$A"`,
	} {
		u := object(t, "kind: X\nv: "+in+"\n")
		if err := Object(u, values, false); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, _ := json.Marshal(u.Object["v"])
		if string(got) != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestWhatIsLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		values Values
	}{
		"no values":           {"kind: X\nv: ${A}\n", nil},
		"label":               {"kind: X\nmetadata: {labels: {" + DisabledKey + ": disabled}}\nv: ${A}\n", Values{"A": "1"}},
		"annotation, any way": {"kind: X\nmetadata: {annotations: {" + DisabledKey + ": Disabled}}\nv: ${A}\n", Values{"A": "1"}},
	} {
		u := object(t, c.text)
		if err := Object(u, c.values, false); err != nil || u.Object["v"] != "${A}" {
			t.Errorf("%s: %v, %v", name, u.Object["v"], err)
		}
	}
	if err := Object(object(t, "v: ${A}"), nil, true); err == nil {
		t.Error("with always, a variable without value is no error")
	}
}

func TestFaultsSayWhatAndHoldNoValue(t *testing.T) {
	secret := canary + ": [{"
	for name, c := range map[string]struct{ text, want string }{
		"missing":   {"v: ${B}", "uses the variable B, which has no value: set it, write ${B:=default}, or $${B} to keep it as it is (known: A)"},
		"not yaml":  {"v: ${A}", "is no longer valid YAML"},
		"unclosed":  {"v: ${A", "cannot be parsed"},
		"bad":       {"v: ${A b}", "cannot be parsed"},
		"deep":      {"v: " + strings.Repeat("${B:-", 60) + strings.Repeat("}", 60), "nested deeper"},
		"explosion": {"v: " + strings.Repeat("${A}", 100), ""},
	} {
		err := Object(object(t, c.text), Values{"A": secret}, false)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	escaped := "v: \"" + strings.Repeat("$${x ", 100) + "\""
	if u := object(t, escaped); Object(u, Values{"A": "1"}, false) != nil || !strings.HasPrefix(u.Object["v"].(string), "${x ${x") {
		t.Errorf("what is escaped is read as variables: %v", u.Object["v"])
	}
	big := Values{"A": strings.Repeat("a", 1<<20)}
	for _, text := range []string{"v: " + strings.Repeat("${A}", 40), "v: ${A//a/bbbbbbbbbbbbbbbbbbbbbb}", "v: ${A%%*b}", "v: ${A//a/${A}}"} {
		if err := Object(object(t, text), big, false); err == nil {
			t.Errorf("%.20s is not bounded", text)
		}
	}
	if err := (Values{}).Set("1x", canary); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("name: %v", err)
	}
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{"${A}", "$${A}", "${A:=${B}}", "${", "${A//x/y}", "${A:1:-1}", "${#A}"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		u := &unstructured.Unstructured{Object: map[string]any{"v": s}}
		_ = Object(u, Values{"A": "one"}, false)
	})
}
