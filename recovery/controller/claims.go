package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// claims are the epochs under which this process works on runs, and when it last
// wrote their progress. Both may be forgotten: the next process claims anew.
type claims struct {
	mu    sync.Mutex
	epoch map[types.UID]int64
	wrote map[types.UID]time.Time
}

func newClaims() *claims {
	return &claims{epoch: map[types.UID]int64{}, wrote: map[types.UID]time.Time{}}
}

func (c *claims) of(run types.UID) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch[run]
}

func (c *claims) set(run types.UID, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch[run] = epoch
}

func (c *claims) forget(run types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.epoch, run)
	delete(c.wrote, run)
}

// mayWrite tells how long to hold back a write of progress, 0 for not at all, and
// counts it as done in that case.
func (c *claims) mayWrite(run types.UID, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.wrote[run]; ok && now.Sub(last) < progressEvery {
		return progressEvery - now.Sub(last)
	}
	c.wrote[run] = now
	return 0
}

// progressEvery is the least time between two writes that only tell progress.
const progressEvery = time.Second
