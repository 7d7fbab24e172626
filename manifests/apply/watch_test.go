package apply_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/health"
)

const goneEvent = `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired","message":"too old resource version"}}`

// disturbed answers the first watches of Deployments in another way.
func disturbed(times int32, how func(r *http.Request) (*http.Response, error)) (*rest.Config, *atomic.Int32) {
	seen := &atomic.Int32{}
	config := rest.CopyConfig(plane.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("watch") == "true" && strings.HasSuffix(r.URL.Path, "/deployments") && seen.Add(1) <= times {
				return how(r)
			}
			return next.RoundTrip(r)
		})
	})
	return config, seen
}

func response(r *http.Request, code int, body string) *http.Response {
	return &http.Response{StatusCode: code, Proto: "HTTP/1.1", Request: r,
		Header: http.Header{"Content-Type": []string{"application/json"}}, Body: io.NopCloser(bytes.NewBufferString(body))}
}

func TestWatchesAreTakenUpAgain(t *testing.T) {
	cases := map[string]func(r *http.Request) (*http.Response, error){
		"version too old": func(r *http.Request) (*http.Response, error) { return response(r, 200, goneEvent), nil },
		"connection lost": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset by peer") },
		"ends at once":    func(r *http.Request) (*http.Response, error) { return response(r, 200, ""), nil },
		"server is busy": func(r *http.Request) (*http.Response, error) {
			return response(r, 503, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":503,"reason":"ServiceUnavailable","message":"busy"}`), nil
		},
	}
	for name, how := range cases {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			namespace := "watch-" + strings.ReplaceAll(name, " ", "-")
			objects := []manifests.Object{planetest.Namespace(namespace), planetest.Deployment(namespace, "web", 1)}
			o := options()
			config, seen := disturbed(2, how)
			o.Config = config
			r, err := apply.Run(t.Context(), build(t, objects), o)
			if err != nil {
				t.Fatal(err)
			}
			// Another watch need not follow: the list after one that cannot go on may
			// already show the object healthy.
			if seen.Load() < 1 {
				t.Error("no watch was disturbed, so nothing was tested")
			}
			for _, x := range r.Objects {
				if x.Status != health.Healthy {
					t.Errorf("%s: %s", x.ID, x.Message)
				}
			}
		})
	}
}
