package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/internal/storm"
	"github.com/refloat-dev/refloat/schedules/cron"
)

// benchSchedule measures what schedules cost: the next time of an expression, many that are
// due at once with the controller killed in the middle, how late a run is ordered, and what
// many that are not due take of a core.
func benchSchedule(ctx context.Context, out io.Writer, s settings) error {
	if err := benchNext(out); err != nil {
		return err
	}
	for _, part := range []func(context.Context, io.Writer, settings) error{benchStorm, benchLateness, benchIdle} {
		if err := part(ctx, out, s); err != nil {
			return err
		}
	}
	return nil
}

// benchNext asks frequent and rare expressions in zones with and without daylight saving.
func benchNext(out io.Writer) error {
	const times = 2000
	asked := 0
	var took time.Duration
	for _, text := range []string{"0 20 * * 1-5", "*/5 * * * *", "30 2 * * *", "0 8 1 * *", "0 0 29 2 *", "15 7 * 1-3,9 mon,wed-fri"} {
		for _, name := range []string{"UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe"} {
			e, err := cron.Parse(text)
			if err != nil {
				return err
			}
			zone, err := cron.LoadZone(name)
			if err != nil {
				return err
			}
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			begin := time.Now()
			for range times {
				tick, ok := e.Next(zone, at)
				if !ok {
					break
				}
				asked++
				at = tick.At
			}
			took += time.Since(begin)
		}
	}
	figure(out, "schedule.next_us", float64(took.Microseconds())/float64(asked), "us")
	return nil
}

// withWorld runs something on a control plane of its own.
func withWorld(ctx context.Context, what string, do func(*storm.World) error) error {
	fmt.Fprintf(os.Stderr, "schedules: %s\n", what)
	plane, err := planetest.Start(ctx, planetest.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = plane.Stop(context.WithoutCancel(ctx)) }()
	w, err := storm.New(ctx, plane.Config)
	if err != nil {
		return err
	}
	return do(w)
}

func benchStorm(ctx context.Context, out io.Writer, s settings) error {
	var took []float64
	for range s.rounds {
		err := withWorld(ctx, fmt.Sprintf("%d are due in the same second, the controller is killed in the middle", s.schedules), func(w *storm.World) error {
			result, err := w.Run(ctx, s.schedules, true)
			if err != nil {
				return err
			}
			if len(result.Runs) != s.schedules || len(result.Lateness) != s.schedules {
				return fmt.Errorf("%d runs of %d plans, want one of each of %d", len(result.Lateness), len(result.Runs), s.schedules)
			}
			took = append(took, result.Took.Seconds())
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(took)
	figure(out, "schedule.storm_seconds", took[len(took)/2], "s")
	return nil
}

// benchLateness spreads the starts of one minute's schedules over that minute.
func benchLateness(ctx context.Context, out io.Writer, _ settings) error {
	const n = 200
	return withWorld(ctx, fmt.Sprintf("%d are due within a minute", n), func(w *storm.World) error {
		late, err := w.Spread(ctx, n, time.Minute)
		if err != nil {
			return err
		}
		figure(out, "schedule.lateness_p99_ms", float64(late[(len(late)*99+99)/100-1].Microseconds())/1000, "ms")
		return nil
	})
}

// idleFor is how long nothing is due.
const idleFor = time.Minute

// benchIdle counts the CPU time of this process, in which the controller runs, while nothing
// is due; and that of one refresh of all schedules, which comes every ten minutes.
func benchIdle(ctx context.Context, out io.Writer, s settings) error {
	return withWorld(ctx, fmt.Sprintf("%d are not due", s.idleSchedules), func(w *storm.World) error {
		if err := w.Create(ctx, s.idleSchedules, "0 20 1 1 *"); err != nil {
			return err
		}
		running, err := w.Start(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = running.Kill() }()
		if err := w.Settled(ctx, s.idleSchedules); err != nil {
			return err
		}
		before, err := versions(ctx, w)
		if err != nil {
			return err
		}
		idle, err := cpuDuring(ctx, idleFor)
		if err != nil {
			return err
		}
		w.Clock.Set(w.Clock.Now().Add(11 * time.Minute))
		all, err := cpuDuring(ctx, idleFor)
		if err != nil {
			return err
		}
		after, err := versions(ctx, w)
		if err != nil {
			return err
		}
		if before != after {
			return fmt.Errorf("schedules that are not due were written: resource versions %s, then %s", before, after)
		}
		refresh := max(all-idle, 0)
		figure(out, "schedule.idle_core_percent", 100*(idle.Seconds()/idleFor.Seconds()+refresh.Seconds()/(10*time.Minute).Seconds()), "%")
		return nil
	})
}

// versions of the newest schedule: nothing is written when it stays.
func versions(ctx context.Context, w *storm.World) (string, error) {
	list := &v1alpha1.RecoveryScheduleList{}
	if err := w.Client.List(ctx, list, client.InNamespace(storm.Namespace)); err != nil {
		return "", err
	}
	newest := ""
	for i := range list.Items {
		if v := list.Items[i].ResourceVersion; len(v) > len(newest) || len(v) == len(newest) && v > newest {
			newest = v
		}
	}
	return newest, nil
}

// cpuDuring a time, of this process.
func cpuDuring(ctx context.Context, d time.Duration) (time.Duration, error) {
	before, err := cpu()
	if err != nil {
		return 0, err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
	}
	after, err := cpu()
	return after - before, err
}

func cpu() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
