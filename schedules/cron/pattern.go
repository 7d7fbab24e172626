package cron

const (
	minuteRange  = `(?:[0-5]?[0-9])`
	minuteStep   = `(?:0?[1-9]|[1-5][0-9]|60)`
	hourRange    = `(?:[01]?[0-9]|2[0-3])`
	hourStep     = `(?:0?[1-9]|1[0-9]|2[0-4])`
	dayRange     = `(?:0?[1-9]|[12][0-9]|3[01])`
	monthRange   = `(?:0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))`
	monthStep    = `(?:0?[1-9]|1[0-2])`
	weekdayRange = `(?:0?[0-7]|(?i:sun|mon|tue|wed|thu|fri|sat))`
	weekdayStep  = `(?:0?[1-7])`

	minuteItem  = `(?:[*?]|` + minuteRange + `(?:-` + minuteRange + `)?)(?:/` + minuteStep + `)?`
	hourItem    = `(?:[*?]|` + hourRange + `(?:-` + hourRange + `)?)(?:/` + hourStep + `)?`
	dayItem     = `(?:[*?]|` + dayRange + `(?:-` + dayRange + `)?)(?:/` + dayRange + `)?`
	monthItem   = `(?:[*?]|` + monthRange + `(?:-` + monthRange + `)?)(?:/` + monthStep + `)?`
	weekdayItem = `(?:[*?]|` + weekdayRange + `(?:-` + weekdayRange + `)?)(?:/` + weekdayStep + `)?`
)

// Pattern is a regular expression (RE2) for validation at admission. It accepts what Parse
// accepts; of what Parse refuses it cannot see a range that runs backwards, an expression
// that never fires, and one that is too long.
const Pattern = `^ *(?:@(?:hourly|daily|midnight|weekly|monthly|yearly|annually)|` +
	minuteItem + `(?:,` + minuteItem + `)* +` +
	hourItem + `(?:,` + hourItem + `)* +` +
	dayItem + `(?:,` + dayItem + `)* +` +
	monthItem + `(?:,` + monthItem + `)* +` +
	weekdayItem + `(?:,` + weekdayItem + `)*) *$`
