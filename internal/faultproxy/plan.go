package faultproxy

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// Kind of fault.
type Kind string

// The faults. Those of the client (Kill, Freeze) and of the server's surroundings (Event)
// need a hand outside of the proxy; see Sequence.Do.
const (
	None Kind = ""
	// DropRequest loses the request before the server saw it.
	DropRequest Kind = "drop-request"
	// DropResponse loses the answer: the server did it, the client does not know.
	DropResponse Kind = "drop-response"
	// Delay holds the request back for a while.
	Delay Kind = "delay"
	// Conflict, TooMany and Broken are answers 409, 429 with Retry-After, and 500,
	// without effect.
	Conflict Kind = "409"
	TooMany  Kind = "429"
	Broken   Kind = "500"
	// CutWatches ends every watch at that moment; StaleWatches delivers nothing through
	// them for a while.
	CutWatches   Kind = "cut-watches"
	StaleWatches Kind = "stale-watches"
	// StaleReads answers reads for a while as they were answered before the write, as an
	// API server does that lost its watch of etcd.
	StaleReads Kind = "stale-reads"
	// KillBefore and KillAfter end the client before the server sees the write, or after
	// it carried it out.
	KillBefore Kind = "kill-before"
	KillAfter  Kind = "kill-after"
	// Freeze holds the write and all that the client does after it, until Thaw.
	Freeze Kind = "freeze"
	// Event calls a hand before the write goes on.
	Event Kind = "event"
	// Storm lets every write meet one of the first six, or nothing, by chance.
	Storm Kind = "storm"
)

// Verdict is what is done to one request.
type Verdict struct {
	// Drop it before the server sees it, or DropAnswer after.
	Drop, DropAnswer bool
	// Wait before it is sent on.
	Wait time.Duration
	// Code, when not 0, is answered instead of the server.
	Code int
	// CutWatches and Silence, for watches.
	CutWatches bool
	Silence    time.Duration
	// Stale reads of the proxy from now on, for so long.
	Stale time.Duration
	// Kill the client, after the server answered when DropAnswer is set.
	Kill bool
	// Freeze the client.
	Freeze bool
	// Call the hand.
	Call bool
}

// Plan decides. It is pure: the same number and request give the same verdict.
type Plan interface {
	On(k int, r Request) Verdict
}

// Request is what a plan may know of one.
type Request struct {
	// Server is the name of the proxy that it came through.
	Server string
	Method string
	Target Target
}

// String names the write for people.
func (r Request) String() string { return fmt.Sprintf("%s %s on %s", r.Method, r.Target, r.Server) }

const (
	// late is how long Delay holds a write back, and silent how long StaleWatches
	// keeps watches from delivering: longer than a run needs for several steps.
	late   = 700 * time.Millisecond
	silent = 1500 * time.Millisecond
	// stormy is the share of writes that a Storm hits, in percent.
	stormy = 20
)

// Fault is a plan that does one thing, at write number At.
type Fault struct {
	Kind Kind
	// At counts from 1. A Storm begins with it.
	At int
	// Seed of a Storm.
	Seed uint64
}

// On implements Plan.
func (f Fault) On(k int, _ Request) Verdict {
	if f.Kind == Storm {
		return f.storm(k)
	}
	if k != f.At {
		return Verdict{}
	}
	return single(f.Kind)
}

func single(kind Kind) Verdict {
	switch kind {
	case DropRequest:
		return Verdict{Drop: true}
	case DropResponse:
		return Verdict{DropAnswer: true}
	case Delay:
		return Verdict{Wait: late}
	case Conflict:
		return Verdict{Code: http.StatusConflict}
	case TooMany:
		return Verdict{Code: http.StatusTooManyRequests}
	case Broken:
		return Verdict{Code: http.StatusInternalServerError}
	case CutWatches:
		return Verdict{CutWatches: true}
	case StaleWatches:
		return Verdict{Silence: silent}
	case StaleReads:
		return Verdict{Stale: silent}
	case KillBefore:
		return Verdict{Kill: true, Drop: true}
	case KillAfter:
		return Verdict{Kill: true, DropAnswer: true}
	case Freeze:
		return Verdict{Freeze: true}
	case Event:
		return Verdict{Call: true}
	}
	return Verdict{}
}

// storm draws from a generator that depends on seed and number only.
func (f Fault) storm(k int) Verdict {
	if k < f.At {
		return Verdict{}
	}
	draw := rand.New(rand.NewPCG(f.Seed, uint64(k)))
	if draw.IntN(100) >= stormy {
		return Verdict{}
	}
	kinds := []Kind{DropRequest, DropResponse, Delay, Conflict, TooMany, Broken, CutWatches}
	return single(kinds[draw.IntN(len(kinds))])
}
