package apply

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/manifests/cluster"
)

// action is what to do after a request that failed.
type action int

const (
	// fail: no repetition of the same request can succeed.
	fail action = iota
	// retry: a fresh cluster answers so until something else is there.
	retry
	// fallBack: server-side apply refuses what a plain create accepts.
	fallBack
)

// verdict on one error.
type verdict struct {
	action action
	// within bounds the retries; 0 means the object's whole time-out.
	within time.Duration
	// after is the earliest next attempt that the server asked for.
	after time.Duration
	// overloaded tells the limiter to send less.
	overloaded bool
	// unmapped says that what the server serves should be read again.
	unmapped bool
}

// briefly bounds retries of answers that are more likely final than not.
const briefly = 30 * time.Second

// noMatchError says that no resource is known for a kind.
type noMatchError struct{ kind string }

func (e *noMatchError) Error() string {
	return "the API server serves no kind " + e.kind
}

// finalError wraps what no repetition changes.
type finalError struct{ error }

// judge classifies an error of one write. It reads what the server says, because many
// of these answers carry no reason: refusals by server-side apply are plain internal
// errors.
func judge(err error) verdict {
	var noMatch *noMatchError
	var badName *cluster.InvalidNameError
	var final *finalError
	var unbacked *backupError
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &noMatch):
		return verdict{action: retry, unmapped: true}
	case errors.As(err, &unbacked):
		return verdict{action: retry, within: backupPatience}
	case errors.As(err, &badName), errors.As(err, &final):
		return verdict{action: fail}
	case errors.As(err, &status):
		return judgeStatus(status.Status())
	case untrusted(err):
		return verdict{action: fail}
	case errors.Is(err, context.Canceled):
		return verdict{action: fail}
	}
	// What is left are connections refused, reset or timed out.
	return verdict{action: retry, overloaded: true}
}

// loggedOut ends the run without a verdict on any object: the credentials are not valid
// any more, as those of some providers are not after minutes. Whoever started the run
// connects anew and starts it again; what was applied is found.
func loggedOut(err error) error {
	return fmt.Errorf("the credentials of the cluster are not accepted any more: %w", err)
}

// untrusted certificates do not become trusted by waiting.
func untrusted(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
	)
	return errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) || errors.As(err, &verify)
}

func judgeStatus(s metav1.Status) verdict {
	v := judgeCode(s)
	if s.Details != nil && v.action == retry {
		v.after = min(time.Duration(s.Details.RetryAfterSeconds)*time.Second, longestAfter)
	}
	return v
}

func judgeCode(s metav1.Status) verdict {
	switch code := int(s.Code); {
	case code == http.StatusForbidden:
		return judgeForbidden(s)
	case code == http.StatusNotFound:
		// A namespace or a kind that is on its way. Nothing else is looked up.
		return verdict{action: retry, unmapped: !strings.Contains(s.Message, "namespaces ")}
	case code == http.StatusMethodNotAllowed, code == http.StatusUnsupportedMediaType:
		return verdict{action: fallBack}
	case code == http.StatusTooManyRequests:
		return verdict{action: retry, overloaded: true}
	case code == http.StatusConflict:
		return verdict{action: retry}
	case code == http.StatusRequestTimeout:
		return verdict{action: retry, within: briefly}
	case strings.Contains(s.Message, "denied the request"):
		// A policy may wait for data that comes with other objects.
		return verdict{action: retry, within: briefly}
	case code >= http.StatusInternalServerError:
		return judgeServerError(s)
	}
	return verdict{action: fail}
}

// transient are refusals of admission that end when something else arrives.
var transient = []string{
	"status unknown for quota",  // the quota was just created and not yet counted
	"error looking up service",  // the ServiceAccount of a pod
	"no API token found for",    // the same, older servers
	"because it is being term",  // a namespace on its way out
	"not yet ready to handle",   // admission caches are filling
	"resource quota evaluation", // timed out
}

// doubtful refusals can end by themselves, but seldom do.
var doubtful = []string{
	"exceeded quota",          // over-counted until the quota controller recounts
	"denied the request",      // a policy that may wait for data
	"no PriorityClass with",   // on its way, without an edge that says so
	"RuntimeClass",            // the same
	"must specify",            // quota that demands limits which a LimitRange will set
	"failed quota",            // the same
	"error looking up",        // parameters of a policy
	"failed to find",          // the same
	"no params found for pol", // the same
}

func judgeForbidden(s metav1.Status) verdict {
	if terminating(s) || containsAny(s.Message, transient) {
		return verdict{action: retry}
	}
	if containsAny(s.Message, doubtful) {
		return verdict{action: retry, within: briefly}
	}
	return verdict{action: fail}
}

func terminating(s metav1.Status) bool {
	if s.Details == nil {
		return false
	}
	for _, c := range s.Details.Causes {
		if c.Type == "NamespaceTerminating" {
			return true
		}
	}
	return false
}

// schemaRefusals are answers of server-side apply to objects that do not fit the
// schema; they come as internal errors.
var schemaRefusals = []string{"failed to create typed patch object", "failed to convert new object", "field not declared in schema"}

func judgeServerError(s metav1.Status) verdict {
	switch {
	case strings.Contains(s.Message, "duplicate entries for key"):
		return verdict{action: fallBack}
	case containsAny(s.Message, schemaRefusals):
		return verdict{action: fail}
	case strings.Contains(s.Message, "failed calling webhook"), strings.Contains(s.Message, "failed to call webhook"),
		strings.Contains(s.Message, "conversion webhook"):
		return verdict{action: retry}
	}
	return verdict{action: retry, overloaded: true}
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 5 * time.Second
	// longestAfter bounds what a server may ask for.
	longestAfter = 30 * time.Second
)

// backoff is the delay before the next attempt, doubled each time and spread by
// random, which is in [0,1), so that objects refused together do not return together.
func backoff(attempts int, after time.Duration, random float64) time.Duration {
	d := maxDelay
	if attempts < 7 {
		d = min(firstDelay<<max(attempts-1, 0), maxDelay)
	}
	return max(d/2+time.Duration(random*float64(d)), after)
}
