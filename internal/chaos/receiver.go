package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/faultproxy"
	"github.com/refloat-dev/refloat/internal/witness"
)

// receiver is what the hooks of a failover call, behind a proxy like those of the API
// servers, so that its calls have numbers and meet faults. It does what it is told each
// time, as a receiver that keeps no keys.
type receiver struct {
	server *http.Server
	front  *faultproxy.Front

	mu    sync.Mutex
	calls []witness.Call
}

// receiverPath looks like that of an object, which gives a call its name among the writes.
const receiverPath = "/api/v1/hooks/"

// maxMessage of what a hook is sent.
const maxMessage = 1 << 20

// startReceiver listens on loopback. Close it.
func (t *trial) startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing is looked up
	if err != nil {
		return nil, fmt.Errorf("listen for hooks: %w", err)
	}
	r := &receiver{}
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(listener) }()
	r.front, err = faultproxy.Listen(faultproxy.Options{Name: witness.Receiver, Upstream: &rest.Config{Host: "http://" + listener.Addr().String()},
		Certificate: t.management.server, Sequence: t.sequence})
	if err != nil {
		_ = r.server.Close()
		return nil, err
	}
	return r, nil
}

func (r *receiver) url(hook string) string { return r.front.URL() + receiverPath + hook }

func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	call := witness.Call{Hook: strings.TrimPrefix(request.URL.Path, receiverPath), Key: request.Header.Get("Idempotency-Key"), Received: time.Now()}
	raw, err := io.ReadAll(io.LimitReader(request.Body, maxMessage))
	if err == nil {
		err = json.Unmarshal(raw, &call.Message)
	}
	if err != nil || request.Header.Get("Refloat-Signature") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	call.Raw = raw
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

// received are the calls so far.
func (r *receiver) received() []witness.Call {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]witness.Call(nil), r.calls...)
}

func (r *receiver) close() {
	if r != nil {
		r.front.Close()
		_ = r.server.Close()
	}
}
