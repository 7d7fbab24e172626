package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/schedules"
	"github.com/refloat-dev/refloat/schedules/calendar"
)

// tables keeps what was compiled: schedules are looked at far more often than edited.
type tables struct {
	mu    sync.Mutex
	byKey map[client.ObjectKey]compiled
}

type compiled struct {
	uid        types.UID
	generation int64
	calendar   string // version of what it was compiled with
	table      *schedules.Timetable
}

func (t *tables) get(key client.ObjectKey, like compiled) *schedules.Timetable {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.byKey[key]
	if !ok || c.uid != like.uid || c.generation != like.generation || c.calendar != like.calendar {
		return nil
	}
	return c.table
}

func (t *tables) put(key client.ObjectKey, c compiled) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey == nil {
		t.byKey = map[client.ObjectKey]compiled{}
	}
	t.byKey[key] = c
}

func (t *tables) forget(key client.ObjectKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byKey, key)
}

// compile the schedule, with its calendar. The instant is when the calendar is due again.
func (p *pass) compile(ctx context.Context) (*schedules.Timetable, time.Time, error) {
	exceptions, version, again, err := p.exceptions(ctx)
	if err != nil {
		return nil, again, err
	}
	key := client.ObjectKeyFromObject(p.schedule)
	like := compiled{uid: p.schedule.UID, generation: p.schedule.Generation, calendar: version}
	if table := p.tables.get(key, like); table != nil {
		return table, again, nil
	}
	like.table, err = schedules.Compile(&p.schedule.Spec, exceptions)
	if err != nil {
		return nil, again, err
	}
	p.tables.put(key, like)
	return like.table, again, nil
}

// laterError says that nothing can be decided yet: not that the schedule is wrong.
type laterError struct{ error }

func (e *laterError) Unwrap() error { return e.error }

// reread a ConfigMap with a calendar after this time, besides whenever something is due.
const reread = 15 * time.Minute

// unavailable calendars have no answer.
type unavailable struct{ err error }

// Covering implements schedules.Exceptions.
func (u unavailable) Covering(time.Time, *time.Location) (calendar.Entry, bool, error) {
	return calendar.Entry{}, false, u.err
}

// exceptions of the schedule and their version. A calendar that is not there, or broken, is
// no reason to leave clusters down: it has no answer.
func (p *pass) exceptions(ctx context.Context) (schedules.Exceptions, string, time.Time, error) {
	spec := p.schedule.Spec.Calendar
	if spec == nil {
		p.calendarState(nil)
		return nil, "", time.Time{}, nil
	}
	if spec.URL != "" {
		parsed, version, again, err := p.calendars.get(client.ObjectKeyFromObject(p.schedule), spec, p.now)
		if errors.Is(err, errBeingFetched) {
			return nil, "", again, &laterError{err}
		}
		p.calendarState(err)
		if parsed == nil {
			return unavailable{err}, version, again, nil
		}
		return parsed, version, again, nil
	}
	ref := spec.ExceptConfigMapRef
	held := &corev1.ConfigMap{}
	err := p.Reader.Get(ctx, client.ObjectKey{Namespace: p.schedule.Namespace, Name: ref.Name}, held)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return nil, "", time.Time{}, &laterError{fmt.Errorf("read the calendar: %w", err)}
	}
	again := p.now.Add(reread)
	version := "ConfigMap " + string(held.UID) + "/" + held.ResourceVersion
	if err == nil {
		var parsed *calendar.Calendar
		if parsed, err = parsedCalendar(held, ref.Key); err == nil {
			p.calendarState(nil)
			return parsed, version, again, nil
		}
	}
	err = fmt.Errorf("spec.calendar: ConfigMap %s: %w", ref.Name, err)
	p.calendarState(err)
	return unavailable{err}, version + " " + err.Error(), again, nil
}

func parsedCalendar(held *corev1.ConfigMap, key string) (*calendar.Calendar, error) {
	text, ok := held.Data[key]
	if !ok {
		return nil, fmt.Errorf("there is no key %s", key)
	}
	parsed, err := calendar.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", key, err)
	}
	return parsed, nil
}
