package verify

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/manifests"
)

func TestRulesLeaveFieldsOut(t *testing.T) {
	record := []metav1.ManagedFieldsEntry{{Manager: "autoscaler", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{},"f:c":{"k:{\"name\":\"side\"}":{".":{},"f:name":{},"f:image":{}},"k:{\"name\":\"main\"}":{"f:cpu":{}}}}}`)}}
	cases := map[string]struct {
		rule       manifests.IgnoredFields
		want, have string
		differs    bool
		used       string
	}{
		"pointer":                    {manifests.IgnoredFields{Pointers: []string{"/spec/replicas"}}, `{"spec":{"replicas":1}}`, `{"spec":{"replicas":3}}`, false, "spec.replicas"},
		"pointer to what is equal":   {manifests.IgnoredFields{Pointers: []string{"/spec/replicas"}}, `{"spec":{"replicas":3}}`, `{"spec":{"replicas":3}}`, false, ""},
		"pointer to something else":  {manifests.IgnoredFields{Pointers: []string{"/spec/other"}}, `{"spec":{"replicas":1}}`, `{"spec":{"replicas":3}}`, true, ""},
		"escaped pointer":            {manifests.IgnoredFields{Pointers: []string{"/metadata/annotations/a~1b~0c"}}, `{"metadata":{"annotations":{}}}`, `{"metadata":{"annotations":{"a/b~c":"x"}}}`, false, "a/b~c"},
		"pointer into a list":        {manifests.IgnoredFields{Pointers: []string{"/spec/c/0"}}, `{"spec":{"c":[{"name":"a"}]}}`, `{"spec":{"c":[{"name":"b"}]}}`, false, "spec.c[0]"},
		"pointer to everything":      {manifests.IgnoredFields{Pointers: []string{""}}, `{"spec":1}`, `{"spec":2,"data":3}`, false, "everything"},
		"jq":                         {manifests.IgnoredFields{JQ: []string{`.spec.c[] | select(.name == "side")`}}, `{"spec":{"c":[{"name":"main"}]}}`, `{"spec":{"c":[{"name":"side"},{"name":"main"}]}}`, false, "spec.c[0]"},
		"jq that selects nothing":    {manifests.IgnoredFields{JQ: []string{`.spec.d[].x`}}, `{"spec":{"c":1}}`, `{"spec":{"c":1}}`, false, ""},
		"jq of several elements":     {manifests.IgnoredFields{JQ: []string{`.spec.c[].image`}}, `{"spec":{"c":[{"image":1},{"image":2}]}}`, `{"spec":{"c":[{"image":3},{"image":4}]}}`, false, "spec.c[1].image"},
		"manager":                    {manifests.IgnoredFields{Managers: []string{"autoscaler"}}, `{"spec":{"replicas":1}}`, `{"spec":{"replicas":3}}`, false, "spec.replicas"},
		"manager of no such field":   {manifests.IgnoredFields{Managers: []string{"autoscaler"}}, `{"spec":{"x":1}}`, `{"spec":{"x":3}}`, true, ""},
		"other manager":              {manifests.IgnoredFields{Managers: []string{"else"}}, `{"spec":{"replicas":1}}`, `{"spec":{"replicas":3}}`, true, ""},
		"manager of a whole element": {manifests.IgnoredFields{Managers: []string{"autoscaler"}}, `{"spec":{"c":[{"name":"main"}]}}`, `{"spec":{"c":[{"name":"side","image":"x"},{"name":"main"}]}}`, false, "spec.c[0]"},
		"manager of part of one":     {manifests.IgnoredFields{Managers: []string{"autoscaler"}}, `{"spec":{"c":[{"name":"main","cpu":1}]}}`, `{"spec":{"c":[{"name":"main","cpu":2}]}}`, false, "cpu"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.rule.From = "the rule"
			want, have := parse(t, tc.want), parse(t, tc.have)
			p := pruner{rules: []manifests.IgnoredFields{tc.rule}, record: record, jq: newJQCache(), used: uses{}}
			w, h, err := p.prune(t.Context(), want, have)
			if err != nil {
				t.Fatal(err)
			}
			if found := diff(w, h, nil); (len(found) > 0) != tc.differs {
				t.Errorf("differs: %s", describe(found, false))
			}
			used := strings.Join(p.used["the rule"], ",")
			if (used == "") != (tc.used == "") || !strings.Contains(used, tc.used) {
				t.Errorf("used at %q, want %q", used, tc.used)
			}
			if len(diff(want, parse(t, tc.want), nil)) > 0 || len(diff(have, parse(t, tc.have), nil)) > 0 {
				t.Error("the arguments were changed")
			}
		})
	}
}

func TestRulesThatCannotBeFollowed(t *testing.T) {
	cases := map[string]manifests.IgnoredFields{
		"has to begin with a slash": {Pointers: []string{"spec"}},
		"name the field below it":   {Pointers: []string{"/metadata"}},
		"selects what is in every":  {JQ: []string{"."}},
		"parse it":                  {JQ: []string{".spec["}},
		"compile it":                {JQ: []string{"nosuch(.a)"}},
		"took longer than":          {JQ: []string{"def f: f; f"}},
		"longer than 4096 bytes":    {JQ: []string{"." + strings.Repeat("a", 5000)}},
		"more than 1000 fields":     {JQ: []string{".spec | .[range(5000)]"}},
	}
	for want, rule := range cases {
		t.Run(want, func(t *testing.T) {
			object := parse(t, `{"metadata":{},"spec":[1]}`)
			p := pruner{rules: []manifests.IgnoredFields{rule}, jq: newJQCache(), used: uses{}}
			if _, _, err := p.prune(t.Context(), object, object); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
}

func TestWhoChangedWhat(t *testing.T) {
	at := func(minute int) *metav1.Time {
		x := metav1.Date(2026, 3, 1, 10, minute, 0, 0, metav1.Now().Location())
		return &x
	}
	record := []metav1.ManagedFieldsEntry{
		{Manager: "refloat", Time: at(1), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{},"f:c":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}},"f:paused":{}}}`)},
		{Manager: "kubectl-edit", Time: at(2), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{},"f:c":{"k:{\"name\":\"a\"}":{"f:image":{}}}}}`)},
		{Manager: "later", Time: at(3), FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:atomic":{},"f:c":{"k:{\"name\":\"b\"}":{".":{},"f:image":{}}}},"f:metadata":{"f:labels":{".":{},"f:x":{}}}}`)},
	}
	live := parse(t, `{"spec":{"replicas":3,"paused":true,"atomic":{"deep":1},"c":[{"name":"b","image":"y"},{"name":"a","image":"x"}]},"metadata":{"labels":{"x":"1","y":"2"}}}`)
	for path, want := range map[string]string{
		"spec/replicas":       "kubectl-edit",
		"spec/paused":         "refloat",
		"spec/atomic/deep":    "later",
		"spec/c/[0]/image":    "later",
		"spec/c/[1]/image":    "kubectl-edit",
		"spec/c/[1]":          "kubectl-edit",
		"spec/c/[7]":          "",
		"metadata/labels/x":   "later",
		"metadata/labels/y":   "",
		"metadata/annotation": "",
	} {
		if got, when := lastOwner(strings.Split(path, "/"), live, record, "refloat"); got != want || (got == "") != when.IsZero() {
			t.Errorf("%s: %q at %s, want %q", path, got, when, want)
		}
	}
}

func TestChangesOfASecretHaveNoValues(t *testing.T) {
	found := diff(parse(t, `{"data":{"a":"Y2FuYXJ5"}}`), parse(t, `{"data":{"b":"Y2FuYXJ5"}}`), nil)
	for _, c := range changes(found, true) {
		if c.Rendered != "" || c.Live != "" || c.Path == "" {
			t.Errorf("change %+v", c)
		}
	}
	if c := changes(found, false); len(c) != 2 || c[0].Rendered != `"Y2FuYXJ5"` || c[0].Live != "" || c[1].Live != `"Y2FuYXJ5"` {
		t.Errorf("changes %+v", c)
	}
}

func TestFingerprintHoldsWhatIsRenderedAndNotExempt(t *testing.T) {
	desired := parse(t, `{"spec":{"replicas":1,"c":[{"image":"a"}]}}`)
	ignored := ignores{{path: []string{"spec", "replicas"}, reason: "x"}}
	base, err := fingerprint(desired, parse(t, `{"spec":{"replicas":1,"c":[{"image":"a"}]}}`), ignored)
	if err != nil {
		t.Fatal(err)
	}
	for live, same := range map[string]bool{
		`{"spec":{"replicas":7,"c":[{"image":"a"}]}}`:                            true,
		`{"status":1,"spec":{"replicas":1,"c":[{"image":"a","added":1}],"n":1}}`: true,
		`{"spec":{"replicas":1,"c":[{"image":"b"}]}}`:                            false,
		`{"spec":{"replicas":1,"c":[{"image":"a"},{"image":"b"}]}}`:              false,
		`{"spec":{"replicas":1}}`:                                                false,
	} {
		got, err := fingerprint(desired, parse(t, live), ignored)
		if err != nil || (got == base) != same {
			t.Errorf("%s: same %t, want %t (%v)", live, got == base, same, err)
		}
	}
}
