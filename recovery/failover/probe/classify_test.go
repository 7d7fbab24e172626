package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/recovery/failover"
)

func answer(code int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: "m\nn"}}
}

func TestClassify(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &url.Error{Op: "Get", URL: "https://canary:canary@host", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}}
	}
	at := func(err error) error { return &url.Error{Op: "Get", URL: "https://canary:canary@host", Err: err} }
	for name, c := range map[string]struct {
		err  error
		want failover.Kind
	}{
		"good":              {nil, failover.Alive},
		"too many requests": {answer(429), failover.Alive},
		"not ready":         {answer(500), failover.Dead},
		"nothing behind it": {answer(503), failover.Dead},
		"gateway timeout":   {answer(504), failover.NoAnswer},
		"unauthorized":      {answer(401), failover.Unknown},
		"forbidden":         {apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, "x", errors.New("no")), failover.Unknown},
		"not found":         {answer(404), failover.Unknown},
		"refused":           {dial(syscall.ECONNREFUSED), failover.Dead},
		"no route":          {dial(syscall.EHOSTUNREACH), failover.NoAnswer},
		"no network":        {dial(syscall.ENETUNREACH), failover.Unknown},
		"reset":             {dial(syscall.ECONNRESET), failover.NoAnswer},
		"timed out":         {at(context.DeadlineExceeded), failover.NoAnswer},
		"timed out below":   {at(os.ErrDeadlineExceeded), failover.NoAnswer},
		"its end":           {at(io.EOF), failover.NoAnswer},
		"no such name":      {at(&net.DNSError{Err: "no such host", Name: "host", IsNotFound: true}), failover.NoAnswer},
		"no name server":    {at(&net.DNSError{Err: "server misbehaving", Name: "host", IsTemporary: true}), failover.Unknown},
		"another authority": {at(x509.UnknownAuthorityError{}), failover.Unknown},
		"another name":      {at(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "host"}), failover.Unknown},
		"wrapped":           {fmt.Errorf("ask: %w", dial(syscall.ECONNREFUSED)), failover.Dead},
	} {
		t.Run(name, func(t *testing.T) {
			kind, message := Classify(c.err)
			if kind != c.want {
				t.Errorf("%v, want %v (%s)", kind, c.want, message)
			}
			if strings.Contains(message, "canary") || strings.Contains(message, "\n") || kind != failover.Alive && message == "" {
				t.Errorf("it says %q", message)
			}
		})
	}
	if _, message := Classify(&apierrors.StatusError{ErrStatus: metav1.Status{Code: 500, Message: strings.Repeat("x", 1<<20)}}); len(message) > 1000 {
		t.Errorf("it says %d bytes", len(message))
	}
}
