package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func TestCanonical(t *testing.T) {
	same := []string{
		`{"b":1,"a":{"d":[1,2.50,"x<y"],"c":null}}`,
		"{\n \"a\": {\"c\": null, \"d\": [1, 2.50, \"x\\u003cy\"]},\n \"b\": 1 }\n",
	}
	first, err := Digest([]byte(same[0]))
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Digest([]byte(same[1])); err != nil || first != second {
		t.Errorf("%s, %s, %v", first, second, err)
	}
	for _, other := range []string{`{"b":1,"a":{"d":[1,2.5,"x<y"],"c":null}}`, `{"b":1,"a":{"d":[2.50,1,"x<y"],"c":null}}`, `{"b":1,"a":{"d":[1,2.50,"x<y"]}}`} {
		if digest, err := Digest([]byte(other)); err != nil || digest == first {
			t.Errorf("%s has the same digest; %v", other, err)
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "no JSON": "x", "cut off": `{"a":1`, "twice": `{"a":1,"a":2}`, "something after it": `{} {}`,
		"deep": strings.Repeat("[", 200) + strings.Repeat("]", 200), "wrong end": `{"a":[1}`, "no UTF-8": "\"\xff\"",
	} {
		if _, err := Canonical([]byte(bad)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzCanonical holds that the form is JSON, and its own form.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":1,"a":[null,true,"x\u2028<"]}`, `[1e999,-0.0,{}]`, `""`, `{"":{"":0}}`, "{\"a\":1,\"a\":2}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		first, err := Canonical(raw)
		if err != nil {
			return
		}
		if !json.Valid(first) {
			t.Fatalf("%q became %q", raw, first)
		}
		if second, err := Canonical(first); err != nil || string(second) != string(first) {
			t.Fatalf("%q, then %q, %v", first, second, err)
		}
	})
}

// chained makes reports of runs that finished one after the other, and their plan.
func chained(t *testing.T, n int) (*v1alpha1.RecoveryPlan, []Held, map[types.UID]bool) {
	t.Helper()
	plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Name: "dev", UID: "plan"}}
	var held []Held
	runs := map[types.UID]bool{}
	for i := range n {
		run := finishedRun()
		run.Name, run.UID = fmt.Sprintf("run-%d", i+1), types.UID(fmt.Sprintf("uid-%d", i+1))
		r := Build(run, &Report{Chain: NextIn(plan)})
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := Digest(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Chain.Follows(plan) || LinkOf(plan, run.UID) != nil {
			t.Fatalf("report %d does not follow", i+1)
		}
		RecordLink(plan, run, r.Chain, digest)
		if r.Chain.Follows(plan) || LinkOf(plan, run.UID) == nil {
			t.Fatalf("report %d is not linked", i+1)
		}
		held, runs[run.UID] = append(held, Held{Name: run.Name, Raw: raw}), true
	}
	return plan, held, runs
}

func edit(raw []byte, from, to string) []byte {
	return []byte(strings.Replace(string(raw), from, to, 1))
}

type chainCase struct {
	change  func(plan *v1alpha1.RecoveryPlan, held []Held, runs map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held)
	state   State
	proven  int
	kinds   []string // of problems
	remarks []string
}

func chainCases() map[string]chainCase {
	type change = func(*v1alpha1.RecoveryPlan, []Held, map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held)
	without := func(runsToo bool, numbers ...int) change {
		return func(p *v1alpha1.RecoveryPlan, h []Held, runs map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			var kept []Held
			for i, one := range h {
				if slices.Contains(numbers, i+1) {
					if runsToo {
						delete(runs, types.UID(fmt.Sprintf("uid-%d", i+1)))
					}
					continue
				}
				kept = append(kept, one)
			}
			return p, kept
		}
	}
	edited := func(number int) change {
		return func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			h[number-1].Raw = edit(h[number-1].Raw, `"monthly"`, `"weekly"`)
			return p, h
		}
	}
	return map[string]chainCase{
		"whole":            {nil, Intact, 40, nil, nil},
		"edited":           {edited(20), Broken, 39, []string{Edited}, nil},
		"the last edited":  {edited(40), Broken, 39, []string{Edited}, nil},
		"the first edited": {edited(1), Broken, 39, []string{Edited}, nil},
		"unreadable": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			h[7].Raw = []byte("{")
			return p, h
		}, Broken, 38, []string{Unreadable, Removed}, []string{Unproven}},
		"removed":                            {without(false, 20), Broken, 39, []string{Removed}, nil},
		"removed with its run":               {without(true, 20), Broken, 39, []string{Removed}, nil},
		"the last removed":                   {without(true, 40), Broken, 39, []string{Removed}, nil},
		"the oldest removed, their runs not": {without(false, 1, 2), Broken, 38, []string{Removed}, []string{Gone}},
		"the oldest gone":                    {without(true, 1, 2, 3), Intact, 37, nil, []string{Gone, Gone}},
		"all gone but the last":              {without(true, upTo(39)...), Intact, 1, nil, repeat(Gone, 32)},
		"slipped in": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return p, append(h, Held{Name: "forged", Raw: edit(edit(h[30].Raw, `"run-31"`, `"forged"`), `"monthly"`, `"x"`)})
		}, Broken, 40, []string{Stray}, nil},
		"beyond the head": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return p, append(h, Held{Name: "forged", Raw: edit(h[30].Raw, `"sequence":31`, `"sequence":77`)})
		}, Broken, 40, []string{Stray}, nil},
		"the plan's record edited": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			p.Status.Reports.Recent[3].Digest = "sha256:0"
			return p, h
		}, Broken, 39, []string{Edited, Edited}, nil},
		"not linked yet": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			p.Status.Reports.Sequence, p.Status.Reports.Recent = 39, p.Status.Reports.Recent[1:]
			return p, h
		}, Intact, 39, nil, []string{Unlinked}},
		"of an older version": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return p, append(h, Held{Name: "old", Raw: []byte(`{"run":"old","operation":"Drill","finishedAt":"2026-01-01T00:00:00Z"}`)})
		}, Intact, 40, nil, []string{Unlinked}},
		"of a run under way": {func(p *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return p, append(h, Held{Name: "now", Raw: []byte(`{"run":"now","operation":"Drill"}`)})
		}, Intact, 40, nil, nil},
		"no reports": {func(*v1alpha1.RecoveryPlan, []Held, map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return &v1alpha1.RecoveryPlan{}, nil
		}, Unknown, 0, nil, nil},
		"files": {func(_ *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return nil, h
		}, Intact, 39, nil, []string{Unproven}},
		"some files": {func(_ *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return nil, h[30:35]
		}, Intact, 4, nil, []string{Unproven, Gone, Gone}},
		"one file": {func(_ *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return nil, h[30:31]
		}, Unknown, 0, nil, []string{Unproven, Gone, Gone}},
		"a file missing": {func(_ *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			return nil, append(h[30:32], h[33:35]...)
		}, Broken, 2, []string{Removed}, []string{Unproven, Unproven, Gone, Gone}},
		"a file edited": {func(_ *v1alpha1.RecoveryPlan, h []Held, _ map[types.UID]bool) (*v1alpha1.RecoveryPlan, []Held) {
			h[33].Raw = edit(h[33].Raw, `"monthly"`, `"weekly"`)
			return nil, h[30:35]
		}, Broken, 0, []string{Edited}, []string{Unproven, Unproven, Unproven, Unproven, Gone, Gone}},
	}
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

func repeat(s string, n int) []string { return slices.Repeat([]string{s}, n) }

func TestCheckChain(t *testing.T) {
	for name, test := range chainCases() {
		t.Run(name, func(t *testing.T) {
			plan, held, runs := chained(t, 40)
			if test.change != nil {
				plan, held = test.change(plan, held, runs)
			}
			if plan == nil {
				runs = nil
			}
			v := CheckChain(plan, held, runs)
			kinds := func(all []Problem) (out []string) {
				for _, p := range all {
					out = append(out, p.Kind)
				}
				return out
			}
			got := kinds(v.Problems)
			if v.State != test.state || v.Proven != test.proven || !slices.Equal(slices.Compact(got), slices.Compact(slices.Clone(test.kinds))) {
				t.Errorf("%s, %d proven, want %s and %d: %+v", v.State, v.Proven, test.state, test.proven, v.Problems)
			}
			if remarks := kinds(v.Remarks); !slices.Equal(remarks, test.remarks) {
				t.Errorf("remarks %v, want %v: %+v", remarks, test.remarks, v.Remarks)
			}
		})
	}
}

// TestEveryEditShows changes one byte after the other of a report in the middle.
func TestEveryEditShows(t *testing.T) {
	plan, held, runs := chained(t, 5)
	raw := held[2].Raw
	for i := range raw {
		changed := slices.Clone(raw)
		changed[i] ^= 1
		held[2].Raw = changed
		if v := CheckChain(plan, held, runs); v.State != Broken {
			t.Fatalf("byte %d, %q to %q, does not show", i, raw[i], changed[i])
		}
	}
}

func TestLinksAreBounded(t *testing.T) {
	plan, _, _ := chained(t, 50)
	if head := plan.Status.Reports; head.Sequence != 50 || len(head.Recent) != v1alpha1.MaxReportLinks || head.Recent[0].Run != "run-50" {
		t.Errorf("%d links, the head is %+v", len(head.Recent), head.Recent[0])
	}
}
