package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// terminal is where a command reads and writes: data to Out, words for people to Err.
type terminal struct {
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
	Getenv func(string) string
}

// interactive says whether a person can answer a question.
func (t terminal) interactive() bool {
	in, ok := t.In.(*os.File)
	return ok && term.IsTerminal(int(in.Fd())) && smart(t.Err, t.Getenv)
}

// smart says whether w understands carriage returns: a terminal, not dumb, not CI.
func smart(w io.Writer, getenv func(string) string) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) &&
		getenv("TERM") != "dumb" && getenv("NO_COLOR") == "" && getenv("CI") == ""
}
