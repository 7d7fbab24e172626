package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules"
	"github.com/refloat-dev/refloat/schedules/calendar"
	"github.com/refloat-dev/refloat/schedules/simulation"
)

// scheduleFile is what a file about schedules holds.
type scheduleFile struct {
	name       string
	schedules  []*v1alpha1.RecoverySchedule
	plans      []*v1alpha1.RecoveryPlan
	configMaps []*corev1.ConfigMap
}

// maxScheduleFile bounds what is read as schedules, plans and calendars.
const maxScheduleFile = 16 << 20

// readSchedules reads what a simulation without a cluster is about.
func readSchedules(t terminal, o *simulateOptions) (*simulated, error) {
	file, err := readScheduleFile(t, o.file)
	if err != nil {
		return nil, usageError("%w", err)
	}
	in := &simulated{}
	for _, schedule := range file.schedules {
		one, err := file.compile(schedule, o)
		if err != nil {
			return nil, usageError("%s: RecoverySchedule %s: %w", o.file, schedule.Name, err)
		}
		in.schedules = append(in.schedules, *one)
	}
	in.zone = in.schedules[0].Timetable.Zone()
	return in, nil
}

func readScheduleFile(t terminal, name string) (*scheduleFile, error) {
	data, err := readAll(t, name)
	if err != nil {
		return nil, err
	}
	file := &scheduleFile{name: name}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = file.add(document)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, document %d: %w", name, n, err)
		}
	}
	if len(file.schedules) == 0 {
		return nil, fmt.Errorf("%s holds no RecoverySchedule", name)
	}
	return file, nil
}

func readAll(t terminal, name string) ([]byte, error) {
	if name != "-" {
		return readSmall(name)
	}
	data, err := io.ReadAll(io.LimitReader(t.In, maxScheduleFile+1))
	if err == nil && len(data) > maxScheduleFile {
		err = fmt.Errorf("standard input has more than %d bytes", maxScheduleFile)
	}
	return data, err
}

// add one document. Kinds that a simulation does not need are passed over.
func (f *scheduleFile) add(document []byte) error {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return err
	}
	switch {
	case meta.APIVersion == v1alpha1.GroupVersion.String() && meta.Kind == "RecoverySchedule":
		schedule := &v1alpha1.RecoverySchedule{}
		if err := yaml.UnmarshalStrict(document, schedule); err != nil {
			return err
		}
		if schedule.Name == "" {
			return errors.New("metadata.name is missing")
		}
		f.schedules = append(f.schedules, schedule)
	case meta.APIVersion == v1alpha1.GroupVersion.String() && meta.Kind == "RecoveryPlan":
		plan := &v1alpha1.RecoveryPlan{}
		if err := yaml.UnmarshalStrict(document, plan); err != nil {
			return err
		}
		f.plans = append(f.plans, plan)
	case meta.APIVersion == "v1" && meta.Kind == "ConfigMap":
		held := &corev1.ConfigMap{}
		if err := yaml.Unmarshal(document, held); err != nil {
			return err
		}
		f.configMaps = append(f.configMaps, held)
	case meta.Kind == "" && len(bytes.TrimSpace(document)) > 0 && !comment(document):
		return errors.New("kind is missing")
	}
	return nil
}

// comment is true of a document that holds nothing else.
func comment(document []byte) bool {
	for line := range strings.Lines(string(document)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && line != "---" {
			return false
		}
	}
	return true
}

func (f *scheduleFile) compile(schedule *v1alpha1.RecoverySchedule, o *simulateOptions) (*simulation.Schedule, error) {
	exceptions, err := f.calendar(schedule, o)
	if err != nil {
		return nil, err
	}
	table, err := compileWith(&schedule.Spec, exceptions)
	if err != nil {
		return nil, err
	}
	selects, err := schedules.Selector(&schedule.Spec)
	if err != nil {
		return nil, err
	}
	one := &simulation.Schedule{Name: schedule.Name, Spec: &schedule.Spec, Timetable: table}
	for _, plan := range f.plans {
		if plan.Namespace == schedule.Namespace && selects(plan) {
			pace, _ := table.PaceOf(schedule, plan, nil)
			one.Plans = append(one.Plans, simulation.Plan{Name: plan.Name, Pace: pace})
		}
	}
	if len(one.Plans) == 0 {
		one.Plans = o.named(table, schedule)
	}
	return one, nil
}

// named plans stand for those that a schedule selects: as the user names them, else as the
// schedule does.
func (o *simulateOptions) named(table *schedules.Timetable, schedule *v1alpha1.RecoverySchedule) []simulation.Plan {
	names := o.plans
	if len(names) == 0 {
		if ref := schedule.Spec.PlanRef; ref != nil {
			names = []string{ref.Name}
		} else {
			names = []string{cmp.Or(metav1.FormatLabelSelector(schedule.Spec.PlanSelector), "*")}
		}
	}
	var plans []simulation.Plan
	for _, name := range names {
		plan := &v1alpha1.RecoveryPlan{ObjectMeta: metav1.ObjectMeta{Name: name}}
		pace, _ := table.PaceOf(schedule, plan, nil)
		plans = append(plans, simulation.Plan{Name: name, Pace: pace})
	}
	return plans
}

// calendar of a schedule: from the flag, else from the file.
func (f *scheduleFile) calendar(schedule *v1alpha1.RecoverySchedule, o *simulateOptions) (*calendar.Calendar, error) {
	spec := schedule.Spec.Calendar
	if spec == nil || o.calendar != "" {
		return o.calendarFile(spec)
	}
	ref := spec.ExceptConfigMapRef
	if ref == nil {
		return nil, errors.New("spec.calendar is at an address; fetch it and give it by --calendar FILE")
	}
	for _, held := range f.configMaps {
		if held.Name == ref.Name && (held.Namespace == schedule.Namespace || held.Namespace == "") {
			return parseCalendar(held, ref)
		}
	}
	return nil, fmt.Errorf("spec.calendar names ConfigMap %s, which is not in %s; add it there, or give its calendar by --calendar FILE", ref.Name, f.name)
}

func (o *simulateOptions) calendarFile(spec *v1alpha1.ExceptionCalendar) (*calendar.Calendar, error) {
	if o.calendar == "" {
		return nil, nil
	}
	if spec == nil {
		return nil, errors.New("--calendar: the schedule has no spec.calendar that says what its events skip")
	}
	data, err := readSmall(o.calendar)
	if err != nil {
		return nil, fmt.Errorf("--calendar: %w", err)
	}
	parsed, err := calendar.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("--calendar %s: %w", o.calendar, err)
	}
	return parsed, nil
}

func parseCalendar(held *corev1.ConfigMap, ref *v1alpha1.ConfigMapKeyReference) (*calendar.Calendar, error) {
	text, ok := held.Data[ref.Key]
	if !ok {
		return nil, fmt.Errorf("spec.calendar: ConfigMap %s has no key %s", ref.Name, ref.Key)
	}
	parsed, err := calendar.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("spec.calendar: ConfigMap %s, key %s: %w", ref.Name, ref.Key, err)
	}
	return parsed, nil
}

func compileWith(spec *v1alpha1.RecoveryScheduleSpec, exceptions *calendar.Calendar) (*schedules.Timetable, error) {
	if err := simulation.Check(spec); err != nil {
		return nil, err
	}
	if exceptions == nil {
		return schedules.Compile(spec, nil)
	}
	return schedules.Compile(spec, exceptions)
}
