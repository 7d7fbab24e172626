package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// sshSession runs git-upload-pack at the far end. go-git's own ssh client is not
// used, because it reads the user's ssh configuration and agent, and because its
// handshake cannot be cancelled.
type sshSession struct {
	client  *ssh.Client
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	stop    func() bool
	adv     *packp.AdvRefs
}

func (r *remote) sshSession(ctx context.Context, limits Limits) (_ transport.UploadPackSession, err error) {
	if r.auth.Proxy != "" {
		return nil, denied("a proxy is given, but the address is an ssh one: proxies are used for https and http only")
	}
	port := r.endpoint.Port
	if port == 0 {
		port = 22
	}
	address := net.JoinHostPort(r.endpoint.Host, strconv.Itoa(port))
	config, err := r.sshConfig(address)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// The handshake and every later read end when ctx does.
	s := &sshSession{stop: context.AfterFunc(ctx, func() { _ = conn.Close() })}
	defer func() {
		if err != nil {
			s.stop()
			_ = conn.Close()
		}
	}()
	transportConn, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, hostKeyAdvice(err, address)
	}
	s.client = ssh.NewClient(transportConn, channels, requests)
	if s.session, err = s.client.NewSession(); err != nil {
		return nil, err
	}
	if s.in, err = s.session.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = &boundedReader{ctx: ctx, r: out, left: limits.PackBytes, limit: limits.PackBytes}
	return s, s.session.Start("git-upload-pack " + shellQuote(r.endpoint.Path))
}

func (r *remote) sshConfig(address string) (*ssh.ClientConfig, error) {
	if len(r.auth.SSHKnownHosts) == 0 {
		return nil, notTrusted("no known_hosts given: ssh host keys are always checked; put the line of `ssh-keyscan %s` in it after comparing the fingerprint", r.endpoint.Host)
	}
	keys, err := knownHosts(r.auth.SSHKnownHosts)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{
		User:              r.endpoint.User,
		HostKeyCallback:   keys.HostKeyCallback(),
		HostKeyAlgorithms: keys.HostKeyAlgorithms(address),
		Timeout:           connectTimeout,
	}
	switch {
	case len(r.auth.SSHIdentity) > 0:
		signer, err := parseIdentity(r.auth)
		if err != nil {
			return nil, err
		}
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signer)}
	case r.auth.Password != "":
		config.Auth = []ssh.AuthMethod{ssh.Password(r.auth.Password)}
	default:
		return nil, denied("no ssh identity given: set the private key")
	}
	return config, nil
}

func parseIdentity(auth Auth) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(auth.SSHIdentity)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		if auth.Password == "" {
			return nil, denied("the ssh identity is encrypted: set its password")
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(auth.SSHIdentity, []byte(auth.Password))
	}
	if err != nil {
		return nil, denied("the ssh identity is not a private key in PEM form, or its password is wrong")
	}
	return signer, nil
}

// knownHosts parses the text through a short-lived file, because the parser takes only names of files.
func knownHosts(text []byte) (*knownhosts.HostKeyDB, error) {
	dir, err := os.MkdirTemp("", "refloat-known-hosts-")
	if err != nil {
		return nil, fmt.Errorf("read known_hosts: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("read known_hosts: %w", err)
	}
	db, err := knownhosts.NewDB(file)
	if err != nil {
		return nil, notTrusted("known_hosts is malformed: %s", strings.ReplaceAll(err.Error(), file, "known_hosts"))
	}
	return db, nil
}

func hostKeyAdvice(err error, address string) error {
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return notTrusted("the host key of %s is not the one in known_hosts: somebody may be in between; if the host was really rekeyed, update known_hosts", address)
	case knownhosts.IsHostUnknown(err):
		return notTrusted("the host key of %s is not in known_hosts: add it after comparing the fingerprint", address)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return denied("%v", err)
	}
	return err
}

// AdvertisedReferences implements transport.Session.
func (s *sshSession) AdvertisedReferences() (*packp.AdvRefs, error) {
	return s.AdvertisedReferencesContext(context.Background())
}

// AdvertisedReferencesContext reads what the far end offers. The connection ends with the context of the session.
func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	if s.adv != nil {
		return s.adv, nil
	}
	adv := packp.NewAdvRefs()
	if err := adv.Decode(s.out); err != nil {
		switch {
		case errors.Is(err, packp.ErrEmptyAdvRefs):
			return nil, transport.ErrEmptyRemoteRepository
		case errors.Is(err, packp.ErrEmptyInput):
			return nil, transport.ErrRepositoryNotFound
		}
		return nil, err
	}
	if adv.IsEmpty() {
		return nil, transport.ErrEmptyRemoteRepository
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	s.adv = adv
	return adv, nil
}

// UploadPack asks for a pack. It can be called once.
func (s *sshSession) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	if err := req.UploadRequest.Encode(s.in); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(s.in).EncodeString("done\n"); err != nil {
		return nil, err
	}
	if err := s.in.Close(); err != nil {
		return nil, err
	}
	res := packp.NewUploadPackResponse(req)
	return res, res.Decode(io.NopCloser(s.out))
}

// Close ends the connection. What the far end still had to say does not matter.
func (s *sshSession) Close() error {
	s.stop()
	_ = s.session.Close()
	_ = s.client.Close()
	return nil
}

// shellQuote makes one word of a path for the shell at the far end.
func shellQuote(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}
