package failover_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/recovery/failover"
)

var t0 = time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

func read(readings ...failover.Reading) failover.Track {
	var t failover.Track
	for _, r := range readings {
		t = t.Next(r)
	}
	return t
}

func said(seconds int, kind failover.Kind) failover.Reading {
	return failover.Reading{At: at(seconds), Kind: kind, Message: "m"}
}

func TestTrack(t *testing.T) {
	how := failover.Asking{Every: 2 * time.Second, Timeout: 10 * time.Second, Patience: 45 * time.Second}
	const alive, dead, no, unknown = failover.Alive, failover.Dead, failover.NoAnswer, failover.Unknown
	every := func(from, to, step int, kinds ...failover.Kind) (all []failover.Reading) {
		for at, i := from, 0; at <= to; at, i = at+step, i+1 {
			all = append(all, said(at, kinds[i%len(kinds)]))
		}
		return all
	}
	for name, c := range map[string]struct {
		readings []failover.Reading
		now      int
		state    v1alpha1.SignalState
		since    int
		changes  int // 0 for never
	}{
		"alive":                               {every(0, 2, 2, alive), 3, v1alpha1.SignalHealthy, 0, 0},
		"refused":                             {append(every(0, 0, 1, alive), every(2, 4, 2, dead)...), 5, v1alpha1.SignalFailing, 2, 0},
		"refused once":                        {append(every(0, 0, 1, alive), said(2, dead)), 3, v1alpha1.SignalSilent, 2, 0},
		"one success starts anew":             {[]failover.Reading{said(0, dead), said(2, alive), said(4, dead), said(6, dead)}, 7, v1alpha1.SignalFailing, 4, 0},
		"silent":                              {every(10, 20, 10, no), 21, v1alpha1.SignalSilent, 10, 55},
		"silent for too long":                 {every(10, 60, 10, no), 61, v1alpha1.SignalFailing, 55, 0},
		"just not long enough":                {every(10, 50, 10, no), 54, v1alpha1.SignalSilent, 10, 55},
		"refused, then silent, is silent":     {[]failover.Reading{said(0, dead), said(2, no)}, 10, v1alpha1.SignalSilent, 0, 45},
		"refused long ago, silent since":      {append(every(0, 98, 2, dead), said(100, no)), 101, v1alpha1.SignalFailing, 45, 0},
		"refused and silent by turns":         {every(0, 3600, 8, dead, no), 3601, v1alpha1.SignalFailing, 45, 0},
		"silence is broken by an unknown":     {[]failover.Reading{said(0, no), said(40, unknown), said(42, no)}, 50, v1alpha1.SignalSilent, 42, 87},
		"nobody knows":                        {[]failover.Reading{said(0, dead), said(2, unknown)}, 3, v1alpha1.SignalUnknown, 2, 0},
		"a slow server's silence does end":    {[]failover.Reading{said(0, no), said(30, alive), said(40, no)}, 50, v1alpha1.SignalSilent, 40, 85},
		"silent, then refused, fails at once": {[]failover.Reading{said(0, no), said(3, dead)}, 4, v1alpha1.SignalFailing, 3, 0},
		"nobody asked since it was refused":   {every(0, 2, 2, dead), 20, v1alpha1.SignalUnknown, 19, 0},
		"nobody asked since it was silent":    {every(0, 10, 10, no), 60, v1alpha1.SignalUnknown, 27, 0},
		"nobody asked since it lived":         {every(0, 2, 2, alive), 20, v1alpha1.SignalUnknown, 19, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := read(c.readings...).Sample("s", how, at(c.now))
			if s.State != c.state || !s.Since.Equal(at(c.since)) {
				t.Errorf("%s since %s, want %s since %s", s.State, s.Since, c.state, at(c.since))
			}
			if c.changes == 0 != s.Changes.IsZero() || c.changes != 0 && !s.Changes.Equal(at(c.changes)) {
				t.Errorf("changes at %s, want second %d", s.Changes, c.changes)
			}
		})
	}
	if s := (failover.Track{}).Sample("s", how, t0); s.State != v1alpha1.SignalUnknown || !s.Pending {
		t.Errorf("without a reading: %+v", s)
	}
	if track := read(said(0, alive)); how.Late(track, at(3)) || !how.Late(track, at(4)) || how.Late(failover.Track{}, at(4)) {
		t.Error("an answer is late at the wrong time")
	}
}

func sample(state v1alpha1.SignalState, since int) failover.Sample {
	return failover.Sample{Name: "s", State: state, Since: at(since)}
}

func TestJudge(t *testing.T) {
	const h, f, s, u = v1alpha1.SignalHealthy, v1alpha1.SignalFailing, v1alpha1.SignalSilent, v1alpha1.SignalUnknown
	for name, c := range map[string]struct {
		samples     []failover.Sample
		quorum      int
		dead, alive bool
		since       int
		looks       bool
		known       bool
	}{
		"one fails":                         {[]failover.Sample{sample(f, 3)}, 1, true, false, 3, true, true},
		"one is silent":                     {[]failover.Sample{sample(s, 3)}, 1, false, false, 0, true, true},
		"one lives":                         {[]failover.Sample{sample(h, 3)}, 1, false, true, 3, false, true},
		"nobody knows":                      {[]failover.Sample{sample(u, 3)}, 1, false, false, 0, false, false},
		"all have to fail by default":       {[]failover.Sample{sample(f, 3), sample(h, 1)}, 0, false, true, 1, false, true},
		"all fail, since the last one does": {[]failover.Sample{sample(f, 3), sample(f, 9)}, 0, true, false, 9, true, true},
		"two of three, since the second":    {[]failover.Sample{sample(f, 9), sample(h, 1), sample(f, 3)}, 2, true, false, 9, true, true},
		"one of two, neither":               {[]failover.Sample{sample(f, 9), sample(u, 1)}, 2, false, false, 0, false, true},
		"one of three fails, two live":      {[]failover.Sample{sample(f, 9), sample(h, 1), sample(h, 5)}, 2, false, true, 5, false, true},
		"one lives, one is silent":          {[]failover.Sample{sample(f, 9), sample(h, 1), sample(s, 5)}, 2, false, false, 0, true, true},
		"nothing is looked at":              {nil, 1, false, false, 0, false, false},
		"pending":                           {[]failover.Sample{{State: u, Pending: true}}, 1, false, false, 0, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := failover.Judge(c.samples, c.quorum)
			if v.Dead != c.dead || v.Alive != c.alive || v.LooksDead != c.looks || v.Known != c.known {
				t.Errorf("%+v", v)
			}
			if (v.Dead || v.Alive) && !v.Since.Equal(at(c.since)) {
				t.Errorf("since %s, want %s", v.Since, at(c.since))
			}
		})
	}
}

func TestBreaker(t *testing.T) {
	third := intstr.FromString("30%")
	for _, c := range []struct {
		most    intstr.IntOrString
		watched int
		want    int
	}{
		{third, 0, 1}, {third, 1, 1}, {third, 3, 1}, {third, 7, 2}, {third, 25, 7}, {intstr.FromString("0%"), 100, 1},
		{intstr.FromString("100%"), 4, 4}, {intstr.FromInt32(3), 100, 3}, {intstr.FromString("nonsense"), 100, 1}, {intstr.FromInt32(-3), 100, 1},
	} {
		if got := failover.Limit(c.most, c.watched); got != c.want {
			t.Errorf("limit %s of %d: %d, want %d", c.most.String(), c.watched, got, c.want)
		}
	}

	var b failover.Breaker
	steps := []struct {
		second, dead int
		open         bool
	}{
		{0, 7, false},   // as many as may
		{10, 8, true},   // one too many
		{20, 25, true},  // worse
		{30, 3, true},   // calm, but not for long
		{200, 9, true},  // and not any more
		{300, 1, true},  // calm again
		{599, 1, true},  // not quite long enough
		{600, 1, false}, // closed
		{610, 1, false},
	}
	for _, s := range steps {
		b = b.Next(failover.Fleet{Watched: 25, LookDead: s.dead}, third, at(s.second))
		if b.Open() != s.open {
			t.Fatalf("second %d, %d dead: open is %v, want %v (%s)", s.second, s.dead, b.Open(), s.open, b.Why)
		}
		if b.Open() == (b.Why == "") || b.Open() == b.Again(at(s.second)).IsZero() {
			t.Errorf("second %d: it says %q", s.second, b.Why)
		}
		if s.second == 600 && !b.Thawed.Equal(at(600)) {
			t.Errorf("thawed at %s", b.Thawed)
		}
	}

	b = failover.Breaker{}.Next(failover.Fleet{Watched: 25, LookDead: 1, Pending: 20}, third, at(0))
	if !b.Open() || !b.Since.IsZero() || b.Why == "" {
		t.Errorf("while 20 are pending: %+v", b)
	}
	if b = b.Next(failover.Fleet{Watched: 25, LookDead: 1}, third, at(1)); b.Open() || b.Why != "" {
		t.Errorf("once they are known: %+v", b)
	}
}
