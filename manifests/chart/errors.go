package chart

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrLimit is wrapped when a chart, an index or a rendering is larger than Limits allow.
var ErrLimit = errors.New("limit exceeded")

// noun is what people call a place that is read; "" for one with charts.
type noun string

// artifacts is a place with artifacts that are no charts.
const artifacts noun = "registry"

func (n noun) String() string {
	if n == "" {
		return "chart repository"
	}
	return string(n)
}

// InvalidError says that what was asked for, or a chart itself, cannot be right.
// Trying again does not help.
type InvalidError struct{ Message string }

func (e *InvalidError) Error() string { return e.Message }

// UnreachableError says that a repository could not be asked. Later it may answer.
type UnreachableError struct {
	Repository string
	Reason     string

	what noun
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s %s cannot be read: %s; check the address and the network, or read it elsewhere: chartMirrors of the plan, or --chart-mirror", e.what, e.Repository, e.Reason)
}

// DeniedError says that a repository wants other credentials than it was given.
type DeniedError struct {
	Repository string
	Status     string
	// Given is true when credentials were sent.
	Given bool

	what noun
}

func (e *DeniedError) Error() string {
	next := "it wants credentials: add them as a seed"
	if e.Given {
		next = "check the credentials"
	}
	return fmt.Sprintf("%s %s answered %s: %s", e.what, e.Repository, e.Status, next)
}

// NotFoundError says that a repository was asked and does not have the chart, or not
// in such a version.
type NotFoundError struct {
	Repository, Name, Version string
	// Near are names, or versions when the name is there, that come close.
	Near []string
	// Prerelease is true when only prereleases would do.
	Prerelease bool

	what noun
}

func (e *NotFoundError) Error() string {
	what := fmt.Sprintf("no chart %s", e.Name)
	switch {
	case e.what == artifacts && e.Version == "":
		what = "nothing at this address, or nothing that the credentials may see"
	case e.what == artifacts:
		what = fmt.Sprintf("no artifact %q", e.Version)
	case e.Version != "":
		what = fmt.Sprintf("no version of chart %s that satisfies %q", e.Name, e.Version)
	}
	next := "check its name and version"
	if e.what == artifacts {
		next = "check the address and the reference"
	}
	switch {
	case e.Prerelease:
		next = fmt.Sprintf("only prereleases come close (%s): a range takes them when it ends in -0", strings.Join(e.Near, ", "))
	case len(e.Near) > 0:
		next = "there is " + strings.Join(e.Near, ", ")
	}
	return fmt.Sprintf("%s %s has %s: %s", e.what, e.Repository, what, next)
}

// DigestError says that bytes are not those that were pinned or announced.
type DigestError struct {
	Repository, Name, Version string
	Want, Got                 string
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("chart %s %s of %s has the digest %s, not %s: it was replaced under the same version or damaged on its way; "+
		"pin it anew if the change is wanted", e.Name, e.Version, e.Repository, e.Got, e.Want)
}

// TemplateError says where in a chart rendering failed.
type TemplateError struct {
	Chart   string
	File    string
	Line    int // of the template, from 1; 0 when not known
	Message string

	cause error
}

// Unwrap gives ErrLimit or the cause of a context when the rendering was ended.
func (e *TemplateError) Unwrap() error { return e.cause }

func (e *TemplateError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s: %s%s", e.Chart, where, e.Message)
}

// ValuesError lists what a chart's schema does not allow in the values.
type ValuesError struct {
	Chart  string
	Faults []string
}

func (e *ValuesError) Error() string {
	return fmt.Sprintf("%s does not accept the values: %s", e.Chart, strings.Join(e.Faults, "; "))
}

// secrets are strings that never leave in a message.
type secrets []string

// hide remembers what must not be printed. Very short strings are left alone:
// replacing them would garble a message and protect nothing.
func (s *secrets) hide(values ...string) {
	for _, v := range values {
		if len(v) >= 3 {
			*s = append(*s, v)
		}
	}
}

// clean takes secrets, in every form that a URL gives them, and control characters out of a text.
func (s secrets) clean(text string) string {
	for _, secret := range s {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return printable(text)
}

// printable keeps what a stranger wrote from moving a terminal's cursor or filling a log.
func printable(s string) string {
	const longest = 1000
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) {
			return ' '
		}
		return c
	}, s)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + " …"
	}
	return s
}
