package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

const (
	// readyTimeout bounds the start of one part.
	readyTimeout = 2 * time.Minute
	// readyEvery is how often a part that starts is asked whether it is ready: an HTTP
	// endpoint cannot be watched.
	readyEvery = 100 * time.Millisecond
	// stopGrace is how long a part may take to end by itself.
	stopGrace = 15 * time.Second
)

// start makes sure that a part runs and waits until it says that it is ready. A part
// that ends meanwhile fails the start at once, with the end of its log.
func (p parts) start(ctx context.Context, part part) error {
	r, _, err := process.Start(ctx, p.layout.dir(), part.spec, p.clock.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if r.Wait(ctx) == nil {
			cancel(&controlplane.ComponentError{Component: r.Name, LogPath: r.LogPath(), Tail: process.Tail(r.LogPath())})
		}
	}()
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(part.health)) + "/readyz"
	var last error
	err = wait.PollUntilContextTimeout(ctx, readyEvery, readyTimeout, true, func(ctx context.Context) (bool, error) {
		last = ready(ctx, url)
		return last == nil, nil
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%s was not ready within %s (log: %s): %w", r.Name, readyTimeout, r.LogPath(), last)
	}
	return nil
}

func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}
