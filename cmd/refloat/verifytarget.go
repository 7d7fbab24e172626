package main

import (
	"context"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/refloat-dev/refloat/manifests/certificate"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/recovery/controller"
)

// targetOptions name a cluster and what to compare it with, without a plan.
type targetOptions struct {
	kubeconfig, context string
	git, ref            string
	paths               []string
	simulated           bool
	state               stateFlags
}

func (o *targetOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "target-kubeconfig", "", "kubeconfig of a cluster to compare with --git, instead of a plan's")
	flags.StringVar(&o.context, "target-context", "", "context of --target-kubeconfig (default its current one)")
	flags.StringVar(&o.git, "git", "", "repository to compare with: a directory or URL")
	flags.StringVar(&o.ref, "ref", "", "branch, tag or full commit of --git")
	flags.StringArrayVar(&o.paths, "path", nil, "directory of --git with the state; may be repeated")
	o.state.addFlags(flags)
	flags.BoolVar(&o.simulated, "target-simulated", false, "no container runs on the cluster, so what depends on one is not provable")
}

func (o *targetOptions) check() error {
	if o.git == "" || len(o.paths) == 0 {
		return usageError("--target-kubeconfig needs --git and --path, to know what to compare with")
	}
	return nil
}

// verifyTarget renders and compares.
func (o *verifyOptions) verifyTarget(ctx context.Context, t terminal, key *certificate.SigningKey) (*controller.Verified, error) {
	if err := o.target.check(); err != nil {
		return nil, err
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: o.target.kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: o.target.context}).ClientConfig()
	if err != nil {
		return nil, usageError("--target-kubeconfig: %w", err)
	}
	snapshot, err := openRepository(ctx, o.target.git, o.target.ref)
	if err != nil {
		return nil, err
	}
	options, err := o.target.state.options()
	if err != nil {
		return nil, err
	}
	if options.Remotes != nil {
		options.Remotes.Own.URL = o.target.git
	}
	options.PathNamespaces = o.target.state.namespaces(o.target.paths)
	rendered, err := expand.Expand(ctx, snapshot, o.target.paths, options)
	if err != nil {
		return nil, badInput(err)
	}
	if len(rendered.Objects) == 0 {
		return nil, usageError("%s holds no Kubernetes object", strings.Join(o.target.paths, ", "))
	}
	for _, warning := range rendered.Warnings {
		say(t.Err, "warning: %s", warning)
	}
	for _, s := range rendered.Skipped {
		say(t.Err, "not expanded: %s", s.Reason)
	}
	state := &controller.Rendered{Commit: snapshot.Commit, CommitTime: snapshot.CommitTime, Digest: rendered.Digest, State: rendered.Objects}
	engine := controller.NewEngine(controller.EngineOptions{Version: buildVersion()})
	return engine.Verify(ctx, state, controller.Target{
		Config: config, Simulated: o.target.simulated, Guard: func(context.Context) error { return nil },
	}, controller.VerifySettings{
		Thorough: o.thorough, StableFor: o.stableFor, Key: key, Unmatched: true,
		Facts: certificate.Facts{Cluster: certificate.Cluster{Name: config.Host}, Repository: certificate.Repository{URL: repositoryURL(o.target.git)}},
	}, teller(t.Err))
}

// repositoryURL for a certificate: a directory of this machine says nothing to others,
// and credentials must not be in it.
func repositoryURL(git string) string {
	if !strings.Contains(git, "://") || strings.Contains(git, "@") {
		return ""
	}
	return git
}
