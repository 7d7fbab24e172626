package calendar

import (
	"bytes"
	"fmt"
	"strings"

	ics "github.com/arran4/golang-ical"
)

// property is one content line of an event.
type property struct {
	name, value string
	params      map[string][]string
}

// param is the value of a parameter, or empty.
func (p property) param(name string) string {
	if values := p.params[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// component is the properties of one event that matter here.
type component struct {
	line       int
	properties []property
}

// Of all the properties of an event these matter; the others are not even read.
var wanted = map[string]bool{
	"UID": true, "SUMMARY": true, "DTSTART": true, "DTEND": true, "DURATION": true, "RRULE": true, "EXRULE": true,
	"RDATE": true, "EXDATE": true, "STATUS": true, "TRANSP": true, "RECURRENCE-ID": true,
}

// reader finds the events of a file. Nesting is followed here and not by the library,
// which would follow it as deep as the file likes, and could not say where a fault is.
type reader struct {
	open   []string
	begun  []int
	events []component
	seen   bool
}

func readEvents(data []byte) ([]component, error) {
	var r reader
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	for number := 1; len(data) > 0; {
		line, rest, lines := unfold(data)
		data = rest
		if len(line) > 0 {
			if err := r.read(number, line); err != nil {
				return nil, fmt.Errorf("calendar line %d %w", number, err)
			}
		}
		number += lines
	}
	if !r.seen {
		return nil, fmt.Errorf("calendar has no BEGIN:VCALENDAR; want an iCalendar (.ics) file")
	}
	if n := len(r.open); n > 0 {
		return nil, fmt.Errorf("calendar line %d begins %s, which never ends; the file is cut off", r.begun[n-1], r.open[n-1])
	}
	return r.events, nil
}

// unfold takes one content line off the data, which continues on lines that begin with a
// blank, and says how many lines that was.
func unfold(data []byte) (line string, rest []byte, lines int) {
	var whole []byte
	for {
		part, after, _ := bytes.Cut(data, []byte("\n"))
		whole = append(whole, bytes.TrimSuffix(part, []byte("\r"))...)
		lines++
		data = after
		if len(data) == 0 || data[0] != ' ' && data[0] != '\t' {
			return string(whole), data, lines
		}
		data = data[1:]
	}
}

func (r *reader) read(number int, line string) error {
	end := strings.IndexAny(line, ":;")
	if end < 0 || !isName(line[:end]) {
		return fmt.Errorf("is %s; want NAME:value", quote(line))
	}
	name := strings.ToUpper(line[:end])
	switch value := strings.ToUpper(strings.TrimSpace(line[end+1:])); {
	case name == "BEGIN":
		return r.begin(number, value)
	case name == "END":
		return r.end(value)
	case len(r.open) == 0:
		return fmt.Errorf("is %s outside of BEGIN:VCALENDAR and END:VCALENDAR", quote(line))
	}
	if !r.inEvent() || !wanted[name] {
		return nil
	}
	if len(line) > maxLine {
		return fmt.Errorf("is a %s of %d bytes; at most %d are read", name, len(line), maxLine)
	}
	p, err := parseProperty(name + line[end:])
	if err != nil {
		return err
	}
	p.name = name
	e := &r.events[len(r.events)-1]
	e.properties = append(e.properties, p)
	return nil
}

// isName says whether a text may name a property or a component.
func isName(text string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	return text != "" && len(text) <= maxName && strings.Trim(strings.ToUpper(text), letters) == ""
}

func (r *reader) inEvent() bool { return len(r.open) == 2 && r.open[1] == "VEVENT" }

func (r *reader) begin(number int, name string) error {
	switch {
	case (len(r.open) == 0) != (name == "VCALENDAR"):
		return fmt.Errorf("begins %s; only VCALENDAR stands at the top, and only there", quote(name))
	case !isName(name):
		return fmt.Errorf("begins %s, which is not the name of a component", quote(name))
	case len(r.open) >= maxDepth:
		return fmt.Errorf("begins the %dth component within another; at most %d are read", len(r.open)+1, maxDepth)
	}
	r.seen = true
	r.open, r.begun = append(r.open, name), append(r.begun, number)
	if r.inEvent() {
		if len(r.events) == maxEvents {
			return fmt.Errorf("begins event %d; at most %d are read", maxEvents+1, maxEvents)
		}
		r.events = append(r.events, component{line: number})
	}
	return nil
}

func (r *reader) end(name string) error {
	last := len(r.open) - 1
	if last < 0 || r.open[last] != name {
		return fmt.Errorf("ends %s, which is not what is open", quote(name))
	}
	r.open, r.begun = r.open[:last], r.begun[:last]
	return nil
}

// parseProperty lets the library read a content line.
func parseProperty(line string) (p property, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = property{}, fmt.Errorf("is %s, which cannot be read: %s", quote(line), quote(fmt.Sprint(r)))
		}
	}()
	base, err := ics.ParseProperty(ics.ContentLine(line))
	if err != nil {
		return property{}, fmt.Errorf("is %s, which cannot be read: %s", quote(line), quote(err.Error()))
	}
	if base == nil {
		return property{}, fmt.Errorf("is %s; want NAME:value", quote(line))
	}
	p = property{value: base.Value, params: map[string][]string{}}
	for name, values := range base.ICalParameters {
		p.params[strings.ToUpper(name)] = values
	}
	return p, nil
}
