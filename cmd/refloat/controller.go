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
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/refloat-dev/refloat/deploy"
	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controllers"
	"github.com/refloat-dev/refloat/providers/local/sandbox"
	"github.com/refloat-dev/refloat/recovery"
	"github.com/refloat-dev/refloat/recovery/controller"
)

type controllerOptions struct {
	sandboxDir  string
	assets      string
	cacheDir    string
	healthAddr  string
	metricsAddr string
	reportsAddr string
	elect       bool
	electIn     string
	audit       bool
	remote      bool
	accountsIn  string
	limits      recovery.QueueLimits
	only        string // the namespace that is served; empty for all
	verbose     bool
}

func newControllerCommand(t terminal, a *access) *cobra.Command {
	o := &controllerOptions{}
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller that carries out runs",
		Long: `Run the controller that carries out runs, until it is told to stop. What it was
doing is continued by the next one. In a sandbox it is started by 'refloat sandbox up'.
With --namespace it serves the plans and runs of that namespace and looks at no other.`,
		Args: noArgsOr("an argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.only = a.namespace
			return runController(cmd.Context(), t, a, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.sandboxDir, "sandbox-dir", "", "serve the sandbox in this directory: its management plane, and the local provider for its clusters")
	flags.StringVar(&o.assets, "assets", "", "directory with prebuilt binaries for the local provider (default: $"+assets.EnvDir+", else built and cached)")
	flags.StringVar(&o.cacheDir, "cache-dir", "", "where fetched commits are kept, so that a run survives the loss of its repository (default: the user's cache directory)")
	flags.StringVar(&o.healthAddr, "health-addr", "0", "address of /healthz and /readyz, 0 for none")
	flags.StringVar(&o.metricsAddr, "metrics-addr", "0", "address of /metrics, 0 for none")
	flags.StringVar(&o.reportsAddr, "reports-addr", "", "address at which signed reports about clusters are taken, for webhook signals of failover policies; empty for none")
	flags.BoolVar(&o.elect, "leader-elect", true, "let one of several controllers work at a time; a sandbox has one")
	flags.StringVar(&o.electIn, "leader-elect-namespace", "", "namespace of the lease (default: the controller's own, else that of the context)")
	flags.StringVar(&o.accountsIn, "act-as-accounts-in", "", "namespace of the service accounts "+deploy.Planner+", "+deploy.Applier+", "+deploy.Destroyer+" and "+deploy.Scheduler+
		", to act as one of them in everything (default: act as whoever the kubeconfig says)")
	flags.IntVar(&o.limits.Active, "max-active-runs", 0, "let scheduled runs wait while so many runs work; 0 for no limit. What people order waits for nobody")
	flags.StringToIntVar(&o.limits.PerProvider, "max-active-runs-per-provider", nil, "the same for the runs of one provider, by the kind of its infrastructure, with its API group or without: AWSCluster=5,LocalCluster=2")
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
	own, err := o.config(a)
	if err != nil {
		return err
	}
	if err := o.election(a); err != nil {
		return err
	}
	roles := rolesOf(own, o.accountsIn)
	mgr, err := o.manager(roles)
	if err != nil {
		return err
	}
	cacheDir := o.cacheDir
	if cacheDir == "" {
		if cacheDir, err = o.defaultCache(); err != nil {
			return err
		}
	}
	if err := controller.SetupWithManager(mgr, controller.Options{
		CacheDir: cacheDir, Log: log, AllowRemoteBases: o.remote, Version: buildVersion(), Limits: o.limits, System: o.system(), Applier: roles.applier, Destroyer: roles.destroyer,
	}); err != nil {
		return fmt.Errorf("set up the run controller: %w", err)
	}
	if err := setUpSchedules(mgr, roles); err != nil {
		return fmt.Errorf("set up the schedule controller: %w", err)
	}
	if err := setUpFailover(mgr, roles, o.system(), o.reportsAddr); err != nil {
		return fmt.Errorf("set up the failover controller: %w", err)
	}
	managers := []ctrl.Manager{mgr}
	if o.sandboxDir != "" {
		local, err := o.localProvider(ctx, mgr, log, t)
		if err != nil {
			return err
		}
		managers = append(managers, local)
	}
	log.Info("starting", "version", buildVersion(), "management", own.Host)
	return start(ctx, managers)
}

// start managers and run them until one of them ends.
func start(ctx context.Context, managers []ctrl.Manager) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, mgr := range managers {
		group.Go(func() error {
			if err := mgr.Start(ctx); err != nil {
				return err
			}
			return context.Canceled // one does not go on without the other
		})
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run the controller: %w", err)
	}
	return nil
}

// system is the namespace whose safety rules hold everywhere: that of the controller's
// accounts, if it serves every namespace.
func (o *controllerOptions) system() string {
	if o.only != "" {
		return ""
	}
	return o.accountsIn
}

func (o *controllerOptions) config(a *access) (*rest.Config, error) {
	if o.sandboxDir == "" {
		config, err := a.config()
		if err == nil {
			config.QPS = -1 // the API server's priority and fairness is the limit
		}
		return config, err
	}
	o.accountsIn = deploy.Namespace
	return sandboxAccess(sandbox.ControllerKubeconfig(o.sandboxDir))
}

func sandboxAccess(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
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

func (o *controllerOptions) manager(access roles) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := controller.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register API types: %w", err)
	}
	mgr, err := ctrl.NewManager(access.planner, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         o.caches(),
		Metrics:                       server.Options{BindAddress: o.metricsAddr},
		HealthProbeBindAddress:        o.healthAddr,
		LeaderElection:                o.elect,
		LeaderElectionConfig:          access.own,
		LeaderElectionID:              "controller.refloat.dev",
		LeaderElectionNamespace:       o.electIn,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("reach the management cluster at %s: %w", access.own.Host, err)
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("synced", synced(mgr))); err != nil {
		return nil, fmt.Errorf("set up health checks: %w", err)
	}
	return mgr, nil
}

func synced(mgr ctrl.Manager) healthz.Checker {
	return func(r *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(r.Context()) {
			return errors.New("caches are not synced yet")
		}
		return nil
	}
}

// caches of what the controller serves: of one namespace, or of all.
func (o *controllerOptions) caches() cache.Options {
	if o.only == "" {
		return cache.Options{}
	}
	return cache.Options{DefaultNamespaces: map[string]cache.Config{o.only: {}}}
}

// localProvider runs beside the controller of runs, in a manager of its own: it plays a
// provider that somebody installed, with an access of its own. Its health is told by the
// other one.
func (o *controllerOptions) localProvider(ctx context.Context, beside ctrl.Manager, log logr.Logger, t terminal) (ctrl.Manager, error) {
	binaries, err := assets.Get(ctx, assets.Options{Dir: o.assets, Progress: func(line string) { say(t.Err, "%s", line) }})
	if err != nil {
		return nil, err
	}
	config, err := sandboxAccess(sandbox.Kubeconfig(o.sandboxDir))
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	if err := controllers.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register API types: %w", err)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	})
	if err != nil {
		return nil, fmt.Errorf("reach the management cluster at %s: %w", config.Host, err)
	}
	if err := beside.AddReadyzCheck("local-provider", synced(mgr)); err != nil {
		return nil, fmt.Errorf("set up health checks: %w", err)
	}
	options := controllers.Options{StateDir: o.sandboxDir, Binaries: binaries, Log: log}
	if o.audit {
		options.AuditPolicy = sandbox.AuditPolicy
	}
	if err := os.MkdirAll(filepath.Join(o.sandboxDir, "clusters"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the clusters: %w", err)
	}
	return mgr, controllers.SetupWithManager(ctx, mgr, options)
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
