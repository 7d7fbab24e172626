package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refloat-dev/refloat/recovery/failover"
)

// Classify what a question to an API server came to; nil is a good answer. The sentence
// holds no credentials and no addresses beyond the host.
func Classify(err error) (failover.Kind, string) {
	if err == nil {
		return failover.Alive, ""
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return answered(int(status.Status().Code), status.Status().Message)
	}
	return unanswered(err)
}

// answered with an HTTP status that is no success.
func answered(code int, message string) (failover.Kind, string) {
	switch {
	case code == http.StatusTooManyRequests:
		return failover.Alive, "" // it has too much to do, and lives
	case code == http.StatusGatewayTimeout || code == http.StatusRequestTimeout:
		return failover.NoAnswer, fmt.Sprintf("it answers %d: %s", code, line(message))
	case code >= http.StatusInternalServerError:
		return failover.Dead, fmt.Sprintf("it answers %d: %s", code, line(message))
	}
	return failover.Unknown, fmt.Sprintf("it answers %d: %s", code, line(message))
}

// unanswered questions.
func unanswered(err error) (failover.Kind, string) {
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var verification *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return failover.Dead, "it refuses connections"
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &record):
		return failover.Unknown, "what answers cannot prove that it is the cluster"
	case errors.As(err, &name) && !name.IsNotFound:
		return failover.Unknown, "no name server answers, so nobody can tell where it is"
	case errors.As(err, &name):
		return failover.NoAnswer, "its name does not exist"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN):
		return failover.Unknown, "this machine has no network to it"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return failover.NoAnswer, "there is no way to it"
	case isTimeout(err):
		return failover.NoAnswer, "it does not answer in time"
	}
	return failover.NoAnswer, "the connection breaks: " + line(cause(err).Error())
}

func isTimeout(err error) bool {
	var timed interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timed) && timed.Timeout()
}

// cause of an error of net/http, without addresses: they may hold secrets, and the port on
// this side is another one each time.
func cause(err error) error {
	var number syscall.Errno
	var operation *net.OpError
	var at *url.Error
	switch {
	case errors.As(err, &number):
		return number
	case errors.As(err, &operation):
		return operation.Err
	case errors.As(err, &at):
		return at.Err
	}
	return err
}

// maxLine of what others say.
const maxLine = 200

func line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + " …"
	}
	return text
}
