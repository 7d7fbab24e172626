package source

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestProbe asks each remote by itself.
func TestProbe(t *testing.T) {
	r, _, second, _ := history(t)
	good := serve(t, gitHandler(t, r.dir)) + "/repo.git"
	hangs := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })) + "/repo.git"
	answers, err := Probe(t.Context(), Options{
		URL: nobody, Auth: Auth{Username: "robot", Password: "s3cret-token"},
		Mirrors: []Mirror{{URL: good}, {URL: hangs}, {URL: "file://" + r.dir}, {URL: answering(t, http.StatusUnauthorized, "")}},
	}, time.Second)
	if err != nil || len(answers) != 5 {
		t.Fatalf("%+v, %v", answers, err)
	}
	for i, want := range []struct{ tip, err string }{{"", "refused"}, {second, ""}, {"", "no answer within 1s"}, {second, ""}, {"", "credentials"}} {
		got := answers[i]
		if got.Tip != want.tip || (got.Err == nil) != (want.err == "") || got.Err != nil && !strings.Contains(got.Err.Error(), want.err) {
			t.Errorf("remote %d: %+v, want %+v", i, got, want)
		}
		if got.Err != nil && strings.Contains(got.Err.Error(), "s3cret") {
			t.Errorf("it tells a password: %v", got.Err)
		}
	}
	if _, err := Probe(t.Context(), Options{URL: good, Branch: "a", Tag: "b"}, time.Second); err == nil {
		t.Error("options that contradict each other were taken")
	}
	gone, err := Probe(t.Context(), Options{URL: good, Branch: "gone"}, time.Second)
	if err != nil || gone[0].Err == nil || !strings.Contains(gone[0].Err.Error(), "has no branch") {
		t.Errorf("a branch that is gone: %+v, %v", gone, err)
	}
}
