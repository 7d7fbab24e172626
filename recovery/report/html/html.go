// Package html renders a report, or the trend of a plan's reports, as one file for a
// browser: no script, no image, no font, nothing that is loaded. Names and messages come from
// repositories and clusters that people may not trust; the template escapes all of them.
package html

import (
	"bytes"
	_ "embed" // the template and the style sheet
	"fmt"
	"html/template"
	"io"

	"github.com/refloat-dev/refloat/recovery/report"
)

//go:embed page.tmpl
var pageText string

//go:embed page.css
var style string

var page = template.Must(template.New("page").Parse(pageText))

const (
	// MaxBytes of a page.
	MaxBytes = 5_000_000
	// firstBudget is how many bytes the rows of objects may take at first; each attempt that
	// comes out too large halves it.
	firstBudget = 3_200_000
	leastBudget = 10_000
)

// Write a report as a page. digest is that of its canonical JSON form, empty when nobody
// knows it.
func Write(w io.Writer, r *report.Report, digest string) error {
	for budget := firstBudget; budget >= leastBudget; budget /= 2 {
		var b bytes.Buffer
		if err := page.ExecuteTemplate(&b, "run", viewOf(r, digest, budget)); err != nil {
			return fmt.Errorf("render the report of run %s as HTML: %w", r.Run, err)
		}
		if b.Len() <= MaxBytes {
			return write(w, b.Bytes())
		}
	}
	return fmt.Errorf("the report of run %s does not fit into %d bytes of HTML; take its JSON form", r.Run, MaxBytes)
}

// WriteTrend writes the recovery times of a plan as a page.
func WriteTrend(w io.Writer, t *report.Trend) error {
	name := t.Plan
	if t.Namespace != "" {
		name = t.Namespace + "/" + t.Plan
	}
	var b bytes.Buffer
	err := page.ExecuteTemplate(&b, "plan", struct {
		Title, Plan string
		Style       template.CSS
		Trend       *trendView
	}{"Recovery times of plan " + name, name, sheet(), trendOf(t)})
	if err != nil {
		return fmt.Errorf("render the trend of plan %s as HTML: %w", name, err)
	}
	return write(w, b.Bytes())
}

// sheet is this package's own and needs no escaping.
func sheet() template.CSS { return template.CSS(style) }

func write(w io.Writer, content []byte) error {
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
