package sandbox

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// renewBefore is how long before its end a client certificate is replaced.
const renewBefore = 60 * 24 * time.Hour

// keepKubeconfig writes a kubeconfig of the plane, unless the one that is there still
// opens it. It is not merged into anything of the user's.
func keepKubeconfig(path string, plane *controlplane.Plane, user controlplane.User, now time.Time) error {
	if config, err := clientcmd.BuildConfigFromFlags("", path); err == nil &&
		config.Host == plane.Endpoint().String() && bytes.Equal(config.CAData, plane.AdminConfig().CAData) &&
		validUntil(config.CertData).After(now.Add(renewBefore)) {
		return nil
	}
	data, err := plane.Kubeconfig(user)
	if err != nil {
		return err
	}
	return process.WriteFile(path, data)
}

// validUntil is the end of a certificate; long ago when it cannot be read.
func validUntil(certificate []byte) time.Time {
	block, _ := pem.Decode(certificate)
	if block == nil {
		return time.Time{}
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return parsed.NotAfter
}
