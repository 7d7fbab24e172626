package controller_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/schedules/controller"
)

const canary = "canary-7f3a"

// serve on loopback, until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// TestDownload: what a server may answer, and what is never told of it.
func TestDownload(t *testing.T) {
	var private atomic.Int32
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		private.Add(1)
		fmt.Fprint(w, "secrets of the network")
	})
	elsewhere = strings.Replace(elsewhere, "127.0.0.1", "localhost", 1)
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		says    string // of the error; empty for none
	}{
		"good": {handler: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("token") != canary {
				w.WriteHeader(http.StatusForbidden)
			}
			fmt.Fprint(w, "BEGIN:VCALENDAR")
		}},
		"a redirect on the host": {handler: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/there" {
				http.Redirect(w, r, "/there?token="+canary, http.StatusFound)
				return
			}
			fmt.Fprint(w, "BEGIN:VCALENDAR")
		}},
		"too large": {says: "more than", handler: func(w http.ResponseWriter, _ *http.Request) {
			page := make([]byte, 1<<20)
			for range 100 {
				if _, err := w.Write(page); err != nil {
					return // nobody reads on
				}
			}
			t.Error("all of it was read")
		}},
		"it hangs": {says: "in time", handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"it hangs in between": {says: "in time", handler: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "BEGIN")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		"a redirect into the network": {says: "into a private network", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/?token="+canary, http.StatusFound)
		}},
		"a redirect to metadata": {says: "into a private network", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/?token="+canary, http.StatusFound)
		}},
		"a redirect in other digits": {says: "into a private network", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://[::ffff:10.0.0.1]/?token="+canary, http.StatusFound)
		}},
		"redirects without end": {says: "more than 5 redirects", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again?token="+canary, http.StatusFound)
		}},
		"a redirect to no address": {says: "redirect", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[?token="+canary)
			w.WriteHeader(http.StatusFound)
		}},
		"a redirect to a file": {says: "redirect", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd?token="+canary)
			w.WriteHeader(http.StatusFound)
		}},
		"an error":  {says: "500 Internal Server Error", handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }},
		"not found": {says: "404 Not Found", handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }},
		"it hangs up": {says: "the server", handler: func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		}},
		"no HTTP": {says: "the server", handler: func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "%s\r\n\r\n", r.URL.RawQuery)
			_ = conn.Close()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			data, err := controller.Download(ctx, serve(t, test.handler)+"/private-"+canary+"?token="+canary)
			switch {
			case err != nil && (strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "token")):
				t.Errorf("a secret is told: %v", err)
			case test.says == "" && (err != nil || string(data) != "BEGIN:VCALENDAR"):
				t.Errorf("%q, %v", data, err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("%v, want %q", err, test.says)
			}
			if private.Load() > 0 {
				t.Error("somebody was sent into the network")
			}
		})
	}
	for _, address := range []string{"http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest", "http://%zz", "ftp://" + canary} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		if _, err := controller.Download(ctx, address); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", address, err)
		}
		cancel()
	}
}

// TestCalendarByURL is fetched beside the work, and the last good copy counts.
func TestCalendarByURL(t *testing.T) {
	w := newWorld(t)
	var status atomic.Int32
	status.Store(http.StatusOK)
	text := holiday(w.time("0 0:00"))
	url := serve(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(int(status.Load()))
		fmt.Fprint(rw, text)
	})
	w.plan("dev", nil)
	s := w.schedule("dev", func(s *v1alpha1.RecoveryScheduleSpec) {
		s.Calendar = &v1alpha1.ExceptionCalendar{URL: url + "/private-" + canary + "?token=" + canary, Skips: []v1alpha1.Direction{teardown}}
	})
	// Nothing is decided before it was read for the first time.
	w.at("12:00", s)
	if s.Status.Timetable != "" || len(s.Status.Conditions) > 0 {
		t.Errorf("status %+v", s.Status)
	}
	w.looking()
	w.must(w.reconcile(s))
	w.condition(s, "CalendarRead", metav1.ConditionTrue, "Read", "")
	w.at("17:30", s)
	w.at("20:00", s)
	w.looking() // it is fetched once more after six hours
	w.outcome(s, teardown, "20:00", v1alpha1.OutcomeSkipped)
	w.tells("calendar: Holiday")

	status.Store(http.StatusInternalServerError)
	w.at("23:00", s) // it is not due
	w.at("1 3:00", s)
	w.looking()
	w.must(w.reconcile(s))
	w.condition(s, "CalendarRead", metav1.ConditionFalse, "Unreadable", "the server answers 500")
	for _, c := range s.Status.Conditions {
		if strings.Contains(c.Message, canary) || strings.Contains(c.Message, "token") {
			t.Errorf("a secret is told: %s", c.Message)
		}
	}
	w.at("1 20:00", s)
	w.looking()
	w.runs(1)
	w.finish()
	w.down["dev"] = false
	status.Store(http.StatusOK)
	w.at("1 21:00", s)
	w.looking()
	w.must(w.reconcile(s))
	w.condition(s, "CalendarRead", metav1.ConditionTrue, "Read", "")
}

// TestCalendarThatHangs is waited for, but not for long: then clusters are up when in doubt.
func TestCalendarThatHangs(t *testing.T) {
	w := newWorld(t)
	w.r.FetchWithin(200 * time.Millisecond)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	w.plan("dev", nil)
	s := w.schedule("dev", func(s *v1alpha1.RecoveryScheduleSpec) {
		s.Calendar = &v1alpha1.ExceptionCalendar{URL: url, Skips: []v1alpha1.Direction{teardown, rebuild}}
	})
	w.down["dev"] = true
	w.at("8:00", s)
	w.runs(0)
	w.looking()
	w.must(w.reconcile(s))
	w.condition(s, "CalendarRead", metav1.ConditionFalse, "Unreadable", "did not answer in time")
	w.outcome(s, rebuild, "8:00", v1alpha1.OutcomeOrdered)
}

// TestQueueOfCalendars: one that waits for a place is not waited for either.
func TestQueueOfCalendars(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	var all []*v1alpha1.RecoverySchedule
	for i := range 6 {
		name := fmt.Sprintf("dev-%d", i)
		w.plan(name, nil)
		w.down[name] = true
		all = append(all, w.schedule(name, func(s *v1alpha1.RecoveryScheduleSpec) { s.Calendar = &v1alpha1.ExceptionCalendar{URL: url} }))
	}
	w.at("8:00", all...)
	w.runs(0)
	w.at("8:01", all...)
	w.runs(6)
	w.condition(all[5], "CalendarRead", metav1.ConditionFalse, "Unreadable", "gave no answer so far")
}
