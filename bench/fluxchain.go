package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/internal/planetest"
)

// chain is the time that kustomize-controller takes from the moment when everything
// that it acts on is there until the last Kustomization is ready. What comes before,
// the definitions of its kinds and its own start, does not count against it.
func (p *fluxPeer) chain(ctx context.Context, plane *planetest.Plane, files map[string]string) (took time.Duration, err error) {
	c, err := client.NewWithWatch(plane.Config, client.Options{})
	if err != nil {
		return 0, err
	}
	if err := p.install(ctx, c); err != nil {
		return 0, err
	}
	artifact, stop, err := serveArtifact(ctx, files)
	if err != nil {
		return 0, err
	}
	defer stop()
	err = p.run(ctx, plane, func(ctx context.Context) error {
		definitions := chainDefinitions()
		if err := createSource(ctx, c, definitions[0], artifact); err != nil {
			return err
		}
		for _, d := range definitions[1:] {
			if err := c.Create(ctx, d); err != nil {
				return err
			}
		}
		started := time.Now()
		err := await(ctx, c, definitions[1].GroupVersionKind(), "Ready", len(definitions)-1)
		took = time.Since(started)
		return err
	})
	return took, err
}

// install what the controller needs to start, and wait until it is served.
func (p *fluxPeer) install(ctx context.Context, c client.WithWatch) error {
	text, err := os.ReadFile(p.definition)
	if err != nil {
		return err
	}
	kustomizations := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &kustomizations.Object); err != nil {
		return fmt.Errorf("read %s: %w", p.definition, err)
	}
	objects := []*unstructured.Unstructured{
		{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": fluxNamespace}}},
		kustomizations,
		sourceDefinition("GitRepository", "gitrepositories"),
		sourceDefinition("OCIRepository", "ocirepositories"),
		sourceDefinition("Bucket", "buckets"),
	}
	for _, o := range objects {
		if err := c.Create(ctx, o); err != nil {
			return err
		}
	}
	if err := await(ctx, c, kustomizations.GroupVersionKind(), "Established", len(objects)-1); err != nil {
		return err
	}
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
		{Group: sourceGroup, Version: "v1", Kind: "GitRepository"},
		{Group: sourceGroup, Version: "v1", Kind: "OCIRepository"},
		{Group: sourceGroup, Version: "v1", Kind: "Bucket"},
	} {
		// Nothing tells when an established kind is served.
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			return c.List(ctx, listOf(gvk)) == nil, nil
		})
		if err != nil {
			return fmt.Errorf("%s is not served: %w", gvk, err)
		}
	}
	return nil
}

const sourceGroup = "source.toolkit.fluxcd.io"

// sourceDefinition is enough of a kind for a controller that only reads its objects. The
// real ones belong to another program, which has nothing to do here.
func sourceDefinition(kind, plural string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + sourceGroup},
		"spec": map[string]any{
			"group": sourceGroup, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": plural},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}
}

// createSource makes the source and says of it what source-controller would say.
func createSource(ctx context.Context, c client.Client, definition *unstructured.Unstructured, artifact map[string]any) error {
	if err := c.Create(ctx, definition); err != nil {
		return err
	}
	definition.Object["status"] = map[string]any{
		"observedGeneration": definition.GetGeneration(),
		"artifact":           artifact,
		"conditions": []any{map[string]any{
			"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored artifact",
			"lastTransitionTime": artifact["lastUpdateTime"], "observedGeneration": definition.GetGeneration(),
		}},
	}
	return c.Status().Update(ctx, definition)
}

// serveArtifact serves files as source-controller serves a commit.
func serveArtifact(ctx context.Context, files map[string]string) (artifact map[string]any, stop func(), err error) {
	content, err := archive(files)
	if err != nil {
		return nil, nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	const name = "/gitrepository/flux-system/fleet/latest.tar.gz"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return map[string]any{
		"url": "http://" + listener.Addr().String() + name, "path": name[1:],
		"revision":       "main@sha1:0123456789abcdef0123456789abcdef01234567",
		"digest":         fmt.Sprintf("sha256:%x", sha256.Sum256(content)),
		"lastUpdateTime": metav1.Now().UTC().Format(time.RFC3339),
		"size":           int64(len(content)),
	}, func() { _ = server.Close() }, nil
}

func archive(files map[string]string) ([]byte, error) {
	var b bytes.Buffer
	compressed := gzip.NewWriter(&b)
	w := tar.NewWriter(compressed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name]))}); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			return nil, err
		}
	}
	err := errors.Join(w.Close(), compressed.Close())
	return b.Bytes(), err
}

func listOf(gvk schema.GroupVersionKind) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	return list
}

// await watches until a condition is true of so many objects of a kind.
func await(ctx context.Context, c client.WithWatch, gvk schema.GroupVersionKind, condition string, count int) error {
	list := listOf(gvk)
	if err := c.List(ctx, list); err != nil {
		return err
	}
	met := map[string]bool{}
	for i := range list.Items {
		met[list.Items[i].GetName()] = conditionIs(&list.Items[i], condition)
	}
	w, err := c.Watch(ctx, listOf(gvk), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		for name, is := range met {
			if !is {
				delete(met, name)
			}
		}
		if len(met) >= count {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case event, open := <-w.ResultChan():
			if !open || event.Type == watch.Error {
				return fmt.Errorf("the watch of %s ended", gvk.Kind)
			}
			if o, ok := event.Object.(*unstructured.Unstructured); ok {
				met[o.GetName()] = conditionIs(o, condition)
			}
		}
	}
}

func conditionIs(o *unstructured.Unstructured, wanted string) bool {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, entry := range conditions {
		if c, ok := entry.(map[string]any); ok && c["type"] == wanted {
			return c["status"] == "True"
		}
	}
	return false
}
