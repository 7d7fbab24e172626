package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// reachError is a reason that is known where it arises.
type reachError struct {
	why  Why
	text string
}

func (e *reachError) Error() string { return e.text }

func denied(format string, args ...any) error {
	return &reachError{why: Denied, text: fmt.Sprintf(format, args...)}
}

func notTrusted(format string, args ...any) error {
	return &reachError{why: NotTrusted, text: fmt.Sprintf(format, args...)}
}

// unreachable tells apart why a remote gave no references.
func (r *remote) unreachable(err error) error {
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("repository %s: %w", r.display, ErrEmptyRepository)
	case errors.Is(err, ErrLimit), errors.Is(err, context.Canceled):
		return fmt.Errorf("repository %s: %w", r.display, err)
	}
	why, reason := diagnose(err)
	return &UnreachableError{URL: r.display, Reason: reason, Why: why}
}

// interrupted tells a connection that broke off from a server that sent something wrong.
func (r *remote) interrupted(err error, doing string) error {
	var network net.Error
	if errors.As(err, &network) {
		why, reason := diagnose(err)
		return &UnreachableError{URL: r.display, Reason: doing + ": " + reason, Why: why}
	}
	return fmt.Errorf("repository %s, %s: %w", r.display, doing, err)
}

// diagnose gives one clear sentence for what a transport reports.
func diagnose(err error) (Why, string) {
	// Two wrappings of go-git do not unwrap.
	var (
		unexpected *plumbing.UnexpectedError
		permanent  *plumbing.PermanentError
		known      *reachError
		status     *githttp.Err
	)
	if errors.As(err, &unexpected) {
		err = unexpected.Err
	}
	if errors.As(err, &permanent) {
		err = permanent.Err
	}
	switch {
	case errors.As(err, &known):
		return known.why, known.text
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return Denied, strings.TrimRight(err.Error(), ": \n")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return Absent, strings.TrimRight(err.Error(), ": \n")
	case errors.As(err, &status):
		why := NoAnswer
		if code := status.StatusCode(); code >= 400 && code < 500 && code != 408 && code != 429 {
			why = Denied
		}
		return why, fmt.Sprintf("it answered with status %d", status.StatusCode())
	}
	if text := badCertificate(err); text != "" {
		return NotTrusted, text
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return NoAnswer, "it closed the connection before it had answered"
	}
	if notGit(err) {
		return NotGit, fmt.Sprintf("what it sent is not what a Git server sends (%v)", err)
	}
	return NoAnswer, err.Error()
}

// badCertificate explains why a TLS certificate does not hold; "" when it is not about one.
func badCertificate(err error) string {
	var (
		invalid   x509.CertificateInvalidError
		unknown   x509.UnknownAuthorityError
		otherName x509.HostnameError
		failed    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		c := invalid.Cert
		return fmt.Sprintf("its TLS certificate (%s) is valid from %s to %s, which is not now: renew it, and check the clock of this machine",
			c.Subject, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	case errors.As(err, &unknown):
		return "its TLS certificate is signed by an authority that is not trusted: give that authority's certificate as the CA bundle (caFile)"
	case errors.As(err, &otherName):
		return "its TLS certificate is for another host name: " + otherName.Error()
	case errors.As(err, &failed), errors.As(err, &invalid):
		return "its TLS certificate does not hold: " + err.Error()
	}
	return ""
}

// notGit recognises an answer that cannot come from a Git server.
func notGit(err error) bool {
	var (
		data   *packp.ErrUnexpectedData
		record tls.RecordHeaderError
	)
	if errors.As(err, &data) || errors.As(err, &record) || errors.Is(err, pktline.ErrInvalidPktLen) || errors.Is(err, packp.ErrEmptyInput) {
		return true
	}
	for _, sign := range []string{"malformed HTTP", "server gave HTTP response to HTTPS client", "invalid pkt-len", "overflow reading version string"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}
