package loss

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// WriteText writes the preview for people: what is lost first.
func (p *Preview) WriteText(b *bytes.Buffer) {
	for _, i := range p.Lost {
		word := map[What]string{Object: "lost", Fields: "changed", Data: "data"}[i.What]
		if i.Excuse != "" {
			word = "excused"
		}
		fmt.Fprintf(b, "%-8s  %s", word, i.ID)
		if i.Origin != "" {
			b.WriteString("  (" + i.Origin + ")")
		}
		b.WriteString(": " + i.Reason + i.By.text() + i.Volume.text() + "\n")
		for _, f := range i.Fields {
			b.WriteString("            " + f.text() + "\n")
		}
		if i.Excuse != "" {
			b.WriteString("            " + i.Excuse + "\n")
		}
	}
	for _, i := range p.Volumes {
		fmt.Fprintf(b, "%-8s  the data of %s: %s%s\n", strings.ToLower(string(i.Class)), i.ID, i.Reason, i.Volume.text())
	}
	if p.LeftOut > 0 {
		fmt.Fprintf(b, "and %d more, which are left out\n", p.LeftOut)
	}
	for _, g := range p.Groups {
		if g.Class != Lost {
			fmt.Fprintf(b, "%-8s  %d: %s, for example %s\n", strings.ToLower(string(g.Class)), g.Count, g.Reason, g.Example)
		}
	}
	for _, note := range p.Notes {
		b.WriteString("note: " + note + "\n")
	}
}

func (w Writer) text() string {
	if w.Manager == "" {
		return ""
	}
	s := "; last written by " + w.Manager
	if w.Person {
		s = "; last written by a person with " + w.Manager
	}
	if w.Time != nil {
		s += " at " + w.Time.Format(time.RFC3339)
	}
	return s
}

func (f Field) text() string {
	s := f.Path
	switch {
	case f.InGit != "" && f.Live != "":
		s += fmt.Sprintf(": in Git %s, live %s", f.InGit, f.Live)
	case f.Live != "":
		s += ": live " + f.Live
	}
	return s + strings.Replace(f.By.text(), "; last written", ", set", 1)
}

func (v *Volume) text() string {
	if v == nil {
		return ""
	}
	parts := []string{}
	for _, p := range []string{v.Name, v.Size, v.Class, v.Reclaim, v.Driver, v.Handle} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return " [" + strings.Join(parts, ", ") + "]"
}
