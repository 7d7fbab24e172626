package cron

import (
	"cmp"
	"fmt"
	"time"
)

const nominalLayout = "2006-01-02T15:04"

// Nominal is a local wall-clock minute without an offset.
type Nominal struct {
	Year   int
	Month  time.Month
	Day    int
	Hour   int
	Minute int
}

// NominalOf is what a clock on the wall shows at t, in t's location.
func NominalOf(t time.Time) Nominal {
	year, month, day := t.Date()
	hour, minute, _ := t.Clock()
	return Nominal{Year: year, Month: month, Day: day, Hour: hour, Minute: minute}
}

// ParseNominal reads what String writes.
func ParseNominal(s string) (Nominal, error) {
	t, err := time.Parse(nominalLayout, s)
	if err != nil || t.Format(nominalLayout) != s {
		return Nominal{}, fmt.Errorf("%s is not a local time; write it like 2026-03-29T02:30", quote(s))
	}
	return NominalOf(t), nil
}

// String is the nominal time like 2026-03-29T02:30.
func (n Nominal) String() string {
	return fmt.Sprintf("%04d-%02d-%02dT%02d:%02d", n.Year, int(n.Month), n.Day, n.Hour, n.Minute)
}

// Compare is negative when n is before o, positive when it is after, else zero.
func (n Nominal) Compare(o Nominal) int {
	return cmp.Or(cmp.Compare(n.Year, o.Year), cmp.Compare(n.Month, o.Month), cmp.Compare(n.Day, o.Day),
		cmp.Compare(n.Hour, o.Hour), cmp.Compare(n.Minute, o.Minute))
}

// wall is the nominal time in seconds, as if it were UTC.
func (n Nominal) wall() int64 {
	return time.Date(n.Year, n.Month, n.Day, n.Hour, n.Minute, 0, 0, time.UTC).Unix()
}

// nominalAt is the minute in which a wall clock, in seconds as if it were UTC, is.
func nominalAt(wall int64) Nominal { return NominalOf(time.Unix(wall, 0).UTC()) }
