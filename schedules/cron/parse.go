package cron

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// MaxLength is how long an expression may be, in bytes.
const MaxLength = 256

// maxQuoted is how much of a wrong text an error repeats.
const maxQuoted = 80

// ErrNeverFires is the error of an expression whose day exists in no year.
var ErrNeverFires = errors.New("never fires")

const (
	wantFields = "minute hour day-of-month month day-of-week"
)

var (
	descriptors = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
	counts      = []string{"no field", "one field", "two fields", "three fields", "four fields", "five fields", "six fields", "seven fields"}
)

// Parse reads an expression of five fields (minute, hour, day of month, month, day of week)
// or one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually. When both
// day fields are restricted, either is enough, as in every cron.
func Parse(text string) (Expression, error) {
	if len(text) > MaxLength {
		return Expression{}, fmt.Errorf("cron %s is %d characters long; at most %d are allowed", quote(text), len(text), MaxLength)
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return Expression{}, fmt.Errorf("cron %s has the character %s at position %d; want printable ASCII only",
				quote(text), strconv.QuoteToASCII(text[i:i+1]), i+1)
		}
	}
	parts := strings.Fields(text)
	clean := strings.Join(parts, " ")
	normal, err := normalize(parts)
	if err != nil {
		return Expression{}, fmt.Errorf("cron %s %w", quote(clean), err)
	}
	e, err := read(normal)
	if err != nil {
		return Expression{}, fmt.Errorf("cron %s %w", quote(clean), err)
	}
	e.text = clean
	if fault := e.never(); fault != "" {
		return Expression{}, fmt.Errorf("cron %s %w: %s", quote(clean), ErrNeverFires, fault)
	}
	return e, nil
}

// normalize checks the fields and makes of them what the library reads without surprise.
// The library alone would accept 1,,2 and *-x and +5, and panic at TZ=.
func normalize(parts []string) (string, error) {
	if len(parts) == 0 {
		return "", fmt.Errorf("is empty; want five fields: %s", wantFields)
	}
	switch first := parts[0]; {
	case strings.HasPrefix(strings.ToUpper(first), "TZ="), strings.HasPrefix(strings.ToUpper(first), "CRON_TZ="):
		return "", errors.New("names a time zone; put it into timeZone")
	case first == "@every":
		return "", fmt.Errorf("counts from whenever it is first asked; write five fields (%s) instead", wantFields)
	case strings.HasPrefix(first, "@"):
		if len(parts) == 1 && slices.Contains(descriptors, first) {
			return first, nil
		}
		return "", fmt.Errorf("is not known; want one of %s, or five fields: %s", strings.Join(descriptors, " "), wantFields)
	case len(parts) != len(fields):
		have := fmt.Sprintf("%d fields", len(parts))
		if len(parts) < len(counts) {
			have = counts[len(parts)]
		}
		return "", fmt.Errorf("has %s; want five: %s", have, wantFields)
	}
	for i, part := range parts {
		for _, item := range strings.Split(part, ",") {
			if err := fields[i].check(item); err != nil {
				return "", err
			}
		}
	}
	last := len(fields) - 1
	return strings.Join(append(append([]string{}, parts[:last]...), plainWeekdays(parts[last])), " "), nil
}

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// read lets the library parse. Whatever it does is an error here, never a panic.
func read(normal string) (e Expression, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, err = Expression{}, fmt.Errorf("cannot be read: %v", r)
		}
	}()
	schedule, err := parser.Parse(normal)
	if err != nil {
		return Expression{}, fmt.Errorf("cannot be read: %w", err)
	}
	spec, ok := schedule.(*cron.SpecSchedule)
	if !ok {
		return Expression{}, errors.New("is not a calendar expression")
	}
	const star = 1 << 63
	return Expression{
		minutes: spec.Minute &^ star, hours: spec.Hour &^ star, months: spec.Month &^ star,
		days: spec.Dom &^ star, weekdays: spec.Dow &^ star,
		either: spec.Dom&star == 0 && spec.Dow&star == 0,
	}, nil
}

// never says why no day ever matches. It can only be days that the months do not have.
func (e Expression) never() string {
	if e.either {
		return ""
	}
	var days, months []string
	for month := time.January; month <= time.December; month++ {
		if e.months&(1<<month) == 0 {
			continue
		}
		months = append(months, month.String())
		// A leap year has all days that there are.
		if e.days&(1<<(daysIn(2024, month)+1)-1) != 0 {
			return ""
		}
	}
	for day := 1; day <= 31; day++ {
		if e.days&(1<<day) != 0 {
			days = append(days, strconv.Itoa(day))
		}
	}
	return fmt.Sprintf("there is no %s %s", strings.Join(days, " or "), strings.Join(months, " or "))
}

// quote is a text for an error: in ASCII, and not all of it when it is long.
func quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.QuoteToASCII(text[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(text)
}
