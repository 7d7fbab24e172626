package show

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/refloat-dev/refloat/schedules/simulation"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// maxPerDay lines are shown of one day; the others are counted.
const maxPerDay = 12

type month struct {
	Name  string
	Weeks [][]day
}

type day struct {
	// Number in its month; 0 for a cell before the first or after the last day.
	Number  int
	Weekend bool
	Lines   []line
	More    int
}

type line struct {
	Time, Plan, Kind, Reason string
}

// HTML is a page with a calendar of months. It refers to nothing outside of itself.
func HTML(w io.Writer, r *simulation.Result, title string) error {
	return page.Execute(w, struct {
		Title, Summary string
		Months         []month
	}{title, Summary(r), months(r)})
}

func months(r *simulation.Result) []month {
	byDay := map[string][]simulation.Transition{}
	for _, t := range r.Transitions {
		key := t.Time.Format("2006-01-02")
		byDay[key] = append(byDay[key], t)
	}
	var all []month
	last := r.Until.Add(-1)
	for first := time.Date(r.From.Year(), r.From.Month(), 1, 12, 0, 0, 0, time.UTC); first.Before(last) || first.Format("2006-01") == last.Format("2006-01"); first = first.AddDate(0, 1, 0) {
		all = append(all, monthOf(first, byDay))
	}
	return all
}

// monthOf lays the days out in weeks that begin on Monday.
func monthOf(first time.Time, byDay map[string][]simulation.Transition) month {
	m := month{Name: first.Format("January 2006")}
	week := make([]day, (int(first.Weekday())+6)%7)
	for at := first; at.Month() == first.Month(); at = at.AddDate(0, 0, 1) {
		week = append(week, dayOf(at, byDay[at.Format("2006-01-02")]))
		if len(week) == 7 {
			m.Weeks, week = append(m.Weeks, week), nil
		}
	}
	if len(week) > 0 {
		m.Weeks = append(m.Weeks, append(week, make([]day, 7-len(week))...))
	}
	return m
}

func dayOf(at time.Time, transitions []simulation.Transition) day {
	d := day{Number: at.Day(), Weekend: at.Weekday() == time.Saturday || at.Weekday() == time.Sunday}
	for i, t := range transitions {
		if i == maxPerDay {
			d.More = len(transitions) - i
			break
		}
		l := line{Time: t.Time.Format("15:04"), Plan: t.Plan, Kind: string(t.Operation), Reason: t.Reason}
		if t.Skipped != "" {
			l.Kind, l.Reason = "Skipped", t.Skipped
		}
		if t.Wait > 0 {
			l.Reason += fmt.Sprintf("; waits %s in the queue", seconds(t.Wait))
		}
		d.Lines = append(d.Lines, l)
	}
	return d
}
