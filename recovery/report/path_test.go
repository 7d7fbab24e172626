package report

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func sec(s float64) time.Time   { return t0.Add(time.Duration(s * float64(time.Second))) }
func psec(s float64) *time.Time { t := sec(s); return &t }

func phaseOf(name v1alpha1.Phase, from, to float64) Phase {
	return Phase{Name: name, StartedAt: sec(from), FinishedAt: psec(to), Seconds: to - from}
}

func lives(id string, start, applied, ready float64) Object {
	return Object{ID: id, Status: StatusHealthy, StartedAt: psec(start), AppliedAt: psec(applied), ReadyAt: psec(ready)}
}

// parts of a path, in seconds.
func parts(p *Path) map[Part]float64 {
	out := map[Part]float64{}
	for _, s := range p.Parts {
		out[s.Part] = math.Round(s.Seconds*1000) / 1000
	}
	return out
}

func TestPathOf(t *testing.T) {
	whole := func(change func(*Report)) *Report {
		took := 90.0
		r := &Report{
			OrderedAt: psec(-10), StartedAt: psec(0), FinishedAt: psec(100), RecoveryTimeSeconds: &took,
			Phases: []Phase{
				phaseOf(v1alpha1.PhasePreflight, 0, 5), phaseOf(v1alpha1.PhaseApproval, 5, 15), phaseOf(v1alpha1.PhaseTeardown, 15, 30),
				phaseOf(v1alpha1.PhaseProvision, 30, 50), phaseOf(v1alpha1.PhaseBootstrap, 50, 55), phaseOf(v1alpha1.PhaseSeed, 55, 56),
				phaseOf(v1alpha1.PhaseWaves, 56, 80), phaseOf(v1alpha1.PhaseVerify, 80, 90), phaseOf(v1alpha1.PhaseCleanup, 90, 99),
			},
			Waves: []Wave{
				{Number: 1, Objects: []Object{lives("quick", 56, 57, 58), lives("slow", 56, 57, 65)}},
				{Number: 2, Objects: []Object{lives("beside", 58, 59, 79), lives("last", 65.5, 66, 79.5)}},
			},
		}
		if change != nil {
			change(r)
		}
		return r
	}
	for name, test := range map[string]struct {
		change func(*Report)
		want   map[Part]float64
	}{
		// last: gate 66-79.5, apply 65.5-66; then slow: gate 57-65, apply 56-57; in between and after: requests.
		"all": {nil, map[Part]float64{PartWaiting: 19, PartPreflight: 5, PartTeardown: 15, PartProvision: 25, PartApply: 3.5, PartGates: 21.5, PartVerify: 10, PartCleanup: 9, PartOther: 1}},
		"waited for a budget": {func(r *Report) { r.Phases[2].StoodStillSeconds = 12 },
			map[Part]float64{PartWaiting: 31, PartPreflight: 5, PartTeardown: 3, PartProvision: 25, PartApply: 3.5, PartGates: 21.5, PartVerify: 10, PartCleanup: 9, PartOther: 1}},
		"a retry": {func(r *Report) {
			r.Retried = &Retried{Run: "first", Phase: v1alpha1.PhaseWaves, StartedAt: sec(-100)}
		}, map[Part]float64{PartEarlier: 91, PartWaiting: 19, PartPreflight: 5, PartTeardown: 15, PartProvision: 25, PartApply: 3.5, PartGates: 21.5, PartVerify: 10, PartCleanup: 9, PartOther: 1}},
		"no waves are known": {func(r *Report) { r.Waves = nil },
			map[Part]float64{PartWaiting: 19, PartPreflight: 5, PartTeardown: 15, PartProvision: 25, PartApply: 25, PartVerify: 10, PartCleanup: 9, PartOther: 1}},
		"an object that never came": {func(r *Report) { r.Waves[1].Objects[0].ReadyAt, r.Waves[1].Objects[0].Status = nil, "Failed" },
			map[Part]float64{PartWaiting: 19, PartPreflight: 5, PartTeardown: 15, PartProvision: 25, PartApply: 3, PartGates: 22, PartVerify: 10, PartCleanup: 9, PartOther: 1}},
		"never started":   {func(r *Report) { r.StartedAt, r.Phases, r.Waves = nil, nil, nil }, map[Part]float64{PartWaiting: 109}},
		"a phase unknown": {func(r *Report) { r.Phases[8].Name = "Switch" }, map[Part]float64{PartWaiting: 19, PartPreflight: 5, PartTeardown: 15, PartProvision: 25, PartApply: 3.5, PartGates: 21.5, PartVerify: 10, "Switch": 9, PartOther: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p := PathOf(whole(test.change))
			if diff := cmp.Diff(test.want, parts(p)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			addsUp(t, p)
		})
	}
	if p := PathOf(whole(nil)); len(p.Recovery) == 0 || p.Recovery[0].Part != PartPreflight {
		t.Errorf("the recovery time begins with the start: %+v", p.Recovery)
	}
	if PathOf(&Report{}) != nil {
		t.Error("a run without times has a path")
	}
}

// addsUp holds parts and steps against the whole.
func addsUp(t *testing.T, p *Path) {
	t.Helper()
	percent, sum, steps := 0.0, 0.0, p.ShorterSeconds
	for _, s := range p.Parts {
		percent, sum = percent+s.Percent, sum+s.Seconds
	}
	for _, s := range p.Steps {
		steps += s.Seconds
	}
	if math.Abs(percent-100) > 1e-6 || math.Abs(sum-p.Seconds) > 1e-6 || math.Abs(steps-p.Seconds) > 1e-6 {
		t.Errorf("%.3f%%, parts of %.6fs, steps of %.6fs, the whole took %.6fs", percent, sum, steps, p.Seconds)
	}
}

// TestPathAddsUp has phases and objects at random times, also such as no clock makes: phases
// that overlap, objects that end before they begin.
func TestPathAddsUp(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	names := []v1alpha1.Phase{v1alpha1.PhasePreflight, v1alpha1.PhaseWaves, v1alpha1.PhaseVerify, "Fence"}
	for range 500 {
		took := 100 * random.Float64()
		r := &Report{OrderedAt: psec(-10 * random.Float64()), StartedAt: psec(10 * random.Float64()), FinishedAt: psec(20 + 100*random.Float64()), RecoveryTimeSeconds: &took}
		for range random.IntN(8) {
			from := 120 * random.Float64()
			p := phaseOf(names[random.IntN(len(names))], from, from+40*random.Float64()-5)
			p.StoodStillSeconds = 30 * random.Float64() * float64(random.IntN(2))
			r.Phases = append(r.Phases, p)
		}
		var objects []Object
		for range random.IntN(30) {
			o := lives("o", 150*random.Float64(), 150*random.Float64(), 150*random.Float64())
			o.Wave = 1 + random.IntN(4)
			objects = append(objects, o)
		}
		r.Waves = WavesOf(objects)
		p := PathOf(r)
		addsUp(t, p)
		sum := 0.0
		for _, s := range p.Recovery {
			sum += s.Percent
		}
		if len(p.Recovery) > 0 && math.Abs(sum-100) > 1e-6 {
			t.Fatalf("%.3f%% of the recovery time", sum)
		}
	}
}

// TestStepsAreBounded has thousands of objects, one after the other.
func TestStepsAreBounded(t *testing.T) {
	r := &Report{StartedAt: psec(0), FinishedAt: psec(3000), Phases: []Phase{phaseOf(v1alpha1.PhaseWaves, 0, 3000)}}
	for i := range 3000 {
		r.Waves = append(r.Waves, Wave{Number: i + 1, Objects: []Object{lives("o", float64(i), float64(i)+0.4, float64(i)+0.9)}})
	}
	p := PathOf(r)
	if len(p.Steps) != maxSteps || p.Shorter < 5000 {
		t.Errorf("%d steps, %d shorter ones", len(p.Steps), p.Shorter)
	}
	addsUp(t, p)
	if got := parts(p); got[PartGates] != 1500 {
		t.Errorf("parts %v", got)
	}
}
