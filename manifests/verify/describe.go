package verify

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// pathOf a field as people write it.
func pathOf(path []string) string {
	var b strings.Builder
	for _, p := range path {
		switch {
		case strings.HasPrefix(p, "["):
			b.WriteString(p)
		case strings.ContainsAny(p, "./[]"):
			fmt.Fprintf(&b, "[%q]", p)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(p)
		}
	}
	return b.String()
}

// maxValue bounds a value in a finding, in bytes.
const maxValue = 120

// describe says where an object differs, for people. Values of secret objects are
// left out.
func describe(found []difference, secret bool) string {
	parts := make([]string, 0, len(found))
	for _, f := range found[:min(len(found), maxDifferences)] {
		parts = append(parts, f.describe(secret)+f.by())
	}
	text := strings.Join(parts, "; ")
	if len(found) >= maxDifferences {
		text += "; perhaps more"
	}
	return text
}

func (f difference) describe(secret bool) string {
	path := pathOf(f.path)
	switch {
	case secret && f.haveAbsent:
		return path + " is missing"
	case secret && f.wantAbsent:
		return path + " is not in the repository"
	case secret:
		return path + " differs (value not shown)"
	case f.haveAbsent:
		return fmt.Sprintf("%s: rendered %s, live nothing", path, short(f.want))
	case f.wantAbsent:
		return fmt.Sprintf("%s: rendered nothing, live %s", path, short(f.have))
	}
	return fmt.Sprintf("%s: rendered %s, live %s", path, short(f.want), short(f.have))
}

// by whom, where it is recorded.
func (f difference) by() string {
	switch {
	case f.manager == "":
		return ""
	case f.time.IsZero():
		return " (set by " + f.manager + ")"
	}
	return " (set by " + f.manager + " at " + f.time.UTC().Format(time.RFC3339) + ")"
}

// changes are the differences for programs.
func changes(found []difference, secret bool) []Change {
	out := make([]Change, 0, len(found))
	for _, f := range found {
		c := Change{Path: pathOf(f.path), Manager: f.manager, Time: f.time}
		if !secret && !f.wantAbsent {
			c.Rendered = short(f.want)
		}
		if !secret && !f.haveAbsent {
			c.Live = short(f.have)
		}
		out = append(out, c)
	}
	return out
}

func short(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "a value that cannot be shown"
	}
	if len(b) > maxValue {
		return strings.ToValidUTF8(string(b[:maxValue]), "") + "…"
	}
	return string(b)
}
