package chart

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

const (
	// mostItems is the longest list that a function makes at once.
	mostItems = 1 << 20
	// mostText is the longest text that a function makes at once.
	mostText = 16 << 20
)

// functions replaces those of the engine's functions that know a cluster, a network or
// a clock, and those that a few characters are enough to make huge or endless.
func (g *guard) functions(said *observations, now func() time.Time) template.FuncMap {
	all := sprig.TxtFuncMap()
	funcs := template.FuncMap{
		tick: g.tick,
		"lookup": func(apiVersion, kind, namespace, name string) (map[string]any, error) {
			said.lookup(apiVersion, kind, namespace, name)
			return map[string]any{}, nil
		},
		"getHostByName": func(string) string {
			said.names = true
			return ""
		},
		"now": now,
	}
	g.sized(funcs, all)
	g.acyclic(funcs, all)
	return funcs
}

// sized bounds what functions make by what they are asked for.
func (g *guard) sized(funcs, all template.FuncMap) {
	until := all["until"].(func(int) []int)
	funcs["until"] = func(n int) ([]int, error) {
		if err := g.count("until", steps(0, n, direction(0, n)), mostItems); err != nil {
			return nil, err
		}
		return until(n), nil
	}
	untilStep := all["untilStep"].(func(int, int, int) []int)
	funcs["untilStep"] = func(start, stop, step int) ([]int, error) {
		if err := g.count("untilStep", steps(start, stop, step), mostItems); err != nil {
			return nil, err
		}
		return untilStep(start, stop, step), nil
	}
	seq := all["seq"].(func(...int) string)
	funcs["seq"] = func(params ...int) (string, error) {
		if err := g.count("seq", seqSteps(params), mostItems); err != nil {
			return "", err
		}
		return seq(params...), nil
	}
	funcs["repeat"] = func(n int, text string) (string, error) {
		if n < 0 {
			return "", errors.New("repeat: a count cannot be negative")
		}
		if err := g.count("repeat", product(int64(n), int64(len(text))), mostText); err != nil {
			return "", err
		}
		return strings.Repeat(text, n), nil
	}
	for _, name := range []string{"indent", "nindent"} {
		plain := all[name].(func(int, string) string)
		funcs[name] = func(n int, text string) (string, error) {
			if n < 0 {
				return "", fmt.Errorf("%s: a count cannot be negative", name)
			}
			if err := g.count(name, product(int64(n), int64(1+strings.Count(text, "\n"))), mostText); err != nil {
				return "", err
			}
			return plain(n, text), nil
		}
	}
	for _, name := range []string{"randAlphaNum", "randAlpha", "randAscii", "randNumeric"} {
		plain := all[name].(func(int) string)
		funcs[name] = func(n int) (string, error) {
			if err := g.count(name, int64(n), mostText); err != nil || n < 0 {
				return "", err
			}
			return plain(n), nil
		}
	}
	randBytes := all["randBytes"].(func(int) (string, error))
	funcs["randBytes"] = func(n int) (string, error) {
		if err := g.count("randBytes", int64(n), mostText); err != nil || n < 0 {
			return "", err
		}
		return randBytes(n)
	}
}

func steps(start, stop, step int) int64 {
	if step == 0 || (stop > start) != (step > 0) {
		return 0
	}
	distance := float64(stop) - float64(start)
	return int64(min(distance/float64(step), 1<<62))
}

func seqSteps(params []int) int64 {
	switch len(params) {
	case 1:
		return steps(1, params[0], direction(1, params[0]))
	case 2:
		return steps(params[0], params[1], direction(params[0], params[1]))
	case 3:
		return steps(params[0], params[2], params[1])
	}
	return 0
}

func direction(from, to int) int {
	if to < from {
		return -1
	}
	return 1
}

func product(a, b int64) int64 {
	if a > 0 && b > (1<<62)/a {
		return 1 << 62
	}
	return a * b
}

// acyclic keeps a template from putting a dictionary into itself: whatever prints it
// would recurse until the process ends.
func (g *guard) acyclic(funcs, all template.FuncMap) {
	funcs["set"] = func(into map[string]any, key string, value any) (map[string]any, error) {
		if into == nil {
			return nil, errors.New("set: there is no dictionary to set it in")
		}
		if holds(value, reflect.ValueOf(into).Pointer()) {
			return nil, fmt.Errorf("set: the dictionary would hold itself under %q", printable(key))
		}
		into[key] = value
		return into, nil
	}
	for _, name := range []string{"merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite"} {
		plain := reflect.ValueOf(all[name])
		funcs[name] = func(into map[string]any, from ...map[string]any) (any, error) {
			self := reflect.ValueOf(into).Pointer()
			if into != nil && slices.ContainsFunc(from, func(m map[string]any) bool {
				return reflect.ValueOf(m).Pointer() != self && holds(m, self)
			}) {
				return nil, fmt.Errorf("%s: the dictionary would hold itself", name)
			}
			args := []reflect.Value{reflect.ValueOf(into)}
			for _, m := range from {
				args = append(args, reflect.ValueOf(m))
			}
			out := plain.Call(args)
			if len(out) == 2 && !out[1].IsNil() {
				return nil, out[1].Interface().(error)
			}
			return out[0].Interface(), nil
		}
	}
}

// mostSearch is how deep values are looked into: deeper ones come from no file.
const mostSearch = 1000

// holds is true when a map is somewhere in a value, or the value is too deep to tell.
func holds(value any, self uintptr) bool {
	return search{self: self, seen: map[uintptr]bool{}}.in(value, 0)
}

type search struct {
	self uintptr
	seen map[uintptr]bool
}

func (s search) in(value any, depth int) bool {
	if depth > mostSearch {
		return true
	}
	switch v := value.(type) {
	case nil, string, bool, float64, int, int64:
		return false
	case []any:
		return slices.ContainsFunc(v, func(element any) bool { return s.in(element, depth+1) })
	}
	r := reflect.ValueOf(value)
	if r.Kind() != reflect.Map || s.seen[r.Pointer()] {
		return false
	}
	if s.seen[r.Pointer()] = true; r.Pointer() == s.self {
		return true
	}
	for entry := r.MapRange(); entry.Next(); {
		if element := entry.Value(); element.CanInterface() && s.in(element.Interface(), depth+1) {
			return true
		}
	}
	return false
}

// observations are what a chart asked for and could not get.
type observations struct {
	lookups map[string]bool
	names   bool
}

func (o *observations) lookup(apiVersion, kind, namespace, name string) {
	what := strings.Trim(strings.TrimSpace(apiVersion+" "+kind), " ")
	switch {
	case name != "" && namespace != "":
		what += " " + namespace + "/" + name
	case name != "":
		what += " " + name
	case namespace != "":
		what += " in " + namespace
	}
	if o.lookups == nil {
		o.lookups = map[string]bool{}
	}
	const most = 100
	if len(o.lookups) < most {
		o.lookups[printable(what)] = true
	}
}

func (o *observations) warnings(chart string) []string {
	var all []string
	for what := range o.lookups {
		all = append(all, fmt.Sprintf("%s looks up %s on the cluster: on a fresh cluster there is none, and what it makes of one that is there is not rendered", chart, what))
	}
	if o.names {
		all = append(all, chart+" asks for the address of a host name: it gets none, as from Helm by default")
	}
	slices.Sort(all)
	return all
}
