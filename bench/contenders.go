package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/cluster"
	"github.com/refloat-dev/refloat/manifests/order"
)

// applyRefloat is the engine with everything it does: order, look for earlier work,
// gates, watches. The time counts until the last object was accepted; the wait for
// health after that is left out, because no other contender has it.
func applyRefloat(ctx context.Context, p *planetest.Plane, objects []manifests.Object) (time.Duration, error) {
	started := time.Now()
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		return 0, err
	}
	r, err := apply.Run(ctx, g, apply.Options{Config: p.Config, Simulated: true})
	if err != nil {
		return 0, err
	}
	last := started
	for _, o := range r.Objects {
		if o.AppliedAt.After(last) {
			last = o.AppliedAt
		}
	}
	fmt.Fprintf(os.Stderr, "refloat: all accepted after %s, all healthy after %s\n", last.Sub(started), time.Since(started))
	return last.Sub(started), nil
}

// bareWorkers saturate a control plane of two cores.
const bareWorkers = 32

// applyBare is the roofline: requests prepared before the clock starts, sent in
// parallel in the sequence of the graph, so that controllers wake up as early or late
// as with the engine, and nothing looked at but errors. Only what must be there first
// goes first.
func applyBare(ctx context.Context, p *planetest.Plane, objects []manifests.Object) (time.Duration, error) {
	c, err := cluster.New(p.Config)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	kinds := &cluster.Kinds{}
	if err := c.Discover(ctx, kinds); err != nil {
		return 0, err
	}
	var first, rest []cluster.Write
	var defined []cluster.Resource
	for _, o := range objects {
		if o.GetKind() == "CustomResourceDefinition" {
			defined = append(defined, kinds.Announce(o.Unstructured)...)
		}
	}
	g, err := order.Build(objects, order.Options{Simulated: true})
	if err != nil {
		return 0, err
	}
	for _, n := range g.Nodes[:g.Len()] {
		o := n.Object
		r, _ := kinds.Lookup(o.GroupVersionKind())
		body, err := cluster.Body(o.Unstructured, r)
		if err != nil {
			return 0, err
		}
		w := cluster.Write{Resource: r, Namespace: o.GetNamespace(), Name: o.GetName(), Body: body, Manager: manifests.FieldManager}
		if o.GetNamespace() == "" {
			first = append(first, w)
		} else {
			rest = append(rest, w)
		}
	}
	started := time.Now()
	if err := sendAll(ctx, c, first); err != nil {
		return 0, err
	}
	for _, r := range defined {
		// The bare loop has no watch, so it polls, closely.
		err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := c.Probe(ctx, r)
			return err == nil, nil
		})
		if err != nil {
			return 0, err
		}
	}
	err = sendAll(ctx, c, rest)
	return time.Since(started), err
}

func sendAll(ctx context.Context, c *cluster.Client, writes []cluster.Write) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(bareWorkers)
	for _, w := range writes {
		group.Go(func() error {
			_, err := c.Apply(ctx, w)
			return err
		})
	}
	return group.Wait()
}

// fluxConcurrency is the default of kustomize-controller.
const fluxConcurrency = 4

// applyFlux is what kustomize-controller does with a rendered Kustomization.
func applyFlux(ctx context.Context, p *planetest.Plane, objects []manifests.Object) (time.Duration, error) {
	log.SetLogger(logr.Discard())
	config := rest.CopyConfig(p.Config)
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		return 0, err
	}
	poller := polling.NewStatusPoller(c, c.RESTMapper(), polling.Options{})
	manager := ssa.NewResourceManager(c, poller, ssa.Owner{Field: "bench", Group: "bench.refloat.dev"})
	manager.SetConcurrency(fluxConcurrency)
	var list []*unstructured.Unstructured
	for _, o := range objects {
		list = append(list, o.DeepCopy())
	}
	started := time.Now()
	_, err = manager.ApplyAllStaged(ctx, list, ssa.DefaultApplyOptions())
	return time.Since(started), err
}

// applyKubectl pipes the objects through kubectl, what must be there first first.
func applyKubectl(ctx context.Context, p *planetest.Plane, objects []manifests.Object) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "bench-kubectl-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(kubeconfigOf(p.Config), kubeconfig); err != nil {
		return 0, err
	}
	var first, rest []string
	for _, o := range objects {
		b, err := o.MarshalJSON()
		if err != nil {
			return 0, err
		}
		if o.GetNamespace() == "" {
			first = append(first, string(b))
		} else {
			rest = append(rest, string(b))
		}
	}
	kubectl := func(stdin string, args ...string) error {
		cmd := exec.CommandContext(ctx, "kubectl", append(args, "--kubeconfig="+kubeconfig, "--cache-dir="+dir)...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", args[0], err, out[:min(len(out), 500)])
		}
		return nil
	}
	apply := func(documents []string) error {
		list := `{"apiVersion":"v1","kind":"List","items":[` + strings.Join(documents, ",") + "]}"
		return kubectl(list, "apply", "--server-side", "-f", "-")
	}
	started := time.Now()
	if err := apply(first); err != nil {
		return 0, err
	}
	if err := kubectl("", "wait", "--for=condition=Established", "crd", "--all"); err != nil {
		return 0, err
	}
	err = apply(rest)
	return time.Since(started), err
}

func kubeconfigOf(c *rest.Config) api.Config {
	out := api.NewConfig()
	out.Clusters["bench"] = &api.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	out.AuthInfos["bench"] = &api.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData, Token: c.BearerToken}
	out.Contexts["bench"] = &api.Context{Cluster: "bench", AuthInfo: "bench"}
	out.CurrentContext = "bench"
	return *out
}
