// Package cron says when a cron expression runs in a time zone.
//
// Expressions are read by the parser of robfig/cron, and by nothing else of it: its search
// for the next run skips runs and whole days when clocks go forward, runs twice when they
// go back, gives up after five years with the zero time, and never returns for some zones
// that skipped a day. Here the search is arithmetic on the calendar of the wall clock; the
// zone is asked only to turn a wall clock into an instant.
//
// The rule: every nominal local time runs exactly once, when the wall clock first reaches
// or passes it. A nominal time that clocks jump over runs at the jump; one that exists twice
// runs at its first occurrence. Nominal times that fall onto one instant are one tick,
// which carries the latest of them. So both instants and nominal times of consecutive ticks
// strictly increase, and a nominal time is a key under which a run can be recorded once.
package cron
