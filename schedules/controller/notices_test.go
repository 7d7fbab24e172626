package controller_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// noticed schedules give notice a quarter of an hour before, to a webhook too.
func noticed(url, secret string) func(*v1alpha1.RecoveryScheduleSpec) {
	return func(s *v1alpha1.RecoveryScheduleSpec) {
		s.Teardown.Notice = v1alpha1.TeardownNotice{Before: &metav1.Duration{Duration: 15 * time.Minute}, Webhook: &v1alpha1.NoticeWebhook{URL: url}}
		if secret != "" {
			s.Teardown.Notice.Webhook.SecretRef = &v1alpha1.LocalSecretReference{Name: secret}
		}
	}
}

// sending notices until the test ends.
func (w *world) sending(timeout time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.r.SendNotices(ctx, timeout) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) secret(key, token string) {
	w.t.Helper()
	w.must(w.c.Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "hook"},
		Data:       map[string][]byte{"key": []byte(key), "token": []byte(token)},
	}))
}

// warned waits for an event of a kind.
func (w *world) warned(want ...string) {
	w.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	all := ""
	for {
		if all += w.told(); strings.Contains(all, canary) {
			w.t.Errorf("a secret is told: %s", all)
			return
		}
		if !slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(all, part) }) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Errorf("events %q, want %q", all, want)
			return
		}
	}
}

// sent is what a webhook got.
type sent struct {
	body   []byte
	header http.Header
}

func hook(t *testing.T, status int) (string, chan sent) {
	t.Helper()
	got := make(chan sent, 100)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- sent{body, r.Header.Clone()}
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		w.WriteHeader(status)
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}), got
}

func (w *world) gets(got chan sent) sent {
	w.t.Helper()
	select {
	case s := <-got:
		return s
	case <-time.After(20 * time.Second):
		w.t.Fatal("the webhook got nothing")
		return sent{}
	}
}

// TestNotice is given once, as an event and to a webhook, signed.
func TestNotice(t *testing.T) {
	w := newWorld(t)
	w.sending(10 * time.Second)
	key, token := "key-"+canary, "token-"+canary
	w.secret(key, token+"\n")
	url, got := hook(t, http.StatusNoContent)
	s := w.office(noticed(url, "hook"))
	w.at("19:44", s)
	w.tells("")
	w.at("19:45", s)
	w.at("19:50", s)
	notice := w.gets(got)
	if notice.header.Get("Authorization") != "Bearer "+token || notice.header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", notice.header)
	}
	verify(t, notice, key, w.time("19:45"))
	var body map[string]string
	w.must(json.Unmarshal(notice.body, &body))
	for field, want := range map[string]string{
		"kind": "TeardownNear", "namespace": w.ns, "schedule": "dev", "plan": "dev", "cluster": "dev", "operation": "Teardown",
		"at": w.time("20:00").Format(time.RFC3339), "nominal": w.time("20:00").Format("2006-01-02T15:04"),
	} {
		if body[field] != want {
			t.Errorf("%s is %q, want %q", field, body[field], want)
		}
	}
	if told := w.told(); strings.Count(told, "TeardownNear") != 1 || strings.Contains(told, canary) {
		t.Errorf("events %s", told)
	}
	if len(got) > 0 {
		t.Errorf("%d more notices", len(got))
	}
	w.runs(0)
}

// verify a signature as who gets a notice does.
func verify(t *testing.T, notice sent, key string, want time.Time) {
	t.Helper()
	at, sum, ok := strings.Cut(strings.TrimPrefix(notice.header.Get("Refloat-Signature"), "t="), ",v1=")
	unix, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil {
		t.Fatalf("signature %q", notice.header.Get("Refloat-Signature"))
	}
	if signed := time.Unix(unix, 0); signed.Before(want) || signed.After(want.Add(10*time.Minute)) {
		t.Errorf("signed at %s", signed)
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(at + "."))
	mac.Write(notice.body)
	if sum != hex.EncodeToString(mac.Sum(nil)) {
		t.Error("the signature does not verify")
	}
}

// TestNoticeNotSent is told in an event, without secrets, and changes nothing else.
func TestNoticeNotSent(t *testing.T) {
	refusing, _ := hook(t, http.StatusForbidden)
	failing, _ := hook(t, http.StatusInternalServerError)
	elsewhere, got := hook(t, http.StatusOK)
	leading := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	for name, test := range map[string]struct{ url, secret, says string }{
		"refused":           {refusing, "hook", "answers 403 Forbidden"},
		"an error":          {failing, "hook", "answers 500 Internal Server Error"},
		"a redirect":        {leading, "hook", "answers 307 Temporary Redirect"},
		"no secret":         {refusing, "missing", "read Secret missing"},
		"nobody listens":    {"http://127.0.0.1:1", "hook", "cannot be reached"},
		"a metadata server": {"http://169.254.169.254", "hook", "an address of the infrastructure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sending(10 * time.Second)
			w.secret("key-"+canary, "token-"+canary)
			s := w.office(noticed(test.url+"/hooks/"+canary+"?token="+canary, test.secret))
			w.at("19:45", s)
			w.warned("Warning NoticeNotSent: spec.teardown.notice.webhook: ", test.says)
			w.at("20:00", s)
			w.runs(1)
		})
	}
	t.Cleanup(func() {
		if len(got) > 0 {
			t.Error("a redirect was followed, with secrets")
		}
	})
}

// TestHookThatHangs holds up neither schedules nor, for long, the notices of others.
func TestHookThatHangs(t *testing.T) {
	w := newWorld(t)
	w.sending(300 * time.Millisecond)
	var asked atomic.Int32
	hanging := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	url, got := hook(t, http.StatusOK)
	for i := range 30 {
		w.plan(fmt.Sprintf("dev-%02d", i), nil)
	}
	w.plan("last", map[string]string{"hook": "good"})
	bad := w.schedule("bad", func(s *v1alpha1.RecoveryScheduleSpec) {
		noticed(hanging, "")(s)
		s.PlanRef, s.PlanSelector = nil, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "hook", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	})
	good := w.schedule("last", noticed(url, ""))
	w.at("12:00", bad, good)
	w.told()
	w.at("19:45", bad, good)
	began := time.Now()
	w.gets(got)
	if waited := time.Since(began); waited > 5*time.Second {
		t.Errorf("the notice of another schedule waited for %s", waited)
	}
	if n := asked.Load(); n > 8 {
		t.Errorf("the webhook that hangs was asked %d times", n)
	}
	w.warned("did not answer in time a moment ago")
	w.at("20:00", bad, good)
	w.runs(31)
}

// TestLateNotice is not sent after the teardown: nobody can do anything any more.
func TestLateNotice(t *testing.T) {
	w := newWorld(t)
	url, got := hook(t, http.StatusOK)
	s := w.office(noticed(url, ""))
	w.at("19:59", s)
	w.clock.SetTime(w.time("20:01"))
	w.sending(time.Second)
	w.warned("it was not sent before the teardown was due")
	if len(got) > 0 {
		t.Error("it was sent")
	}
}
