// Package schedules decides when clusters go and come back. It is pure: a timetable and
// what was observed of a plan go in, what is to be done comes out. It knows neither
// clusters nor Git; package controller beside it asks and acts.
//
// A time of a timetable is named by its local wall clock without an offset, and is dealt
// with once: however often a controller restarts, a clock is set back or an hour repeats.
package schedules
