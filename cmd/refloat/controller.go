package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controllers"
	"github.com/refloat-dev/refloat/providers/local/sandbox"
	"github.com/refloat-dev/refloat/recovery/controller"
)

type controllerOptions struct {
	sandboxDir  string
	assets      string
	cacheDir    string
	healthAddr  string
	metricsAddr string
	elect       bool
	electIn     string
	audit       bool
	remote      bool
	verbose     bool
}

func newControllerCommand(t terminal, a *access) *cobra.Command {
	o := &controllerOptions{}
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller that carries out runs",
		Long: `Run the controller that carries out runs, until it is told to stop. What it was
doing is continued by the next one. In a sandbox it is started by 'refloat sandbox up'.`,
		Args: noArgsOr("an argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return runController(cmd.Context(), t, a, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.sandboxDir, "sandbox-dir", "", "serve the sandbox in this directory: its management plane, and the local provider for its clusters")
	flags.StringVar(&o.assets, "assets", "", "directory with prebuilt binaries for the local provider (default: $"+assets.EnvDir+", else built and cached)")
	flags.StringVar(&o.cacheDir, "cache-dir", "", "where fetched commits are kept, so that a run survives the loss of its repository (default: the user's cache directory)")
	flags.StringVar(&o.healthAddr, "health-addr", "0", "address of /healthz and /readyz, 0 for none")
	flags.StringVar(&o.metricsAddr, "metrics-addr", "0", "address of /metrics, 0 for none")
	flags.BoolVar(&o.elect, "leader-elect", true, "let one of several controllers work at a time; a sandbox has one")
	flags.StringVar(&o.electIn, "leader-elect-namespace", "", "namespace of the lease (default: the controller's own, else that of the context)")
	flags.BoolVar(&o.audit, "audit", false, "keep an audit log of every cluster of the local provider")
	flags.BoolVar(&o.remote, "allow-remote-bases", false, "let kustomizations read from other repositories")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	return cmd
}

func runController(ctx context.Context, t terminal, a *access, o *controllerOptions) error {
	log, err := newLogger(o.verbose)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	config, err := o.config(a)
	if err != nil {
		return err
	}
	if err := o.election(a); err != nil {
		return err
	}
	mgr, err := o.manager(config)
	if err != nil {
		return err
	}
	cache := o.cacheDir
	if cache == "" {
		if cache, err = o.defaultCache(); err != nil {
			return err
		}
	}
	if err := controller.SetupWithManager(mgr, controller.Options{CacheDir: cache, Log: log, AllowRemoteBases: o.remote, Version: buildVersion()}); err != nil {
		return fmt.Errorf("set up the run controller: %w", err)
	}
	if o.sandboxDir != "" {
		if err := o.addLocalProvider(ctx, mgr, log, t); err != nil {
			return err
		}
	}
	log.Info("starting", "version", buildVersion(), "management", config.Host)
	if err := mgr.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run the controller: %w", err)
	}
	return nil
}

func (o *controllerOptions) config(a *access) (*rest.Config, error) {
	if o.sandboxDir == "" {
		config, err := a.config()
		if err == nil {
			config.QPS = -1 // the API server's priority and fairness is the limit
		}
		return config, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(o.sandboxDir, "kubeconfig"))
	if err != nil {
		return nil, usageError("read the kubeconfig of the sandbox: %w", err)
	}
	config.QPS = -1
	return config, nil
}

// ownNamespace is where a pod finds the name of its namespace.
const ownNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// election finds a namespace for the lease. Without a lease two controllers would take
// runs from each other, and one that was deposed and outlives the other would rest.
func (o *controllerOptions) election(a *access) error {
	o.elect = o.elect && o.sandboxDir == ""
	if !o.elect || o.electIn != "" {
		return nil
	}
	if _, err := os.Stat(ownNamespace); err == nil {
		return nil // controller-runtime reads it
	}
	namespace, _, err := a.loader().Namespace()
	if err != nil {
		return usageError("read kubeconfig: %w", err)
	}
	o.electIn = namespace
	return nil
}

func (o *controllerOptions) defaultCache() (string, error) {
	if o.sandboxDir != "" {
		return filepath.Join(o.sandboxDir, "git"), nil
	}
	return userCache()
}

func (o *controllerOptions) manager(config *rest.Config) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(controller.AddToScheme(scheme), controllers.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register API types: %w", err)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: o.metricsAddr},
		HealthProbeBindAddress:        o.healthAddr,
		LeaderElection:                o.elect,
		LeaderElectionID:              "controller.refloat.dev",
		LeaderElectionNamespace:       o.electIn,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("reach the management cluster at %s: %w", config.Host, err)
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("synced", func(r *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(r.Context()) {
			return errors.New("caches are not synced yet")
		}
		return nil
	})); err != nil {
		return nil, fmt.Errorf("set up health checks: %w", err)
	}
	return mgr, nil
}

func (o *controllerOptions) addLocalProvider(ctx context.Context, mgr ctrl.Manager, log logr.Logger, t terminal) error {
	binaries, err := assets.Get(ctx, assets.Options{Dir: o.assets, Progress: func(line string) { say(t.Err, "%s", line) }})
	if err != nil {
		return err
	}
	options := controllers.Options{StateDir: o.sandboxDir, Binaries: binaries, Log: log}
	if o.audit {
		options.AuditPolicy = sandbox.AuditPolicy
	}
	if err := os.MkdirAll(filepath.Join(o.sandboxDir, "clusters"), 0o700); err != nil {
		return fmt.Errorf("make the directory of the clusters: %w", err)
	}
	return controllers.SetupWithManager(ctx, mgr, options)
}

// newLogger writes JSON lines to stderr. Nothing that is logged holds a Secret.
func newLogger(verbose bool) (logr.Logger, error) {
	config := zap.NewProductionConfig()
	config.DisableStacktrace = true
	config.Sampling = nil
	if verbose {
		config.Level = zap.NewAtomicLevelAt(zap.DebugLevel)
	}
	z, err := config.Build()
	if err != nil {
		return logr.Logger{}, fmt.Errorf("set up the log: %w", err)
	}
	return zapr.NewLogger(z), nil
}
