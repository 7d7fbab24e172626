package health

import (
	"math"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// reach are functions that reach out of the script, or make code of text.
var reach = map[string][]string{
	"": {"dofile", "load", "loadfile", "loadstring", "module", "require", "print", "collectgarbage",
		"newproxy", "getfenv", "setfenv", "_printregs"},
	"string": {"dump"},
	"math":   {"random", "randomseed"},
}

// furnish opens the libraries that only compute, and puts a meter on what makes text
// or searches it: one call of these can take as much as it likes.
func (m *meter) furnish(l *lua.LState) {
	call(l, lua.OpenBase, lua.BaseLibName)
	call(l, lua.OpenTable, lua.TabLibName)
	call(l, lua.OpenString, lua.StringLibName)
	call(l, lua.OpenMath, lua.MathLibName)
	for library, names := range reach {
		for _, name := range names {
			if library == "" {
				l.SetGlobal(name, lua.LNil)
			} else if t, ok := l.GetGlobal(library).(*lua.LTable); ok {
				t.RawSetString(name, lua.LNil)
			}
		}
	}
	l.SetGlobal(concatenation, l.NewFunction(m.concat))
	text, _ := l.GetGlobal(lua.StringLibName).(*lua.LTable)
	for _, name := range []string{"lower", "upper", "reverse", "sub"} {
		before(l, text, name, func(l *lua.LState) { m.write(l, len(l.CheckString(1))) })
	}
	before(l, text, "rep", func(l *lua.LState) {
		m.write(l, product(len(l.CheckString(1)), max(l.CheckInt(2), 0)))
	})
	before(l, text, "format", m.format)
	for _, name := range []string{"find", "match", "gmatch", "gfind"} {
		before(l, text, name, func(l *lua.LState) {
			if plain := name == "find" && l.ToBool(4); !plain {
				m.search(l)
			}
		})
	}
	before(l, text, "gsub", func(l *lua.LState) {
		m.search(l)
		m.write(l, product(len(l.CheckString(1))+1, len(l.CheckString(3))+1))
	})
	lists, _ := l.GetGlobal(lua.TabLibName).(*lua.LTable)
	before(l, lists, "concat", m.joined)
}

func call(l *lua.LState, f lua.LGFunction, argument string) {
	l.Push(l.NewFunction(f))
	l.Push(lua.LString(argument))
	l.Call(1, 0)
}

// before puts a check in front of a function of a library.
func before(l *lua.LState, library *lua.LTable, name string, check func(*lua.LState)) {
	f, ok := library.RawGetString(name).(*lua.LFunction)
	if !ok || !f.IsG {
		return
	}
	captured := make([]lua.LValue, len(f.Upvalues))
	for i, v := range f.Upvalues {
		captured[i] = v.Value()
	}
	library.RawSetString(name, l.NewClosure(func(l *lua.LState) int {
		check(l)
		return f.GFunction(l)
	}, captured...))
}

func product(a, b int) int {
	if a != 0 && b > math.MaxInt32/a {
		return math.MaxInt32
	}
	return a * b
}

// concat is what the operator .. is rewritten to.
func (m *meter) concat(l *lua.LState) int {
	left, right := l.Get(1), l.Get(2)
	for _, v := range []lua.LValue{left, right} {
		if !lua.LVCanConvToString(v) {
			l.RaiseError("attempt to concatenate a %s value", v.Type().String())
		}
	}
	a, b := lua.LVAsString(left), lua.LVAsString(right)
	m.write(l, len(a)+len(b))
	l.Push(lua.LString(a + b))
	return 1
}

func (m *meter) joined(l *lua.LState) {
	list, separator := l.CheckTable(1), len(l.OptString(2, ""))
	for i := 1; i <= list.Len(); i++ {
		m.write(l, len(lua.LVAsString(list.RawGetInt(i)))+separator)
	}
}

var wide = regexp.MustCompile(`%[-+ #0]*[0-9]{3,}|%[-+ #0]*[0-9]*\.[0-9]{3,}`)

func (m *meter) format(l *lua.LState) {
	pattern := l.CheckString(1)
	if wide.MatchString(pattern) {
		l.RaiseError("a width of more than 99 is not supported")
	}
	size := 100 * len(pattern)
	for i := 2; i <= l.GetTop(); i++ {
		size += len(lua.LVAsString(l.Get(i)))
	}
	m.write(l, size)
}

// search refuses patterns that may try very many ways: with each repetition the number
// of ways grows by the length of the text, and nothing can interrupt the search.
func (m *meter) search(l *lua.LState) {
	const ways = 1e7
	text, pattern := l.CheckString(1), l.CheckString(2)
	repetitions := 0
	for _, c := range []string{"*", "+", "-", "?"} {
		repetitions += strings.Count(pattern, c)
	}
	if len(text)+len(pattern) > maxText || repetitions > 0 && math.Pow(float64(len(text)+2), float64(repetitions+1)) > ways {
		l.RaiseError("the pattern is too costly for a text of this length")
	}
	m.write(l, len(text))
}
