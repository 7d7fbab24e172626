package argocd

import (
	"math"
	"reflect"
	"strings"

	"github.com/spf13/cast"
)

// tooMuch is an estimate that is always refused.
const tooMuch = math.MaxInt32

// costs estimate, before the call, how much a function makes. Only those functions are
// here whose result can be far larger than what they are given, or that take far longer.
var costs = map[string]func([]any) int{
	"until":     func(a []any) int { return times(8, number(a, 0)) },
	"untilStep": func(a []any) int { return times(8, span(a)) },
	"seq":       seqCost,
	"repeat":    func(a []any) int { return times(number(a, 0), 1+length(a, 1)) },
	"indent":    indentCost,
	"nindent":   indentCost,
	"replace":   func(a []any) int { return times(1+count(a, 2, text(a, 0)), 1+length(a, 1)) + length(a, 2) },
	"join":      func(a []any) int { return times(1+elements(a, 1), 1+length(a, 0)) },
	"wrap":      func(a []any) int { return times(2, length(a, 1)) },
	"wrapWith":  func(a []any) int { return times(1+length(a, 2), 1+length(a, 1)) },
	"printf":    printfCost,

	"uniq": quadratic, "mustUniq": quadratic, "without": quadratic, "mustWithout": quadratic,

	"regexMatch": regexCost, "mustRegexMatch": regexCost, "regexFind": regexCost, "mustRegexFind": regexCost,
	"regexFindAll": regexCost, "mustRegexFindAll": regexCost, "regexSplit": regexCost, "mustRegexSplit": regexCost,
	"regexReplaceAll": regexReplaceCost, "mustRegexReplaceAll": regexReplaceCost,
	"regexReplaceAllLiteral": regexReplaceCost, "mustRegexReplaceAllLiteral": regexReplaceCost,
}

func number(args []any, i int) int {
	if i >= len(args) {
		return 0
	}
	n := cast.ToInt64(args[i])
	return int(max(min(n, tooMuch), -tooMuch))
}

func text(args []any, i int) string {
	if i >= len(args) {
		return ""
	}
	s, _ := args[i].(string)
	return s
}

func length(args []any, i int) int { return len(text(args, i)) }

func count(args []any, i int, part string) int { return strings.Count(text(args, i), part) }

func elements(args []any, i int) int {
	if i >= len(args) {
		return 0
	}
	v := reflect.ValueOf(args[i])
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return 1
	}
	return v.Len()
}

// times multiplies without overflow; what is negative makes nothing, or fails by itself.
func times(a, b int) int {
	if a <= 0 || b <= 0 {
		return 0
	}
	if a > tooMuch/b {
		return tooMuch
	}
	return a * b
}

// span is how many numbers lie from start to stop.
func span(args []any) int {
	start, stop, step := number(args, 0), number(args, 1), number(args, 2)
	if step == 0 {
		return tooMuch
	}
	return max(0, (stop-start)/step+1)
}

// seqCost: one number counts from 1, two from the first, three with a step between.
func seqCost(args []any) int {
	switch len(args) {
	case 1:
		return times(12, 1+max(number(args, 0), -number(args, 0)))
	case 2:
		return times(12, 1+max(number(args, 1)-number(args, 0), number(args, 0)-number(args, 1)))
	case 3:
		return times(12, span([]any{args[0], args[2], args[1]}))
	}
	return 0
}

func indentCost(args []any) int {
	if number(args, 0) < 0 {
		return tooMuch
	}
	return times(2+count(args, 1, "\n"), 1+number(args, 0)) + length(args, 1)
}

// printfCost: widths can ask for a million blanks each, and one argument can be printed
// many times.
func printfCost(args []any) int {
	format := text(args, 0)
	digits := 0
	for _, c := range format {
		if c == '*' {
			return tooMuch
		}
		if c < '0' || c > '9' {
			digits = 0
			continue
		}
		if digits++; digits > 3 {
			return tooMuch
		}
	}
	longest := 1000
	for _, a := range args[min(1, len(args)):] {
		n, err := sizeOf(a, tooMuch)
		if err != nil {
			return tooMuch
		}
		longest = max(longest, n)
	}
	return times(strings.Count(format, "%"), longest) + len(format)
}

// quadratic functions compare each element with each other one.
func quadratic(args []any) int {
	const most = 1000
	for i := range args {
		if elements(args, i) > most || len(args) > most {
			return tooMuch
		}
	}
	return 0
}

// regexCost: time is the product of pattern and text.
func regexCost(args []any) int {
	const mostPattern, mostText = 500, 64 << 10
	if length(args, 0) > mostPattern || length(args, 1) > mostText {
		return tooMuch
	}
	return 0
}

func regexReplaceCost(args []any) int {
	if regexCost(args) > 0 {
		return tooMuch
	}
	each := 1 + length(args, 2) + times(count(args, 2, "$"), length(args, 1))
	return times(1+length(args, 1), each)
}
