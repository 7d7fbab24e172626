package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refloat-dev/refloat/recovery/controller"
)

// access says how to reach the management cluster, as kubectl does.
type access struct {
	kubeconfig string
	context    string
	namespace  string
}

func (a *access) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&a.kubeconfig, "kubeconfig", "", "kubeconfig of the management cluster (default: $KUBECONFIG, then ~/.kube/config)")
	flags.StringVar(&a.context, "context", "", "context of the kubeconfig")
	flags.StringVarP(&a.namespace, "namespace", "n", "", "namespace of plans and runs (default: that of the context)")
}

func (a *access) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: a.context}
	overrides.Context.Namespace = a.namespace
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// home is the namespace that commands work in which name none.
func (a *access) home() (string, error) {
	unnamed := *a
	unnamed.namespace = ""
	namespace, _, err := unnamed.loader().Namespace()
	if err != nil {
		return "", usageError("read kubeconfig: %w", err)
	}
	return namespace, nil
}

// config of the management cluster.
func (a *access) config() (*rest.Config, error) {
	config, err := a.loader().ClientConfig()
	if clientcmd.IsEmptyConfig(err) || errors.Is(err, fs.ErrNotExist) {
		return nil, usageError("no management cluster to talk to: set KUBECONFIG or --kubeconfig, or start a local one with 'refloat sandbox up'")
	}
	if err != nil {
		return nil, usageError("read kubeconfig: %w", err)
	}
	config.UserAgent = "refloat"
	return config, nil
}

// connect returns a client of the management cluster and the namespace to work in.
func (a *access) connect() (client.WithWatch, string, error) {
	config, err := a.config()
	if err != nil {
		return nil, "", err
	}
	namespace, _, err := a.loader().Namespace()
	if err != nil {
		return nil, "", usageError("read kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := controller.AddToScheme(scheme); err != nil {
		return nil, "", err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", fmt.Errorf("reach the management cluster at %s: %w", config.Host, err)
	}
	return c, namespace, nil
}
