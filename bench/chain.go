package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/apply"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/flux"
	"github.com/refloat-dev/refloat/manifests/order"
	"github.com/refloat-dev/refloat/manifests/source"
)

const (
	// chainLength Kustomizations wait each for the one before.
	chainLength = 6
	chainURL    = "https://git.example.com/fleet.git"
	chainEntry  = "clusters/bench"
	// chainNodes carry the pods.
	chainNodes = 3
	// chainLimit is how long a contender may take; kustomize-controller takes some 150
	// seconds, whatever the machine.
	chainLimit = 10 * time.Minute
)

// benchChain takes an empty cluster to ready from a repository that is written for Flux,
// by Refloat and by Flux's own kustomize-controller with its defaults. Most of the time
// of the latter is the interval at which it looks again at what dependsOn names.
func benchChain(ctx context.Context, out io.Writer, s settings) error {
	if s.rounds < 1 || s.chainRounds < 1 {
		return nil
	}
	peer, err := buildFluxPeer(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chain: left out, because Flux's kustomize-controller cannot be built here:", err)
		return nil
	}
	files, err := chainFiles()
	if err != nil {
		return err
	}
	var ours, theirs []float64
	for round := range max(s.rounds, s.chainRounds) {
		if round < s.rounds {
			took, err := chawithSlots(ctx, "refloat", round, func(ctx context.Context, p *planetest.Plane) (time.Duration, error) {
				return chainByRefloat(ctx, p, files)
			})
			if err != nil {
				return err
			}
			ours = append(ours, took.Seconds())
		}
		if round < s.chainRounds {
			took, err := chawithSlots(ctx, "kustomize-controller", round, func(ctx context.Context, p *planetest.Plane) (time.Duration, error) {
				return peer.chain(ctx, p, files)
			})
			if err != nil {
				return err
			}
			theirs = append(theirs, took.Seconds())
		}
	}
	fmt.Fprintf(os.Stderr, "chain of %d: refloat %.2f s, kustomize-controller %.2f s\n", chainLength, median(ours), median(theirs))
	figure(out, "rebuild.flux_chain_ratio", median(theirs)/median(ours), "x")
	return nil
}

// chawithSlots of one contender on a fresh control plane. It counts only when everything
// is there in the end.
func chawithSlots(ctx context.Context, name string, round int, rebuild func(context.Context, *planetest.Plane) (time.Duration, error)) (took time.Duration, err error) {
	plane, err := planetest.Start(ctx, planetest.Options{Nodes: chainNodes})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, plane.Stop(context.WithoutCancel(ctx))) }()
	limited, cancel := context.WithTimeoutCause(ctx, chainLimit, fmt.Errorf("the chain is not ready after %s", chainLimit))
	defer cancel()
	if took, err = rebuild(limited, plane); err != nil {
		return 0, fmt.Errorf("chain by %s: %w", name, err)
	}
	if err := chainIsReady(limited, plane); err != nil {
		return 0, fmt.Errorf("chain by %s: %w", name, err)
	}
	fmt.Fprintf(os.Stderr, "round %d: %s had the chain ready after %.2f s\n", round+1, name, took.Seconds())
	return took, nil
}

// chainByRefloat is the engine from the rendering to the last healthy object.
func chainByRefloat(ctx context.Context, p *planetest.Plane, files map[string]string) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "bench-chain-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := writeTree(dir, files); err != nil {
		return 0, err
	}
	snapshot, err := source.Directory(dir)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	state, err := expand.Expand(ctx, snapshot, []string{chainEntry}, expand.Options{Repository: flux.Repository{URLs: []string{chainURL}}})
	if err != nil {
		return 0, err
	}
	g, err := order.Build(state.Objects, order.Options{Simulated: true, Units: state.Units})
	if err != nil {
		return 0, err
	}
	if _, err = apply.Run(ctx, g, apply.Options{Config: p.Config, Simulated: true}); err != nil {
		return 0, err
	}
	return time.Since(started), nil
}

// chainIsReady proves that a contender did all of its work before it said so.
func chainIsReady(ctx context.Context, p *planetest.Plane) error {
	client, err := kubernetes.NewForConfig(p.Config)
	if err != nil {
		return err
	}
	for n := range chainLength {
		if _, err := client.CoreV1().ConfigMaps(link(n)).Get(ctx, "settings", metav1.GetOptions{}); err != nil {
			return err
		}
		d, err := client.AppsV1().Deployments(link(n)).Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !available(d) {
			return fmt.Errorf("Deployment %s/web was said to be ready and has %d pods available", d.Namespace, d.Status.AvailableReplicas)
		}
	}
	return nil
}

func link(n int) string { return fmt.Sprintf("link-%d", n) }

// chainFiles are the repository: the definitions, and what each of them applies.
func chainFiles() (map[string]string, error) {
	files := map[string]string{}
	add := func(name string, objects ...map[string]any) error {
		for _, o := range objects {
			document, err := yaml.Marshal(o)
			if err != nil {
				return err
			}
			files[name] += "---\n" + string(document)
		}
		return nil
	}
	var definitions []map[string]any
	for _, d := range chainDefinitions() {
		definitions = append(definitions, d.Object)
	}
	if err := add(path.Join(chainEntry, "chain.yaml"), definitions...); err != nil {
		return nil, err
	}
	for n := range chainLength {
		for _, o := range []manifests.Object{
			planetest.Namespace(link(n)), planetest.ConfigMap(link(n), "settings", "x"), planetest.Deployment(link(n), "web", 2),
		} {
			if err := add(path.Join("apps", link(n), "app.yaml"), o.Object); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// fluxNamespace is where Flux keeps its objects.
const fluxNamespace = "flux-system"

// chainDefinitions are the source, then the Kustomizations, each waiting for the one
// before.
func chainDefinitions() []*unstructured.Unstructured {
	all := []*unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
		"metadata": map[string]any{"namespace": fluxNamespace, "name": "fleet"},
		"spec":     map[string]any{"interval": "10m", "url": chainURL, "ref": map[string]any{"branch": "main"}},
	}}}
	for n := range chainLength {
		spec := map[string]any{
			"interval": "10m", "timeout": "5m", "path": "./apps/" + link(n), "prune": true, "wait": true,
			"sourceRef": map[string]any{"kind": "GitRepository", "name": "fleet"},
		}
		if n > 0 {
			spec["dependsOn"] = []any{map[string]any{"name": link(n - 1)}}
		}
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
			"metadata": map[string]any{"namespace": fluxNamespace, "name": link(n)}, "spec": spec,
		}})
	}
	return all
}
