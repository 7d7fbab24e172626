package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

const (
	maxInterval = 1_000
	maxCount    = maxOccurrences
	maxList     = 366
	maxTimes    = 100 // of one day
	// maxWait is how long after its start a rule must match a first time.
	maxWait = 100 * maxLength
)

// rule is an RRULE. Its option has neither start nor end.
type rule struct {
	option rrule.ROption
	until  *stamp
}

// parts are those of RFC 5545. The library knows more, with less care.
var parts = map[string]bool{
	"FREQ": true, "UNTIL": true, "COUNT": true, "INTERVAL": true, "WKST": true, "BYDAY": true, "BYMONTH": true, "BYMONTHDAY": true,
	"BYYEARDAY": true, "BYWEEKNO": true, "BYSETPOS": true, "BYHOUR": true, "BYMINUTE": true, "BYSECOND": true,
}

func parseRule(text string, start stamp) (*rule, error) {
	r := &rule{}
	rest, seen, err := r.split(text)
	if err != nil {
		return nil, err
	}
	option, err := readOption(rest)
	if err != nil {
		return nil, err
	}
	r.option = *option
	if seen["COUNT"] && (r.option.Count < 1 || r.option.Count > maxCount || seen["UNTIL"]) {
		return nil, fmt.Errorf("with a COUNT that is not within 1-%d, or besides UNTIL", maxCount)
	}
	if seen["INTERVAL"] && (r.option.Interval < 1 || r.option.Interval > maxInterval) {
		return nil, fmt.Errorf("with an INTERVAL that is not within 1-%d", maxInterval)
	}
	if err := cmp.Or(r.checkDays(), r.checkTimes()); err != nil {
		return nil, err
	}
	r.settle(start.wall)
	return r, r.try(start)
}

// split takes UNTIL out of a rule, and says which parts there are.
func (r *rule) split(text string) (rest string, seen map[string]bool, err error) {
	var others []string
	seen = map[string]bool{}
	for _, part := range strings.Split(strings.TrimSuffix(strings.ToUpper(strings.TrimSpace(text)), ";"), ";") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case !parts[name] || value == "":
			return "", nil, fmt.Errorf("with the part %s, which is unknown", quote(part))
		case seen[name]:
			return "", nil, fmt.Errorf("with %s twice", name)
		case strings.Count(value, ",") >= maxList:
			return "", nil, fmt.Errorf("with more than %d values of %s", maxList, name)
		}
		seen[name] = true
		if name != "UNTIL" {
			others = append(others, part)
			continue
		}
		s, err := parseStamp(value)
		if err != nil {
			return "", nil, fmt.Errorf("with the UNTIL %w", err)
		}
		r.until = &s
	}
	return strings.Join(others, ";"), seen, nil
}

// settle writes down what a rule takes from its start, so that it can begin elsewhere.
func (r *rule) settle(start time.Time) {
	o := &r.option
	if len(o.Byweekno)+len(o.Byyearday)+len(o.Bymonthday)+len(o.Byweekday) > 0 {
		return
	}
	switch o.Freq {
	case rrule.YEARLY:
		if len(o.Bymonth) == 0 {
			o.Bymonth = []int{int(start.Month())}
		}
		o.Bymonthday = []int{start.Day()}
	case rrule.MONTHLY:
		o.Bymonthday = []int{start.Day()}
	}
}

func readOption(text string) (option *rrule.ROption, err error) {
	defer func() {
		if r := recover(); r != nil {
			option, err = nil, fmt.Errorf("which cannot be read: %s", quote(fmt.Sprint(r)))
		}
	}()
	option, err = rrule.StrToROption(text)
	if err != nil {
		return nil, fmt.Errorf("which cannot be read: %s", quote(err.Error()))
	}
	return option, nil
}

// checkDays refuses days that the library would fall over.
func (r *rule) checkDays() error {
	o := &r.option
	if len(o.Byweekno) > 0 && o.Freq != rrule.YEARLY {
		return errors.New("with BYWEEKNO, which goes with FREQ=YEARLY only")
	}
	most := 0
	switch {
	case o.Freq == rrule.YEARLY && len(o.Bymonth) == 0:
		most = 53
	case o.Freq == rrule.YEARLY || o.Freq == rrule.MONTHLY:
		most = 5
	}
	for _, d := range o.Byweekday {
		if d.N() > most || d.N() < -most {
			return errors.New("with a BYDAY whose number does not fit its FREQ")
		}
	}
	return nil
}

// checkTimes refuses what recurs too often, and hours that the library would search
// without end.
func (r *rule) checkTimes() error {
	o := &r.option
	times := max(1, len(o.Byhour)) * max(1, len(o.Byminute)) * max(1, len(o.Bysecond))
	if o.Freq == rrule.HOURLY {
		times *= 24
	}
	switch {
	case o.Freq == rrule.MINUTELY || o.Freq == rrule.SECONDLY:
		return errors.New("which recurs within the hour; want HOURLY or rarer")
	case o.Freq == rrule.HOURLY && len(o.Byhour) > 0 && o.Interval > 1:
		return errors.New("with both BYHOUR and an INTERVAL of hours; write FREQ=DAILY with BYHOUR")
	case times > maxTimes:
		return fmt.Errorf("with more than %d times a day", maxTimes)
	}
	return nil
}

// try finds the first match: a rule that has none would be searched to the year 9999 each
// time.
func (r *rule) try(start stamp) error {
	found := false
	err := r.each(start.wall, start.wall.Add(maxWait), func(time.Time) bool {
		found = true
		return false
	}, start.wall)
	if err == nil && !found {
		return errors.New("which matches no day")
	}
	return err
}

// each calls for the matches from one wall-clock time to another, both included, until told
// to stop. Rules without a COUNT do not begin at the start but shortly before, by whole
// steps, so that how long a series has been going on costs nothing.
func (r *rule) each(from, until time.Time, then func(time.Time) bool, start time.Time) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("which cannot be expanded: %s", quote(fmt.Sprint(p)))
		}
	}()
	option := r.option
	option.Dtstart, option.Until = r.begin(from, start), until
	expanded, err := rrule.NewRRule(option)
	if err != nil {
		return fmt.Errorf("which cannot be read: %s", quote(err.Error()))
	}
	next := expanded.Iterator()
	for matches := 0; matches <= maxOccurrences; {
		at, ok := next()
		if !ok || at.After(until) {
			return nil
		}
		if at.Before(from) {
			continue
		}
		matches++
		if !then(at) {
			return nil
		}
	}
	return errTooMany
}

// begin is where to begin the expansion: at most three steps before what is asked for.
func (r *rule) begin(from, start time.Time) time.Time {
	if r.option.Count > 0 || from.Before(start) {
		return start
	}
	interval := max(1, r.option.Interval)
	// A week may begin before the weekday of the start, and a year before its first week.
	steps := func(distance int) int { return max(0, distance/interval-2) }
	hour, minute, second := start.Clock()
	days := int(from.Sub(start) / day)
	switch r.option.Freq {
	case rrule.YEARLY:
		if n := steps(from.Year() - start.Year()); n > 0 {
			return time.Date(start.Year()+n*interval, 1, 1, hour, minute, second, 0, time.UTC)
		}
	case rrule.MONTHLY:
		months := 12*(from.Year()-start.Year()) + int(from.Month()-start.Month())
		if n := steps(months); n > 0 {
			return time.Date(start.Year(), start.Month()+time.Month(n*interval), 1, hour, minute, second, 0, time.UTC)
		}
	case rrule.WEEKLY:
		return start.AddDate(0, 0, 7*interval*steps(days/7))
	case rrule.DAILY:
		return start.AddDate(0, 0, interval*steps(days))
	case rrule.HOURLY:
		return start.Add(time.Duration(interval*steps(24*days)) * time.Hour)
	}
	return start
}
