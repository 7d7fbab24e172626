package order

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const waveAnnotation = "argocd.argoproj.io/sync-wave"

// declaredWaves reads the sync waves of each unit and makes every later wave of a
// unit wait until all earlier ones are ready. Waves of different units do not compare.
func (b *builder) declaredWaves() {
	b.readWaves()
	b.pullForward()
	units := map[string]map[int][]int{}
	var names []string
	for i, it := range b.items {
		if b.late[i] {
			continue
		}
		unit := it.Origin.Unit
		if units[unit] == nil {
			units[unit] = map[int][]int{}
			names = append(names, unit)
		}
		units[unit][b.wave[i]] = append(units[unit][b.wave[i]], i)
	}
	slices.Sort(names)
	for _, unit := range names {
		if len(units[unit]) > 1 {
			b.waved[unit] = true
			b.chain(unit, units[unit])
		}
	}
}

// readWaves follows Argo CD in taking a wave that is no number for 0, but says so.
func (b *builder) readWaves() {
	b.wave = make([]int, len(b.items))
	for i, it := range b.items {
		text, ok := it.GetAnnotations()[waveAnnotation]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			b.warn("%s: sync-wave %q is not a whole number and counts as 0", it.where(), text)
		}
		b.wave[i] = n
	}
}

// pullForward moves what a hard edge needs into the earliest wave that needs it, and
// what that needs in turn.
func (b *builder) pullForward() {
	needs := map[int][]int{}
	for _, l := range b.strong {
		needs[l.to] = append(needs[l.to], l.from)
	}
	declared, by := slices.Clone(b.wave), map[int]int{}
	queue := make([]int, 0, len(needs))
	for i := range b.items {
		if len(needs[i]) > 0 && !b.late[i] {
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		user := queue[0]
		queue = queue[1:]
		for _, dep := range needs[user] {
			if b.items[dep].Origin.Unit == b.items[user].Origin.Unit && b.wave[user] < b.wave[dep] {
				b.wave[dep], by[dep] = b.wave[user], user
				queue = append(queue, dep)
			}
		}
	}
	for dep, w := range b.wave {
		if w != declared[dep] {
			b.warn("%s declares sync-wave %d, but %s needs it in wave %d: it goes in wave %d",
				b.name(dep), declared[dep], b.name(by[dep]), w, w)
		}
	}
}

// chain makes one barrier after each wave of a unit but the last.
func (b *builder) chain(unit string, waves map[int][]int) {
	numbers := make([]int, 0, len(waves))
	for n := range waves {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	for k, n := range numbers[:len(numbers)-1] {
		next := numbers[k+1]
		members := waves[n]
		done := b.barrier(fmt.Sprintf("all %s of sync-wave %d%s", count(len(members), "object"), n, of(unit)))
		for _, i := range members {
			b.need(done, i, Ready, Declared, fmt.Sprintf("is in sync-wave %d", n))
		}
		for _, i := range waves[next] {
			b.need(i, done, Ready, Declared, fmt.Sprintf("is in sync-wave %d", next))
		}
	}
}

func of(unit string) string {
	if unit == "" {
		return ""
	}
	return " of " + unit
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
