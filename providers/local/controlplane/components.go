package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/refloat-dev/refloat/providers/local/process"
)

// The components, by the names of their processes.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

const (
	loopback     = "127.0.0.1"
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1"
	podRange     = "10.244.0.1/16"

	// etcdSocket is relative to the plane's directory, where etcd and the API
	// server run, because a path of more than 107 bytes cannot be a socket. etcd
	// wants every address to look like host and port, sockets included.
	etcdSocket = "etcd:1"
	peerSocket = "etcd-peer:1"

	auditPolicyFile = "audit-policy.yaml"
	kwokConfigFile  = "kwok.yaml"
)

// managementControllers are what Cluster API needs around it: owners that take
// their dependants with them, namespaces that can be deleted, service accounts.
const managementControllers = "garbage-collector-controller,namespace-controller," +
	"serviceaccount-controller,serviceaccount-token-controller,clusterrole-aggregation-controller"

// componentsOf lists the components of a role, dependencies first.
func componentsOf(r Role) []string {
	switch r {
	case Management:
		return []string{etcd, apiServer, controllerManager}
	case Bare:
		return []string{etcd, apiServer}
	}
	return []string{etcd, apiServer, controllerManager, scheduler, kwok}
}

// specs says how to run the components.
type specs struct {
	options  Options
	endpoint Endpoint
	// certificates is the version of the files in the pki directory.
	certificates string
}

func (s specs) of(name string) process.Spec {
	spec := process.Spec{
		Name: name,
		Path: s.options.Binaries.Kubernetes,
		Env: []string{
			"PATH=/usr/bin:/bin",
			// kwok reads a configuration from the home directory, if there is one.
			"HOME=" + s.options.Dir,
		},
		Inputs: s.certificates,
	}
	var args []string
	switch name {
	case etcd:
		args = s.etcd()
		spec.Inputs = ""
		if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
			spec.Env = append(spec.Env, "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH)
		}
	case apiServer:
		args = s.apiServer()
		spec.Inputs += digest(s.options.AuditPolicy)
	case controllerManager:
		args = s.controllerManager()
	case scheduler:
		args = s.scheduler()
	case kwok:
		args = s.kwok()
		spec.Path = s.options.Binaries.Kwok
		spec.Inputs += digest(kwokConfig())
	}
	spec.Args = append([]string{name}, args...)
	return spec
}

func (s specs) etcd() []string {
	client, peer := "unix://"+etcdSocket, "unix://"+peerSocket
	args := []string{
		"--name=plane", "--data-dir=etcd-data",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=plane=" + peer,
		"--quota-backend-bytes=" + strconv.Itoa(4<<30),
		// The API server serves consistent lists from its cache by these.
		"--watch-progress-notify-interval=5s",
		"--log-level=warn",
	}
	if s.options.Role != Management {
		args = append(args, "--unsafe-no-fsync")
	}
	return args
}

func (s specs) apiServer() []string {
	args := []string{
		"--etcd-servers=unix://" + etcdSocket,
		"--bind-address=" + loopback, "--secure-port=" + strconv.Itoa(s.endpoint.Port),
		"--advertise-address=" + loopback,
		// An Endpoints object may not hold a loopback address.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false",
		"--tls-cert-file=pki/apiserver.crt", "--tls-private-key-file=pki/apiserver.key",
		"--cert-dir=pki", "--client-ca-file=pki/ca.crt",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=pki/sa.pub", "--service-account-signing-key-file=pki/sa.key",
		"--requestheader-client-ca-file=pki/front-proxy-ca.crt",
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=pki/front-proxy-client.crt",
		"--proxy-client-key-file=pki/front-proxy-client.key",
	}
	if len(s.options.AuditPolicy) > 0 {
		args = append(args,
			"--audit-policy-file="+auditPolicyFile, "--audit-log-path=log/audit.log",
			"--audit-log-maxsize=100", "--audit-log-maxbackup=1", "--audit-log-mode=blocking")
	}
	return args
}

func (s specs) controllerManager() []string {
	args := []string{
		"--kubeconfig=pki/" + controllerManager + ".conf",
		"--leader-elect=false", "--profiling=false", "--secure-port=0",
		"--cluster-name=" + s.options.Name,
		"--root-ca-file=pki/ca.crt", "--service-account-private-key-file=pki/sa.key",
		// The default of 20 requests a second would be what a big apply waits for.
		"--kube-api-qps=300", "--kube-api-burst=600",
	}
	if s.options.Role == Management {
		return append(args, "--controllers="+managementControllers)
	}
	return append(args, "--cluster-signing-cert-file=pki/ca.crt", "--cluster-signing-key-file=pki/ca.key")
}

func (s specs) scheduler() []string {
	return []string{
		"--kubeconfig=pki/" + scheduler + ".conf",
		"--leader-elect=false", "--profiling=false", "--secure-port=0",
		"--kube-api-qps=300", "--kube-api-burst=600",
	}
}

func (s specs) kwok() []string {
	return []string{
		"--kubeconfig=" + filepath.Join(s.options.Dir, "pki", kwok+".conf"),
		"--config=" + filepath.Join(s.options.Dir, kwokConfigFile),
	}
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":"))
		h.Write(p)
	}
	return strings.ToLower(hex.EncodeToString(h.Sum(nil)))
}
