package controlplane

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	authorityValidity = 10 * 365 * 24 * time.Hour
	leafValidity      = 365 * 24 * time.Hour
	// clockSkew is how far in the past certificates begin, so that a clock that
	// is set back a little does not lock everybody out.
	clockSkew = 5 * time.Minute
)

// Pair is a certificate and its private key, both PEM.
type Pair struct {
	Cert []byte
	Key  []byte
}

// Authorities are the keys that everything else of a plane is derived from.
// Whoever keeps them can bring the plane back with the same identity.
type Authorities struct {
	// CA signs the certificates of the API server and of its clients.
	CA Pair
	// FrontProxy signs what the API server shows to aggregated API servers.
	FrontProxy Pair
	// ServiceAccount signs service account tokens; its Cert is a public key.
	ServiceAccount Pair
}

// GenerateAuthorities makes new keys for the plane called name.
func GenerateAuthorities(name string, now time.Time) (*Authorities, error) {
	ca, err := newAuthority(name+"-ca", now)
	if err != nil {
		return nil, err
	}
	proxy, err := newAuthority(name+"-front-proxy-ca", now)
	if err != nil {
		return nil, err
	}
	sa, err := newSigningPair()
	if err != nil {
		return nil, err
	}
	return &Authorities{CA: ca, FrontProxy: proxy, ServiceAccount: sa}, nil
}

// KubeconfigFor makes a kubeconfig with a new client certificate for u. It needs
// no plane that runs. Nothing in it refers to a file or a command.
func KubeconfigFor(a *Authorities, cluster string, e Endpoint, u User, now time.Time) ([]byte, error) {
	pair, err := a.clientPair(u, now)
	if err != nil {
		return nil, err
	}
	context := u.Name + "@" + cluster
	config := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			cluster: {Server: e.String(), CertificateAuthorityData: a.CA.Cert},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			u.Name: {ClientCertificateData: pair.Cert, ClientKeyData: pair.Key},
		},
		Contexts:       map[string]*clientcmdapi.Context{context: {Cluster: cluster, AuthInfo: u.Name}},
		CurrentContext: context,
	}
	return clientcmd.Write(config)
}

func (a *Authorities) equal(b *Authorities) bool {
	same := func(x, y Pair) bool { return bytes.Equal(x.Cert, y.Cert) && bytes.Equal(x.Key, y.Key) }
	return same(a.CA, b.CA) && same(a.FrontProxy, b.FrontProxy) && same(a.ServiceAccount, b.ServiceAccount)
}

func (a *Authorities) clientPair(u User, now time.Time) (Pair, error) {
	validity := u.Validity
	if validity <= 0 {
		validity = leafValidity
	}
	return sign(a.CA, &x509.Certificate{
		Subject:     pkix.Name{CommonName: u.Name, Organization: u.Groups},
		NotAfter:    now.Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
}

func (a *Authorities) proxyPair(now time.Time) (Pair, error) {
	return sign(a.FrontProxy, &x509.Certificate{
		Subject:     pkix.Name{CommonName: frontProxyName},
		NotAfter:    now.Add(leafValidity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
}

// ServerPair signs a server certificate for loopback addresses.
func (a *Authorities) ServerPair(name string, now time.Time, addresses ...net.IP) (Pair, error) {
	return sign(a.CA, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		NotAfter:    now.Add(leafValidity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local",
		},
		IPAddresses: append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, addresses...),
	}, now)
}

func newAuthority(name string, now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              now.Add(authorityValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	return issue(template, template, key, key, now)
}

func newSigningPair() (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the service account key: %w", err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return Pair{}, fmt.Errorf("encode the service account public key: %w", err)
	}
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), Key: private}, nil
}

// sign makes a key and a certificate for it from template, signed by ca.
func sign(ca Pair, template *x509.Certificate, now time.Time) (Pair, error) {
	parent, signer, err := parseAuthority(ca)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make the key of %s: %w", template.Subject.CommonName, err)
	}
	return issue(template, parent, key, signer, now)
}

func issue(template, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer, now time.Time) (Pair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Pair{}, fmt.Errorf("draw a serial number: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-clockSkew)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: private}, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseAuthority reads a certificate and its key. Errors never hold the key.
func parseAuthority(p Pair) (*x509.Certificate, crypto.Signer, error) {
	block, _ := pem.Decode(p.Cert)
	if block == nil {
		return nil, nil, errors.New("certificate authority: the certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate authority: %w", err)
	}
	key, err := parseKey(p.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate authority %s: %w", cert.Subject.CommonName, err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("certificate authority %s: the key does not belong to the certificate", cert.Subject.CommonName)
	}
	return cert, key, nil
}

// parseKey reads the three PEM forms that private keys are kept in.
func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("the private key is not PEM")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key is in no known form (PKCS#8, SEC 1, PKCS#1)")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign")
	}
	return signer, nil
}
