// Package text prints findings for people, in plain lines that editors can jump from.
package text

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
)

// Write the findings and a summary.
func Write(w io.Writer, r *lint.Report) error {
	b := bufio.NewWriter(w)
	for _, f := range r.Findings {
		finding(b, f)
	}
	fmt.Fprintln(b, Summary(r))
	return b.Flush()
}

func finding(w io.Writer, f lint.Finding) {
	at := f.Origin.String()
	if at == "" {
		at = "-"
	}
	head := fmt.Sprintf("%s: %s %s", at, f.Severity, f.Rule)
	if (f.Object != manifests.ID{}) {
		head += ": " + f.Object.String()
	}
	if n := len(f.Also); n > 0 {
		head += fmt.Sprintf(" and %d more", n)
	}
	fmt.Fprintln(w, printable(head))
	fmt.Fprintf(w, "  what  %s\n  why   %s\n  fix   %s\n\n", printable(sentence(f.Message)), f.Why, printable(f.Fix))
}

// sentence gives a message its capital and full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// printable keeps what a repository wrote from moving a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// Summary counts the findings.
func Summary(r *lint.Report) string {
	s := fmt.Sprintf("%s: %s, %s, %s", count(r.Objects, "object"),
		count(r.Count(lint.Error), "error"), count(r.Count(lint.Warning), "warning"), count(r.Count(lint.Note), "note"))
	if n := len(r.Ignored); n > 0 {
		s += fmt.Sprintf(", %d ignored by annotation", n)
	}
	return s
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Rules prints the table of rules.
func Rules(w io.Writer, rules []lint.Rule) error {
	b := bufio.NewWriter(w)
	for _, r := range rules {
		fmt.Fprintf(b, "%-28s %-8s %s\n", r.ID, r.Severity, r.Title)
	}
	return b.Flush()
}
