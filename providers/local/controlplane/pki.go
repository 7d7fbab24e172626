package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/refloat-dev/refloat/providers/local/process"
)

const (
	frontProxyName = "front-proxy-client"
	// renewBefore is how long before its end a certificate is made anew, at the
	// next start.
	renewBefore = 60 * 24 * time.Hour
)

// leavesForm changes when what issue makes changes, so that planes of an older
// program get it.
const leavesForm = "1"

// Identities of the components. kwok plays every kubelet, so it needs no less than
// an administrator; a role of its own would be an object in the cluster that no
// repository holds. The controllers share one identity, because forty service
// accounts with a token each take as long to make as the rest of a start.
var (
	controllerManagerUser = User{Name: "system:kube-controller-manager", Groups: []string{"system:masters"}}
	schedulerUser         = User{Name: "system:kube-scheduler"}
	kwokUser              = User{Name: "kwok", Groups: []string{"system:masters"}}
)

// pki is the directory of keys and certificates of one plane. Paths in it are
// given to components relative to the plane's directory.
type pki struct{ dir string }

// leaves says what the certificates in the directory were made from.
type leaves struct {
	Digest   string    `json:"digest"`
	NotAfter time.Time `json:"notAfter"`
}

// authorities returns the wanted authorities, or else those in the directory, or
// else new ones, and keeps them.
func (k pki) authorities(name string, wanted *Authorities, now time.Time) (*Authorities, error) {
	path := filepath.Join(k.dir, "authorities.json")
	kept, err := k.load(path)
	if err != nil {
		return nil, err
	}
	switch {
	case wanted == nil && kept != nil:
		return kept, nil
	case wanted == nil:
		if wanted, err = GenerateAuthorities(name, now); err != nil {
			return nil, err
		}
	case kept != nil && wanted.equal(kept):
		return kept, nil
	}
	data, err := json.Marshal(wanted)
	if err != nil {
		return nil, fmt.Errorf("encode the authorities of %s: %w", name, err)
	}
	return wanted, process.WriteFile(path, data)
}

func (k pki) load(path string) (*Authorities, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	var a Authorities
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("read the authorities in %s: not valid JSON", path)
	}
	return &a, nil
}

// issue makes sure that every certificate that the components need exists, belongs
// to the authorities and the endpoint, and lasts. It returns a digest that changes
// when they do.
func (k pki) issue(a *Authorities, cluster string, e Endpoint, now time.Time) (string, error) {
	stamp := filepath.Join(k.dir, "leaves.json")
	digest := leavesDigest(a, cluster, e)
	if data, err := os.ReadFile(stamp); err == nil {
		var have leaves
		if json.Unmarshal(data, &have) == nil && have.Digest == digest && have.NotAfter.Sub(now) > renewBefore {
			return leavesVersion(have), nil
		}
	}
	files, err := k.files(a, cluster, e, now)
	if err != nil {
		return "", err
	}
	for name, data := range files {
		if err := process.WriteFile(filepath.Join(k.dir, name), data); err != nil {
			return "", err
		}
	}
	// Written last: after a crash before it, all is made again.
	made := leaves{Digest: digest, NotAfter: now.Add(leafValidity).UTC().Truncate(time.Second)}
	data, err := json.Marshal(made)
	if err != nil {
		return "", err
	}
	return leavesVersion(made), process.WriteFile(stamp, data)
}

func (k pki) files(a *Authorities, cluster string, e Endpoint, now time.Time) (map[string][]byte, error) {
	server, err := a.ServerPair("kube-apiserver", now, net.ParseIP(serviceIP))
	if err != nil {
		return nil, err
	}
	proxy, err := a.proxyPair(now)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"ca.crt": a.CA.Cert, "ca.key": a.CA.Key,
		"front-proxy-ca.crt": a.FrontProxy.Cert,
		"sa.pub":             a.ServiceAccount.Cert, "sa.key": a.ServiceAccount.Key,
		"apiserver.crt": server.Cert, "apiserver.key": server.Key,
		"front-proxy-client.crt": proxy.Cert, "front-proxy-client.key": proxy.Key,
	}
	for name, user := range map[string]User{
		controllerManager: controllerManagerUser, scheduler: schedulerUser, kwok: kwokUser,
	} {
		if files[name+".conf"], err = KubeconfigFor(a, cluster, e, user, now); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func leavesDigest(a *Authorities, cluster string, e Endpoint) string {
	h := sha256.New()
	for _, part := range [][]byte{
		a.CA.Cert, a.CA.Key, a.FrontProxy.Cert, a.FrontProxy.Key,
		a.ServiceAccount.Cert, a.ServiceAccount.Key, []byte(cluster), []byte(e.String()), []byte(leavesForm),
	} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func leavesVersion(l leaves) string { return l.Digest + "@" + l.NotAfter.Format(time.RFC3339) }
