package source

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// tlsServer serves with a certificate for the given time and name.
func tlsServer(t *testing.T, h http.Handler, from, until time.Time, host net.IP) (url string, bundle []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "git.example.com"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{host}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL + "/repo.git", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestCertificatesThatDoNotHold(t *testing.T) {
	r, _, second, _ := history(t)
	now, loopback := time.Now(), net.IPv4(127, 0, 0, 1)
	url, bundle := tlsServer(t, gitHandler(t, r.dir), now.Add(-time.Hour), now.Add(time.Hour), loopback)
	o := Options{URL: url, Auth: Auth{CABundle: bundle}, CacheDir: t.TempDir(), AllowStale: true}
	if fetchOK(t, o).Commit != second {
		t.Error("wrong commit")
	}
	old, oldBundle := tlsServer(t, gitHandler(t, r.dir), now.Add(-2*time.Hour), now.Add(-time.Hour), loopback)
	other, otherBundle := tlsServer(t, gitHandler(t, r.dir), now.Add(-time.Hour), now.Add(time.Hour), net.IPv4(192, 0, 2, 1))
	for name, test := range map[string]struct {
		url    string
		bundle []byte
		says   string
	}{
		"expired":       {old, oldBundle, "its TLS certificate (CN=git.example.com) is valid from"},
		"not trusted":   {url, otherBundle, "signed by an authority that is not trusted"},
		"another name":  {other, otherBundle, "for another host name"},
		"not a bundle":  {url, []byte("x"), "holds no certificate"},
		"expired alone": {old, nil, "TLS certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := o
			bad.URL, bad.Auth.CABundle = test.url, test.bundle
			err := mustAs[*UnreachableError](t, fetchFails(t, bad, test.says))
			if err.Why != NotTrusted || err.Silent() {
				t.Errorf("got %+v", err)
			}
			if strings.Count(err.Error(), "certificate") > 3 || strings.Contains(err.Error(), "x509: certificate has expired") {
				t.Errorf("not one clear sentence: %v", err)
			}
		})
	}
}

// proxy lets CONNECT through for whoever knows the password, and notes what it saw.
type proxy struct {
	mu     sync.Mutex
	auth   string
	seen   []string
	closed sync.WaitGroup
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, fmt.Sprintf("%s %s auth=%q", req.Method, req.Host, req.Header.Get("Authorization")))
	p.mu.Unlock()
	if req.Header.Get("Proxy-Authorization") != p.auth {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	out, err := net.Dial("tcp", req.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = out.Close()
		return
	}
	_, _ = in.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	p.closed.Add(2)
	pipe := func(to net.Conn, from io.Reader) {
		defer p.closed.Done()
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}
	go pipe(out, buffered)
	go pipe(in, out)
}

func TestProxies(t *testing.T) {
	r, _, second, _ := history(t)
	now := time.Now()
	url, bundle := tlsServer(t, gitHandler(t, r.dir), now.Add(-time.Hour), now.Add(time.Hour), net.IPv4(127, 0, 0, 1))
	p := &proxy{auth: "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canary))}
	address := serve(t, p)
	t.Cleanup(p.closed.Wait)
	secret := strings.Replace(address, "http://", "http://user:c4n%40ry%2Fp%25ss%20w0rd@", 1)
	o := Options{URL: url, Auth: Auth{CABundle: bundle, Proxy: secret, BearerToken: "t0k3n-canary"}}
	snap := fetchOK(t, o)
	if snap.Commit != second || len(p.seen) == 0 || len(snap.Warnings) != 0 {
		t.Errorf("got %+v through %q", snap, p.seen)
	}
	for _, seen := range p.seen {
		if !strings.HasPrefix(seen, "CONNECT 127.0.0.1:") || !strings.HasSuffix(seen, `auth=""`) {
			t.Errorf("the proxy saw %s", seen)
		}
	}
	for name, test := range map[string]struct{ url, proxy, want string }{
		"password":  {url, strings.Replace(address, "http://", "http://user:wrong-canary@", 1), "Proxy Authentication Required"},
		"nobody":    {url, "http://user:c4n%40ry%2Fp%25ss%20w0rd@127.0.0.1:1", "proxyconnect"},
		"malformed": {url, "http://user:" + canary + "@exa mple:x", "proxy's address is malformed"},
		"scheme":    {url, "ftp://127.0.0.1", "proxy's address is malformed"},
		"for ssh":   {"ssh://git@127.0.0.1/x", secret, "https and http only"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := o
			bad.URL, bad.Auth.Proxy = test.url, test.proxy
			err := fetchFails(t, bad, test.want)
			leaks(t, err)
			if strings.Contains(err.Error(), "wrong-canary") {
				t.Errorf("a credential leaked: %v", err)
			}
		})
	}
}

// raw answers every connection with the same bytes.
func raw(t *testing.T, answer []byte) string {
	t.Helper()
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
			wait.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write(answer)
			})
		}
	})
	return listener.Addr().String()
}

func TestGarbageIsOneClearError(t *testing.T) {
	private, _ := identity(t, "")
	garbage := bytes.Repeat([]byte("\x1b]0;owned\x07\xff\x00"), 500)
	address := raw(t, garbage)
	_, known := sshServer(t, t.TempDir(), func() ssh.PublicKey { _, p := identity(t, ""); return p }())
	advert := func(body string) string { return answering(t, http.StatusOK, body) }
	pack := "001e# service=git-upload-pack\n0000"
	for name, o := range map[string]Options{
		"http":           {URL: "http://" + address + "/x.git"},
		"https":          {URL: "https://" + address + "/x.git"},
		"ssh":            {URL: "ssh://git@" + address + "/x.git", Auth: Auth{SSHIdentity: private, SSHKnownHosts: []byte(known)}},
		"page":           {URL: advert("<html>Sign in</html>")},
		"bad length":     {URL: advert("zzzz")},
		"bad hash":       {URL: advert(pack + "0032" + strings.Repeat("g", 40) + " HEAD\x00\n")},
		"ends early":     {URL: advert(pack + "00ff")},
		"length of 64k":  {URL: advert(pack + "ffff" + strings.Repeat("a", 70000))},
		"no flush":       {URL: advert(pack[:30])},
		"endless prefix": {URL: advert(strings.Repeat("0008####", 20000))},
	} {
		t.Run(name, func(t *testing.T) {
			o.Limits.Duration = 10 * time.Second
			err := mustAs[*UnreachableError](t, fetchFails(t, o, "cannot be read"))
			if !err.Silent() || containsAny(err.Error(), "\x1b", "\x07", "\x00") || len(err.Error()) > 2500 {
				t.Errorf("%+q", err.Error())
			}
		})
	}
}

// A server that offers a commit and then sends something else than its pack.
func TestGarbageForAPack(t *testing.T) {
	r, _, _, _ := history(t)
	git := gitHandler(t, r.dir)
	for name, body := range map[string]string{
		"nothing": "", "text": "hello", "no pack": "0008NAK\n0000", "bad pack": "0008NAK\n0009\x01PACK0000", "error": "0010ERR go away\n",
		"short": "0008NAK\n00ff\x01PACK",
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodGet {
					git.ServeHTTP(w, req)
					return
				}
				w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				_, _ = w.Write([]byte(body))
			})) + "/repo.git"
			o := Options{URL: url, Limits: Limits{Duration: 10 * time.Second}}
			err := fetchFails(t, o, url)
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it took all the time: %v", err)
			}
		})
	}
}

// A server that stops in the middle of a pack ends with the time that it has.
func TestAServerThatStopsMidway(t *testing.T) {
	r, _, _, _ := history(t)
	git := gitHandler(t, r.dir)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			git.ServeHTTP(w, req)
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = w.Write([]byte("0008NAK\n"))
		w.(http.Flusher).Flush()
		<-req.Context().Done()
	})) + "/repo.git"
	err := fetchFails(t, Options{URL: url, Limits: Limits{Duration: 500 * time.Millisecond}}, url, "longer than 500ms")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
