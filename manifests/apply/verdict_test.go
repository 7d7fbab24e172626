package apply

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests/cluster"
)

// said is an answer of a real API server (1.36), as its client reports it.
func said(code int32, reason metav1.StatusReason, message string, causes ...metav1.StatusCause) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: message,
		Details: &metav1.StatusDetails{Causes: causes}}}
}

func TestJudge(t *testing.T) {
	cases := map[string]struct {
		err  error
		want verdict
	}{
		"namespace not there yet": {said(404, metav1.StatusReasonNotFound, `namespaces "nope" not found`), verdict{action: retry}},
		"kind not served yet":     {said(404, metav1.StatusReasonNotFound, "the server could not find the requested resource"), verdict{action: retry, unmapped: true}},
		"kind unknown":            {&noMatchError{kind: "foo.io/v1, Kind=Bar"}, verdict{action: retry, unmapped: true}},
		"namespace terminating": {said(403, metav1.StatusReasonForbidden, `configmaps "y" is forbidden: unable to create new content in namespace term because it is being terminated`,
			metav1.StatusCause{Type: "NamespaceTerminating", Field: "metadata.namespace"}), verdict{action: retry}},
		"quota not counted yet":  {said(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: status unknown for quota: q, resources: pods`), verdict{action: retry}},
		"quota exceeded":         {said(403, metav1.StatusReasonForbidden, `configmaps "y" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1`), verdict{action: retry, within: briefly}},
		"account not there yet":  {said(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: error looking up service account a/b: serviceaccount "b" not found`), verdict{action: retry}},
		"priority class missing": {said(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: no PriorityClass with name high was found`), verdict{action: retry, within: briefly}},
		"not allowed":            {said(403, metav1.StatusReasonForbidden, `secrets is forbidden: User "x" cannot patch resource "secrets"`), verdict{action: fail}},
		"pod security":           {said(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: violates PodSecurity "restricted:latest"`), verdict{action: fail}},
		"conflict":               {said(409, metav1.StatusReasonConflict, "Operation cannot be fulfilled on configmaps"), verdict{action: retry}},
		"too many requests":      {apierrors.NewTooManyRequests("slow down", 7), verdict{action: retry, overloaded: true, after: 7 * time.Second}},
		"asked to wait for long": {apierrors.NewTooManyRequests("slow down", 9999), verdict{action: retry, overloaded: true, after: longestAfter}},
		"webhook down":           {said(500, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "w.foo.io": failed to call webhook: Post "https://none.default.svc:443/": service "none" not found`), verdict{action: retry}},
		"webhook denies":         {said(400, metav1.StatusReasonBadRequest, `admission webhook "w.foo.io" denied the request: no`), verdict{action: retry, within: briefly}},
		"etcd elects":            {said(500, "", "etcdserver: leader changed"), verdict{action: retry, overloaded: true}},
		"unavailable":            {said(503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down"), verdict{action: retry, overloaded: true}},
		"unknown field":          {said(500, "", "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .foo: field not declared in schema"), verdict{action: fail}},
		"wrong type":             {said(500, "", "failed to create typed patch object (/b; /v1, Kind=Secret): .data.k: expected string"), verdict{action: fail}},
		"not base64":             {said(500, "", "failed to convert new object (/b; /v1, Kind=Secret) to proper version: illegal base64 data"), verdict{action: fail}},
		"duplicate list keys":    {said(500, "", `failed to create typed patch object (/a; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="c"].env: duplicate entries for key [name="A"]`), verdict{action: fallBack}},
		"no server-side apply":   {said(415, metav1.StatusReasonUnsupportedMediaType, "the body of the request was in an unknown format"), verdict{action: fallBack}},
		"no patch at all":        {said(405, metav1.StatusReasonMethodNotAllowed, "the server does not allow this method"), verdict{action: fallBack}},
		"invalid":                {said(422, metav1.StatusReasonInvalid, `Deployment.apps "b" is invalid: spec.selector: Required value`), verdict{action: fail}},
		"immutable":              {said(422, metav1.StatusReasonInvalid, `Job.batch "b" is invalid: spec.template: Invalid value: field is immutable`), verdict{action: fail}},
		"too large":              {said(413, metav1.StatusReasonRequestEntityTooLarge, "Request entity too large"), verdict{action: fail}},
		"connection refused":     {&url.Error{Op: "Patch", URL: "https://x", Err: syscall.ECONNREFUSED}, verdict{action: retry, overloaded: true}},
		"answer timed out":       {context.DeadlineExceeded, verdict{action: retry, overloaded: true}},
		"untrusted certificate":  {&url.Error{Op: "Patch", URL: "https://x", Err: x509.UnknownAuthorityError{}}, verdict{action: fail}},
		"interrupted":            {fmt.Errorf("x: %w", context.Canceled), verdict{action: fail}},
		"name that leaves":       {&cluster.InvalidNameError{Field: "name", Name: "../x"}, verdict{action: fail}},
		"made by somebody else":  {&finalError{errors.New("exists")}, verdict{action: fail}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, judge(tc.err), cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestSecretValuesAreNotExplained(t *testing.T) {
	secret := schema.GroupKind{Kind: "Secret"}
	cases := map[string]struct {
		err  error
		want string
	}{
		"quoted in a message": {said(500, "", `failed to convert: "hunter2"`), "the API server refused the Secret (code 500)"},
		"quoted in a cause": {said(422, metav1.StatusReasonInvalid, `data[a]: Invalid value: "hunter2"`,
			metav1.StatusCause{Type: metav1.CauseTypeFieldValueInvalid, Field: "data[a]", Message: `Invalid value: "hunter2"`}),
			"the API server refused the Secret (Invalid): data[a] (FieldValueInvalid)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := cluster.Explain(tc.err, secret); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	cases := map[string]struct {
		attempts int
		after    time.Duration
		random   float64
		want     time.Duration
	}{
		"first, shortest": {1, 0, 0, 50 * time.Millisecond},
		"first, middle":   {1, 0, 0.5, 100 * time.Millisecond},
		"doubles":         {3, 0, 0.5, 400 * time.Millisecond},
		"is bounded":      {60, 0, 0.5, maxDelay},
		"server asked":    {1, 7 * time.Second, 0, 7 * time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := backoff(tc.attempts, tc.after, tc.random); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	answer := func(l *limiter, n int, latency time.Duration, refused bool) {
		for range n {
			l.answered(latency, refused)
		}
	}
	cases := map[string]struct {
		do       func(l *limiter)
		low, top int
	}{
		"starts in the middle":             {func(*limiter) {}, 16, 16},
		"grows while answers are fast":     {func(l *limiter) { answer(l, 5000, 20*time.Millisecond, false) }, 32, 32},
		"stays while answers are slow":     {func(l *limiter) { answer(l, 5000, 500*time.Millisecond, false) }, 16, 16},
		"shrinks while answers are late":   {func(l *limiter) { answer(l, 5000, 3*time.Second, false) }, 2, 2},
		"shrinks once for a refused burst": {func(l *limiter) { answer(l, 10, time.Millisecond, true) }, 10, 10},
		"recovers": {func(l *limiter) {
			answer(l, 500, time.Millisecond, true)
			answer(l, 5000, time.Millisecond, false)
		}, 32, 32},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLimiter(0)
			tc.do(l)
			if got := int(l.limit); got < tc.low || got > tc.top {
				t.Errorf("limit %d, want %d to %d", got, tc.low, tc.top)
			}
		})
	}
}
