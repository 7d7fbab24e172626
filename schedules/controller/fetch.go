package controller

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/calendar"
)

const (
	// fetchTimeout of one calendar, redirects and repetitions included.
	fetchTimeout = 30 * time.Second
	// fetchAgain after a failure.
	fetchAgain = 5 * time.Minute
	// fetchAtOnce bounds how many calendars are fetched at a time.
	fetchAtOnce = 4
	// defaultRefresh of schedules that were made without the API server's defaulting.
	defaultRefresh = 6 * time.Hour
)

// fetched keeps the last good copy of each calendar that is at an address.
type fetched struct {
	read    func(ctx context.Context, address string) ([]byte, error)
	timeout time.Duration
	now     func() time.Time
	done    func(client.ObjectKey)
	slots   chan struct{}

	mu    sync.Mutex
	byKey map[client.ObjectKey]*copied
}

type copied struct {
	address  string
	asked    time.Time // first
	calendar *calendar.Calendar
	version  int // counts every answer
	err      error
	next     time.Time // when it is fetched again
	under    bool      // way
}

func newFetched(get func(ctx context.Context, address string) ([]byte, error), now func() time.Time, done func(client.ObjectKey)) *fetched {
	return &fetched{read: get, timeout: fetchTimeout, now: now, done: done, slots: make(chan struct{}, fetchAtOnce), byKey: map[client.ObjectKey]*copied{}}
}

var errBeingFetched = errors.New("the calendar is being fetched")

// get the last good copy, which is nil at first; its version; and when to ask again. What
// is due is fetched beside, and done is called. A calendar that was never fetched before is
// waited for, but not for long: the error is errBeingFetched then.
func (f *fetched) get(key client.ObjectKey, spec *v1alpha1.ExceptionCalendar, now time.Time) (*calendar.Calendar, string, time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.byKey[key]
	if c == nil || c.address != spec.URL {
		c = &copied{address: spec.URL, asked: now}
		f.byKey[key] = c
	}
	if !c.under && !now.Before(c.next) {
		c.under = true
		refresh := defaultRefresh
		if spec.Refresh != nil {
			refresh = spec.Refresh.Duration
		}
		go f.fetch(key, c, refresh)
	}
	version := fmt.Sprintf("%s %d", c.address, c.version)
	if c.version > 0 {
		return c.calendar, version, c.next, c.err
	}
	if until := c.asked.Add(f.timeout); now.Before(until) && !now.Before(c.asked) {
		return nil, version, until, errBeingFetched
	}
	return nil, version, c.next, fmt.Errorf("spec.calendar: %s gave no answer so far", public(c.address))
}

func (f *fetched) forget(key client.ObjectKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byKey, key)
}

func (f *fetched) fetch(key client.ObjectKey, c *copied, refresh time.Duration) {
	f.slots <- struct{}{}
	defer func() { <-f.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
	defer cancel()
	data, err := f.read(ctx, c.address)
	var parsed *calendar.Calendar
	if err == nil {
		parsed, err = calendar.Parse(data)
	}
	f.mu.Lock()
	c.under, c.err, c.next = false, nil, f.now().Add(refresh)
	c.version++
	if err == nil {
		c.calendar = parsed
	} else {
		c.err, c.next = fmt.Errorf("spec.calendar: %s: %w", public(c.address), err), f.now().Add(fetchAgain)
	}
	f.mu.Unlock()
	f.done(key)
}

// public is an address without what may be a secret in it: those of private calendars have
// one in the path.
func public(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Scheme + "://" + u.Host
}
