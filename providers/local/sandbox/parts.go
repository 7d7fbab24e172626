package sandbox

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/clusterapi"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// AuditPolicy records every request to an API server that may change something.
//
//go:embed audit.yaml
var AuditPolicy []byte

// parts knows how each part of a sandbox is run. Up and the supervisor use the same,
// so that neither replaces what the other started.
type parts struct {
	layout   layout
	settings settings
	clock    clock.WithTicker
	log      logr.Logger
}

func (p parts) management() controlplane.Options {
	o := controlplane.Options{
		Dir: p.layout.management(), Name: "refloat-sandbox", Role: controlplane.Management,
		Binaries: p.settings.Binaries, Log: p.log, Clock: p.clock,
	}
	if p.settings.Audit {
		o.AuditPolicy = AuditPolicy
	}
	return o
}

// part is one process and how to see that it is ready.
type part struct {
	spec   process.Spec
	health int // port of /readyz on the loopback interface
}

func (p parts) core(ctx context.Context) (part, error) {
	health, err := controlplane.ReservePort(ctx, p.layout.coreHealth())
	if err != nil {
		return part{}, err
	}
	hooks, err := controlplane.ReservePort(ctx, p.layout.coreHooks())
	if err != nil {
		return part{}, err
	}
	core := clusterapi.Core{
		Kubeconfig: p.layout.kubeconfig(), HealthPort: health, WebhookPort: hooks,
		CertDir: p.layout.core(), Processors: runtime.NumCPU(),
	}
	return part{health: health, spec: process.Spec{
		Name: ClusterAPICore, Path: p.settings.Binaries.ClusterAPICore,
		Args: append([]string{string(ClusterAPICore)}, core.Arguments()...),
		Env:  environment(), Inputs: digestOf(p.layout.kubeconfig()),
	}}, nil
}

func (p parts) controller(ctx context.Context) (part, error) {
	health, err := controlplane.ReservePort(ctx, p.layout.controller())
	if err != nil {
		return part{}, err
	}
	argv := append(append([]string(nil), p.settings.Controller...),
		"--health-addr", net.JoinHostPort("127.0.0.1", strconv.Itoa(health)))
	return part{health: health, spec: process.Spec{
		Name: Controller, Path: argv[0], Args: argv, Env: environment(),
		Inputs: digestOf(p.layout.kubeconfig()) + digestOf(p.layout.controllerKubeconfig()) + programOf(argv[0]),
	}}, nil
}

// inherited are the variables that the parts may see. Everything else of the user's
// environment, tokens above all, stays outside.
var inherited = []string{
	"HOME", "PATH", "TMPDIR", "USER", "LANG", "TZ", "ZONEINFO", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"XDG_CACHE_HOME", "XDG_STATE_HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "REFLOAT_ASSETS", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG",
}

func environment() []string {
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// programOf changes when the program file does, so that Up replaces a controller of an
// older build.
func programOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", info.Size(), info.ModTime().UnixNano())
}

// webhookPort is what was reserved for the webhooks of Cluster API core.
func (p parts) webhook(ctx context.Context) (clusterapi.Webhook, error) {
	bundle, err := clusterapi.ServingCertificate(p.layout.core())
	if err != nil {
		return clusterapi.Webhook{}, err
	}
	port, err := controlplane.ReservePort(ctx, p.layout.coreHooks())
	return clusterapi.Webhook{Port: port, CABundle: bundle}, err
}

// clusterPlanes are the directories of the planes that the local provider made.
func (l layout) clusterPlanes() ([]string, error) {
	if strings.ContainsAny(l.dir(), `*?[\`) {
		return nil, fmt.Errorf("the directory %s has characters that cannot be searched for", l)
	}
	return filepath.Glob(l.planes())
}
