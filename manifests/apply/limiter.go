package apply

import "time"

// limiter decides how many writes may be in flight. The credentials of a Cluster API
// kubeconfig are exempt from the server's priority and fairness, so nobody else
// protects a small control plane from us.
//
// It adds one for each full round of answers that were fast enough, and takes a
// third away, at most once per round, when the server answers slowly or says that it
// is overloaded.
type limiter struct {
	limit, highest float64
	round          int           // answers until the round ends
	sum            time.Duration // of their latencies
	count          int
	cut            bool // the limit was lowered in this round
}

const (
	// defaultConcurrency is where a 2-core control plane is saturated.
	defaultConcurrency = 32
	lowestConcurrency  = 2
	initialConcurrency = 16
	// comfortable is the mean latency of writes up to which the limit grows, and
	// overloaded the one from which it shrinks. A saturated but healthy API server
	// stays below the first with 32 in flight.
	comfortable = 250 * time.Millisecond
	overloaded  = time.Second
)

func newLimiter(highest int) *limiter {
	if highest <= 0 {
		highest = defaultConcurrency
	}
	start := min(initialConcurrency, highest)
	return &limiter{limit: float64(start), highest: float64(highest), round: start}
}

// allows one more request beside those in flight.
func (l *limiter) allows(inFlight int) bool { return inFlight < int(l.limit) }

// answered counts an answer; refused means that the server was overloaded or gone.
func (l *limiter) answered(latency time.Duration, refused bool) {
	l.sum += latency
	l.count++
	l.round--
	if refused && !l.cut {
		l.shrink()
	}
	if l.round > 0 {
		return
	}
	switch mean := l.sum / time.Duration(l.count); {
	case l.cut:
	case mean > overloaded:
		l.shrink()
	case mean < comfortable:
		l.limit = min(l.limit+1, l.highest)
	}
	l.sum, l.count, l.cut, l.round = 0, 0, false, int(l.limit)
}

func (l *limiter) shrink() {
	l.limit = max(l.limit*2/3, min(lowestConcurrency, l.highest))
	l.cut = true
}
