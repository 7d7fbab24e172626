package schedules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/calendar"
	"github.com/refloat-dev/refloat/schedules/cron"
)

// Exceptions say which entry of a calendar covers an instant. An error means that nobody
// knows: then a rebuild runs and a teardown does not.
type Exceptions interface {
	Covering(at time.Time, zone *time.Location) (calendar.Entry, bool, error)
}

// Timetable is a schedule's spec, made ready to be asked.
type Timetable struct {
	zone       *time.Location
	directions map[v1alpha1.Direction]*direction
	blackouts  []v1alpha1.Blackout
	exceptions Exceptions
	excepts    []v1alpha1.Direction
	mode       v1alpha1.ScheduleMode
	notice     time.Duration
	inUse      *v1alpha1.InUsePolicy
	expected   time.Duration // of a rebuild, when nothing was measured; 0 when not said
	margin     time.Duration
	// wakes is true when a rebuild brings back what a teardown took, and so leaves alone a
	// cluster that is up.
	wakes bool
}

// direction is one column of a timetable.
type direction struct {
	name     v1alpha1.Direction
	cron     cron.Expression
	once     []cron.Tick // sorted
	readyBy  bool
	deadline time.Duration // 0 until the next time of the other direction
}

// Defaults of schedules that were made without the API server's defaulting.
const (
	defaultNotice   = 15 * time.Minute
	defaultMargin   = 5 * time.Minute
	defaultMissed   = time.Hour
	defaultPostpone = 15 * time.Minute
	defaultAtMost   = 3 * time.Hour
	// defaultExpected time of a rebuild of which nothing is known.
	defaultExpected = 30 * time.Minute
)

// Compile checks a spec. exceptions is its calendar, nil without one. The error says which
// field is wrong.
func Compile(spec *v1alpha1.RecoveryScheduleSpec, exceptions Exceptions) (*Timetable, error) {
	if err := check(spec); err != nil {
		return nil, err
	}
	name := spec.TimeZone
	if name == "" {
		name = "UTC"
	}
	zone, err := cron.LoadZone(name)
	if err != nil {
		return nil, fmt.Errorf("spec.timeZone: %w", err)
	}
	t := &Timetable{
		zone: zone, directions: map[v1alpha1.Direction]*direction{}, blackouts: spec.Blackouts, exceptions: exceptions,
		mode: spec.Mode, wakes: spec.Teardown != nil, margin: defaultMargin,
	}
	if spec.Calendar != nil {
		if t.excepts = spec.Calendar.Skips; len(t.excepts) == 0 {
			t.excepts = []v1alpha1.Direction{v1alpha1.DirectionRebuild}
		}
	}
	if err := t.addTeardown(spec.Teardown); err != nil {
		return nil, err
	}
	if err := t.addRebuild(spec.Rebuild); err != nil {
		return nil, err
	}
	if err := t.addDrill(spec.Drill); err != nil {
		return nil, err
	}
	for _, one := range spec.Once {
		t.addOnce(one)
	}
	return t, nil
}

// check what the API server checks too, for schedules that never saw one.
func check(spec *v1alpha1.RecoveryScheduleSpec) error {
	if (spec.PlanRef == nil) == (spec.PlanSelector == nil) {
		return errors.New("spec: name the plans by planRef or by planSelector, and not by both")
	}
	if spec.Teardown == nil && spec.Rebuild == nil && spec.Drill == nil && len(spec.Once) == 0 {
		return errors.New("spec: a schedule without teardown, rebuild, drill and once does nothing")
	}
	if spec.Teardown != nil && spec.Rebuild != nil && strings.Join(strings.Fields(string(spec.Teardown.Cron)), " ") == strings.Join(strings.Fields(string(spec.Rebuild.Cron)), " ") {
		return fmt.Errorf("spec: teardown and rebuild are at the same minutes, %q", spec.Teardown.Cron)
	}
	if c := spec.Calendar; c != nil && (c.ExceptConfigMapRef == nil) == (c.URL == "") {
		return errors.New("spec.calendar: give exceptConfigMapRef or url, and not both")
	}
	for i, b := range spec.Blackouts {
		if !b.Until.After(b.From.Time) {
			return fmt.Errorf("spec.blackouts[%d]: until %s is not after from %s", i, b.Until.UTC().Format(time.RFC3339), b.From.UTC().Format(time.RFC3339))
		}
	}
	for i, one := range spec.Once {
		if !slices.Contains([]v1alpha1.Direction{v1alpha1.DirectionRebuild, v1alpha1.DirectionTeardown, v1alpha1.DirectionDrill}, one.Operation) {
			return fmt.Errorf("spec.once[%d].operation: %q is none of Rebuild, Teardown and Drill", i, one.Operation)
		}
	}
	return nil
}

func (t *Timetable) addTeardown(spec *v1alpha1.TeardownTimes) error {
	if spec == nil {
		return nil
	}
	expression, err := cron.Parse(string(spec.Cron))
	if err != nil {
		return fmt.Errorf("spec.teardown.cron: %w", err)
	}
	d := &direction{name: v1alpha1.DirectionTeardown, cron: expression}
	if d.deadline, err = deadline(spec.Missed, defaultMissed); err != nil {
		return fmt.Errorf("spec.teardown.missed.deadline: %w", err)
	}
	t.directions[d.name] = d
	t.inUse, t.notice = spec.InUse, defaultNotice
	if spec.Notice.Before != nil {
		t.notice = spec.Notice.Before.Duration
	}
	return nil
}

func (t *Timetable) addRebuild(spec *v1alpha1.RebuildTimes) error {
	if spec == nil {
		return nil
	}
	text, field, readyBy := spec.Cron, "cron", false
	if spec.ReadyBy != "" {
		text, field, readyBy = spec.ReadyBy, "readyBy", true
	}
	if spec.Cron != "" && readyBy {
		return fmt.Errorf("spec.rebuild: give cron, when to start, or readyBy, when to be ready")
	}
	expression, err := cron.Parse(string(text))
	if err != nil {
		return fmt.Errorf("spec.rebuild.%s: %w", field, err)
	}
	d := &direction{name: v1alpha1.DirectionRebuild, cron: expression, readyBy: readyBy}
	if d.deadline, err = deadline(spec.Missed, 0); err != nil {
		return fmt.Errorf("spec.rebuild.missed.deadline: %w", err)
	}
	t.directions[d.name] = d
	if spec.Expected != nil {
		t.expected = spec.Expected.Duration
	}
	if spec.Margin != nil {
		t.margin = spec.Margin.Duration
	}
	return nil
}

func (t *Timetable) addOnce(one v1alpha1.OneOff) {
	d := t.directions[one.Operation]
	if d == nil {
		d = &direction{name: one.Operation, deadline: defaultMissed}
		if one.Operation == v1alpha1.DirectionDrill {
			d.deadline = defaultDrillMissed
		}
		t.directions[one.Operation] = d
	}
	at := one.At.Truncate(time.Minute)
	d.once = append(d.once, cron.Tick{Nominal: cron.NominalOf(at.In(t.zone)), At: at})
	slices.SortFunc(d.once, func(a, b cron.Tick) int { return a.At.Compare(b.At) })
}

// deadline of missed times; 0 until the next time of the other direction.
func deadline(policy *v1alpha1.MissedPolicy, otherwise time.Duration) (time.Duration, error) {
	if policy == nil || policy.Deadline == "" {
		return otherwise, nil
	}
	if policy.Deadline == "UntilNextTeardown" || policy.Deadline == "UntilNextRebuild" {
		return 0, nil
	}
	d, err := time.ParseDuration(policy.Deadline)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is neither a duration such as 2h nor UntilNextTeardown or UntilNextRebuild", policy.Deadline)
	}
	return d, nil
}

// Zone in which the times are meant.
func (t *Timetable) Zone() *time.Location { return t.zone }

// Has the timetable this direction?
func (t *Timetable) Has(d v1alpha1.Direction) bool { return t.directions[d] != nil }

// Alone is the timetable without what only a controller can do: to give notice, and to look
// whether a cluster is in use.
func (t *Timetable) Alone() *Timetable {
	alone := *t
	alone.notice, alone.inUse = 0, nil
	return &alone
}

// Wakes is true when a rebuild brings back what a teardown took, and leaves alone a cluster
// that is there.
func (t *Timetable) Wakes() bool { return t.wakes }
