package source

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const canary = "c4n@ry/p%ss w0rd"

// leaks fails when an error, or anything that it wraps, repeats the canary in any form.
func leaks(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			if containsAny(text, canary, "c4n@ry", "c4n%40ry", "t0k3n-canary", base64.StdEncoding.EncodeToString([]byte("user:"+canary))) {
				t.Errorf("a credential leaked: %s", text)
			}
		}
	}
}

// requireAuth lets requests through that carry the given header.
func requireAuth(want string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != want {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, "denied %q", req.Header.Get("Authorization"))
			return
		}
		next.ServeHTTP(w, req)
	})
}

func TestHTTPCredentials(t *testing.T) {
	r, _, second, _ := history(t)
	basic := func() string {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.SetBasicAuth("user", canary)
		return req.Header.Get("Authorization")
	}()
	withBasic := serve(t, requireAuth(basic, gitHandler(t, r.dir))) + "/repo.git"
	withBearer := serve(t, requireAuth("Bearer t0k3n-canary", gitHandler(t, r.dir))) + "/repo.git"
	inURL := strings.Replace(withBasic, "http://", "http://user:c4n%40ry%2Fp%25ss%20w0rd@", 1)

	for name, o := range map[string]Options{
		"basic":  {URL: withBasic, Auth: Auth{Username: "user", Password: canary}},
		"bearer": {URL: withBearer, Auth: Auth{BearerToken: "t0k3n-canary"}},
		"in url": {URL: inURL},
	} {
		t.Run(name, func(t *testing.T) {
			snap := fetchOK(t, o)
			if snap.Commit != second {
				t.Errorf("got %s", snap.Commit)
			}
			if containsAny(fmt.Sprintf("%+v", *snap), "c4n", "t0k3n") {
				t.Errorf("a credential leaked: %+v", *snap)
			}
			if len(snap.Warnings) != 1 || !strings.Contains(snap.Warnings[0], "clear text") {
				t.Errorf("warnings %q", snap.Warnings)
			}
		})
	}
	for name, o := range map[string]Options{
		"refused basic":  {URL: withBearer, Auth: Auth{Username: "user", Password: canary}},
		"refused bearer": {URL: withBasic, Auth: Auth{BearerToken: "t0k3n-canary"}},
		"refused in url": {URL: strings.Replace(inURL, withBasic[7:], withBearer[7:], 1)},
		"no branch":      {URL: inURL, Branch: "none"},
		"no commit":      {URL: inURL, Commit: strings.Repeat("b", 40)},
		"unreachable":    {URL: "http://user:c4n%40ry%2Fp%25ss%20w0rd@127.0.0.1:1/x.git"},
		"token as user":  {URL: "http://t0k3n-canary@127.0.0.1:1/x.git"},
		"token in query": {URL: "http://127.0.0.1:1/x.git?private_token=t0k3n-canary"},
		"unparseable":    {URL: "https://user:" + canary + "@exa mple.com/%zz"},
		"scheme":         {URL: "gopher://user:" + canary + "@example.com/"},
		"ssh password":   {URL: "ssh://git:t0k3n-canary@127.0.0.1:1/x.git", Auth: Auth{SSHKnownHosts: []byte("# none\n")}},
	} {
		t.Run(name, func(t *testing.T) { leaks(t, fetchFails(t, o)) })
	}
}

func TestRedirectsKeepCredentialsHome(t *testing.T) {
	r, _, second, _ := history(t)
	var leaked atomic.Bool
	target := gitHandler(t, r.dir)
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" {
			leaked.Store(true)
		}
		target.ServeHTTP(w, req)
	}))
	home := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, elsewhere+req.URL.RequestURI(), http.StatusMovedPermanently)
	}))
	for _, auth := range []Auth{{Username: "user", Password: canary}, {BearerToken: "t0k3n-canary"}} {
		if snap := fetchOK(t, Options{URL: home + "/repo.git", Auth: auth}); snap.Commit != second {
			t.Errorf("got %s", snap.Commit)
		}
	}
	if leaked.Load() {
		t.Error("credentials followed a redirect to another host")
	}

	loop := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, req.URL.RequestURI(), http.StatusFound)
	}))
	fetchFails(t, Options{URL: loop + "/repo.git"}, "redirects")
}

func TestTLS(t *testing.T) {
	r, _, second, _ := history(t)
	server := httptest.NewUnstartedServer(gitHandler(t, r.dir))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	url := server.URL + "/repo.git"

	if snap := fetchOK(t, Options{URL: url, Auth: Auth{CABundle: bundle}}); snap.Commit != second || len(snap.Warnings) != 0 {
		t.Errorf("got %+v", snap)
	}
	mustAs[*UnreachableError](t, fetchFails(t, Options{URL: url}, "certificate"))
	fetchFails(t, Options{URL: url, Auth: Auth{CABundle: []byte("nonsense")}}, "CA bundle")
}

// sshServer runs git-upload-pack for whoever holds the key. It returns its address and the line for known_hosts.
func sshServer(t *testing.T, dir string, client ssh.PublicKey) (address, known string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if string(k.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); wait.Wait() })
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { serveSSH(conn, config, dir) })
		}
	})
	address = listener.Addr().String()
	return address, knownhosts.Line([]string{address}, signer.PublicKey())
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig, dir string) {
	defer func() { _ = conn.Close() }()
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go ssh.DiscardRequests(requests)
	for newChannel := range channels {
		channel, requests, err := newChannel.Accept()
		if err != nil {
			return
		}
		for req := range requests {
			var payload struct{ Command string }
			_ = ssh.Unmarshal(req.Payload, &payload)
			ok := req.Type == "exec" && payload.Command == "git-upload-pack '/it'\\''s.git'"
			_ = req.Reply(ok, nil)
			if !ok {
				continue
			}
			cmd := exec.Command("git", "upload-pack", dir)
			cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = gitEnv(), channel, channel, channel.Stderr()
			_ = cmd.Run()
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ S uint32 }{0}))
			_ = channel.Close()
		}
	}
}

func identity(t *testing.T, passphrase string) ([]byte, ssh.PublicKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), sshPublic
}

func TestSSH(t *testing.T) {
	r, first, second, _ := history(t)
	private, public := identity(t, canary)
	address, known := sshServer(t, r.dir, public)
	url := "ssh://git@" + address + "/it's.git"
	auth := Auth{SSHIdentity: private, Password: canary, SSHKnownHosts: []byte(known)}

	if snap := fetchOK(t, Options{URL: url, Auth: auth}); snap.Commit != second || content(t, snap, "a.yaml") != "two" {
		t.Errorf("got %+v", snap)
	}
	if snap := fetchOK(t, Options{URL: url, Auth: auth, Commit: first}); content(t, snap, "a.yaml") != "one" {
		t.Error("an old commit has the wrong content")
	}
	fetchFails(t, Options{URL: url, Auth: auth, Branch: "mian"}, "did you mean main")

	other, otherPublic := identity(t, "")
	_, wrongKnown := sshServer(t, r.dir, otherPublic)
	_, wrongKey, _ := strings.Cut(wrongKnown, " ")
	host, _, _ := strings.Cut(known, " ")
	for name, test := range map[string]struct {
		change func(*Auth)
		want   string
	}{
		"unknown host":    {func(a *Auth) { a.SSHKnownHosts = []byte("example.com " + wrongKey) }, "not in known_hosts"},
		"changed host":    {func(a *Auth) { a.SSHKnownHosts = []byte(host + " " + wrongKey) }, "in between"},
		"no known hosts":  {func(a *Auth) { a.SSHKnownHosts = nil }, "always checked"},
		"bad known hosts": {func(a *Auth) { a.SSHKnownHosts = []byte("x y z") }, "known_hosts is malformed"},
		"wrong key":       {func(a *Auth) { a.SSHIdentity, a.Password = other, "" }, "unable to authenticate"},
		"no key":          {func(a *Auth) { a.SSHIdentity, a.Password = nil, "" }, "no ssh identity"},
		"no passphrase":   {func(a *Auth) { a.Password = "" }, "encrypted"},
		"bad passphrase":  {func(a *Auth) { a.Password = "other canary" }, "password is wrong"},
		"not a key":       {func(a *Auth) { a.SSHIdentity = []byte("x") }, "not a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := auth
			test.change(&changed)
			err := fetchFails(t, Options{URL: url, Auth: changed}, test.want)
			leaks(t, err)
			mustAs[*UnreachableError](t, err)
		})
	}
}

func TestSilentServersEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		for conn := range accepted {
			_ = conn.Close()
		}
	})
	private, _ := identity(t, "")
	_, known := sshServer(t, t.TempDir(), func() ssh.PublicKey { _, p := identity(t, ""); return p }())
	for name, o := range map[string]Options{
		"ssh":  {URL: "ssh://git@" + listener.Addr().String() + "/x", Auth: Auth{SSHIdentity: private, SSHKnownHosts: []byte(known)}},
		"http": {URL: "http://" + listener.Addr().String() + "/x"},
	} {
		t.Run(name+" cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				conn := <-accepted
				cancel()
				_ = conn.Close()
			}()
			if _, err := Fetch(ctx, o); !errors.Is(err, context.Canceled) {
				t.Errorf("%v is not context.Canceled", err)
			}
		})
		t.Run(name+" out of time", func(t *testing.T) {
			o.Limits.Duration = 50 * time.Millisecond
			err := fetchFails(t, o, "longer than 50ms")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v is not context.DeadlineExceeded", err)
			}
		})
	}
}

func TestFloodsEnd(t *testing.T) {
	flood := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n0000"))
		first := strings.Repeat("a", 40) + " HEAD\x00shallow\n"
		_, _ = fmt.Fprintf(w, "%04x%s", len(first)+4, first)
		line := strings.Repeat("a", 40) + " refs/heads/" + strings.Repeat("x", 40) + "\n"
		for req.Context().Err() == nil {
			if _, err := fmt.Fprintf(w, "%04x%s", len(line)+4, line); err != nil {
				return
			}
		}
	}))
	err := fetchFails(t, Options{URL: flood + "/x", Limits: Limits{PackBytes: 1 << 20}})
	if !errors.Is(err, ErrLimit) {
		t.Errorf("%v is not ErrLimit", err)
	}
}
