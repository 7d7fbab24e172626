package controllers

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// checkKubeconfig tells whether a kubeconfig opens the cluster with these
// authorities at this endpoint, and when its client certificate should be
// replaced: after half of its life, so that whoever read it has the other half
// to read it again. The error says what is wrong without quoting anything.
func checkKubeconfig(data []byte, a *controlplane.Authorities, e controlplane.Endpoint) (time.Time, error) {
	config, err := clientcmd.Load(data)
	if err != nil {
		return time.Time{}, errors.New("not a kubeconfig")
	}
	current := config.Contexts[config.CurrentContext]
	if current == nil {
		return time.Time{}, errors.New("it has no current context")
	}
	cluster, user := config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo]
	switch {
	case cluster == nil || user == nil:
		return time.Time{}, errors.New("its current context lacks a cluster or a user")
	case cluster.Server != e.String():
		return time.Time{}, errors.New("it points to another server")
	case !bytes.Equal(cluster.CertificateAuthorityData, a.CA.Cert):
		return time.Time{}, errors.New("it trusts another certificate authority")
	}
	return checkClientCertificate(user.ClientCertificateData, user.ClientKeyData, a.CA.Cert)
}

func checkClientCertificate(cert, key, authority []byte) (time.Time, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return time.Time{}, errors.New("its client certificate and key do not fit")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return time.Time{}, errors.New("its client certificate cannot be read")
	}
	block, _ := pem.Decode(authority)
	if block == nil {
		return time.Time{}, errors.New("the certificate authority is not PEM")
	}
	parent, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("the certificate authority cannot be read: %w", err)
	}
	if err := leaf.CheckSignatureFrom(parent); err != nil {
		return time.Time{}, errors.New("its client certificate was signed by another authority")
	}
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2), nil
}
