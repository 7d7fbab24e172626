package cron

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field is what one of the five may hold.
type field struct {
	name             string
	low, high, steps int
	// names stand for the numbers from low on.
	names []string
}

var fields = [5]field{
	{name: "minute", low: 0, high: 59, steps: 60},
	{name: "hour", low: 0, high: 23, steps: 24},
	{name: "day-of-month", low: 1, high: 31, steps: 31},
	{name: "month", low: 1, high: 12, steps: 12,
		names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "day-of-week", low: 0, high: 7, steps: 7,
		names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

const (
	weekday = 4
	sunday  = 7
)

// span is one item of a list.
type span struct {
	star            bool
	low, high, step int
}

// check says what is wrong with one item of the field's list.
func (f field) check(item string) error {
	_, err := f.span(item)
	return err
}

func (f field) span(item string) (span, error) {
	if item == "" {
		return span{}, fmt.Errorf("has an empty item in the list of its %s", f.name)
	}
	values, step, stepped := strings.Cut(item, "/")
	s := span{step: 1}
	if stepped {
		n, ok := number(step)
		if !ok || n < 1 || n > f.steps {
			return span{}, fmt.Errorf("has the %s step %s; want a number of 1-%d", f.name, quote(step), f.steps)
		}
		s.step = n
	}
	if values == "*" || values == "?" {
		s.star = true
		return s, nil
	}
	low, high, ranged := strings.Cut(values, "-")
	var err error
	if s.low, err = f.value(low, item); err != nil {
		return span{}, err
	}
	s.high = s.low
	switch {
	case ranged:
		if s.high, err = f.value(high, item); err != nil {
			return span{}, err
		}
		// fri-sun ends on a Sunday; its number as an end is 7.
		if f.high == sunday && strings.EqualFold(high, "sun") && s.low > 0 {
			s.high = sunday
		}
	case stepped:
		// From the value to the last one; 7 is a second name of the first day of a week.
		s.high = max(s.low, f.low+f.steps-1)
	}
	if s.low > s.high {
		return span{}, fmt.Errorf("has the %s range %s, which runs backwards; write two ranges", f.name, values)
	}
	return s, nil
}

// value reads one value of an item, which the error names.
func (f field) value(text, item string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.low + i, nil
	}
	n, ok := number(text)
	if ok && n >= f.low && n <= f.high {
		return n, nil
	}
	if len(f.names) > 0 {
		return 0, fmt.Errorf("has the %s %s; want %d-%d or %s-%s", f.name, quote(item), f.low, f.high, f.names[0], f.names[len(f.names)-1])
	}
	return 0, fmt.Errorf("has the %s %s; want %d-%d", f.name, quote(item), f.low, f.high)
}

// number reads one or two digits; no field has more.
func number(text string) (int, bool) {
	if len(text) < 1 || len(text) > 2 {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	return n, true
}

// plainWeekdays writes the days of the week as the library knows them: it has no 7.
// The list has been checked.
func plainWeekdays(list string) string {
	var days []string
	for _, item := range strings.Split(list, ",") {
		s, err := fields[weekday].span(item)
		if err != nil || s.star {
			days = append(days, item)
			continue
		}
		for day := s.low; day <= s.high; day += s.step {
			days = append(days, strconv.Itoa(day%sunday))
		}
	}
	return strings.Join(days, ",")
}
