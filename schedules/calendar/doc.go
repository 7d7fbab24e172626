// Package calendar reads iCalendar files (RFC 5545) as exceptions to a timetable: public
// holidays, freezes, closures.
//
// Whoever may write such a file must not be able to stop the controller with it, so
// everything is bounded: bytes, events, lines, lengths of events, lists, occurrences and
// the span that is asked for. golang-ical reads content lines and rrule-go expands rules;
// both are called so that what they would do without bound or with a panic is an error.
//
// A recurrence is expanded on the wall clock and then placed into its time zone, so that an
// event from 9 to 17 stays there when clocks change. All-day and floating times belong to
// the zone of whoever asks.
package calendar
