package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/refloat-dev/refloat/schedules/simulation"
	"github.com/refloat-dev/refloat/schedules/simulation/show"
)

type simulateOptions struct {
	file     string
	calendar string
	from     string
	days     int
	output   string
	plans    []string
	expected time.Duration
	down     []string
	skipped  bool
}

// maxDays of one simulation: ten years.
const maxDays = 3660

func newSimulateCommand(t terminal, a *access) *cobra.Command {
	o := &simulateOptions{}
	cmd := &cobra.Command{
		Use:   "simulate SCHEDULE | -f FILE",
		Short: "Show what a schedule will do",
		Long: `Show what a schedule will do: every teardown and rebuild, with daylight saving,
holidays, times that are missed and starts that are early to be ready in time.

It needs no cluster when the schedule is in a file. The file may hold several schedules,
plans for them to select, and the ConfigMap with their calendar.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.file != "") || len(args) > 1 {
				return usageError("%s needs the name of one schedule, or -f FILE", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var in *simulated
			var err error
			if o.file != "" {
				in, err = readSchedules(t, o)
			} else {
				in, err = fetchSchedule(cmd.Context(), t, a, args[0], o)
			}
			if err != nil {
				return err
			}
			return simulate(t, in, o, time.Now())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with the schedule; - for standard input")
	flags.StringVar(&o.calendar, "calendar", "", "file with the iCalendar of exceptions, instead of the one that the schedule names")
	flags.StringVar(&o.from, "from", "", "first day, as 2026-03-01, in the schedule's time zone, or an instant, as 2026-03-01T12:00:00Z (default: now)")
	flags.IntVar(&o.days, "days", 14, "how many days")
	flags.StringVarP(&o.output, "output", "o", "table", "table, json, ics or html")
	flags.StringArrayVar(&o.plans, "plan", nil, "name of a plan that the schedule selects, where the file has none; may be repeated")
	flags.DurationVar(&o.expected, "expected", 0, "how long a rebuild takes, instead of what was measured or is assumed")
	flags.StringArrayVar(&o.down, "controller-down", nil, "suppose that the controller is down, as FROM/UNTIL: 2026-03-06T17:00/2026-03-09T06:00; may be repeated")
	flags.BoolVar(&o.skipped, "skipped", false, "list the times that make no run too, with the reason")
	return cmd
}

// simulated is what a simulation is about.
type simulated struct {
	schedules []simulation.Schedule
	// zone of the first schedule: days are meant in it.
	zone *time.Location
}

func simulate(t terminal, in *simulated, o *simulateOptions, now time.Time) error {
	options, err := o.spans(in.zone, now)
	if err != nil {
		return err
	}
	if o.expected < 0 {
		return usageError("--expected %s: a rebuild takes some time", o.expected)
	}
	for i := range in.schedules {
		for j := range in.schedules[i].Plans {
			if o.expected > 0 {
				in.schedules[i].Plans[j].Pace.Expected = o.expected
			}
		}
	}
	result, err := simulation.Run(in.schedules, options)
	if err != nil {
		return usageError("%w", err)
	}
	if o.output == "json" || o.output == "ics" { // the others hold them
		for _, text := range show.Warnings(result) {
			say(t.Err, "warning: %s", text)
		}
	}
	switch o.output {
	case "table":
		return show.Table(t.Out, result, o.skipped)
	case "json":
		return show.JSON(t.Out, result, o.skipped)
	case "ics":
		return show.ICS(t.Out, result, now)
	case "html":
		return show.HTML(t.Out, result, "Schedule "+in.title())
	}
	return usageError("%q is none of table, json, ics, html", o.output)
}

func (in *simulated) title() string {
	var names []string
	for _, s := range in.schedules {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// spans of time that are meant, in the zone.
func (o *simulateOptions) spans(zone *time.Location, now time.Time) (simulation.Options, error) {
	out := simulation.Options{}
	if !slices.Contains([]string{"table", "json", "ics", "html"}, o.output) {
		return out, usageError("%q is none of table, json, ics, html", o.output)
	}
	if o.days < 1 || o.days > maxDays {
		return out, usageError("--days %d: between 1 and %d", o.days, maxDays)
	}
	from, err := instant(o.from, zone, now)
	if err != nil {
		return out, usageError("--from %w", err)
	}
	out.From, out.Until = from, from.AddDate(0, 0, o.days)
	for _, text := range o.down {
		begin, end, ok := strings.Cut(text, "/")
		if !ok {
			return out, usageError("--controller-down %q: write it as FROM/UNTIL", text)
		}
		var down simulation.Span
		if down.From, err = instant(begin, zone, now); err == nil {
			down.Until, err = instant(end, zone, now)
		}
		if err != nil {
			return out, usageError("--controller-down %w", err)
		}
		if !down.Until.After(down.From) {
			return out, usageError("--controller-down %q: its end is not after its start", text)
		}
		out.Outages = append(out.Outages, down)
	}
	slices.SortFunc(out.Outages, func(a, b simulation.Span) int { return a.From.Compare(b.From) })
	return out, nil
}

// instant that is written as a day, a local time or with an offset.
func instant(text string, zone *time.Location, now time.Time) (time.Time, error) {
	if text == "" {
		return now.In(zone).Truncate(time.Second), nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q: write it as 2026-03-01, 2026-03-01T12:00 or 2026-03-01T12:00:00Z", text)
	}
	return at.In(zone), nil
}
