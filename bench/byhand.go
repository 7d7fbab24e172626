package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/internal/planetest"
	"github.com/refloat-dev/refloat/manifests"
)

// byHand takes the same parts as a drill does, without Refloat: somebody creates the Cluster,
// waits until Cluster API calls it available, sends prebuilt requests, waits for the workloads
// and deletes the Cluster.
func (s *sandbox) byHand(ctx context.Context, name string, objects []manifests.Object) (p parts, err error) {
	c, err := s.management()
	if err != nil {
		return p, err
	}
	began := time.Now()
	lap := func() time.Duration {
		now := time.Now()
		defer func() { began = now }()
		return now.Sub(began)
	}
	cluster, err := createByHand(ctx, c, name)
	if err != nil {
		return p, err
	}
	if err := awaitCluster(ctx, c, name, isAvailable); err != nil {
		return p, err
	}
	p.start = lap()
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name + "-kubeconfig"}, secret); err != nil {
		return p, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		return p, err
	}
	plane := &planetest.Plane{Config: config}
	_, err = applyBare(ctx, plane, objects)
	p.apply = lap()
	if err == nil {
		err = awaitDeployments(ctx, plane)
	}
	p.ready = lap()
	if err = errors.Join(err, c.Delete(ctx, cluster)); err != nil {
		return p, err
	}
	err = awaitCluster(ctx, c, name, func(o *unstructured.Unstructured) bool { return o == nil })
	p.stop = lap()
	return p, err
}

// management is a client of the sandbox's management plane.
func (s *sandbox) management() (client.WithWatch, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.dir(), "kubeconfig"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// createByHand creates the manifests of the example; the Cluster is returned.
func createByHand(ctx context.Context, c client.Client, name string) (*unstructured.Unstructured, error) {
	raw, err := os.ReadFile(filepath.Join("..", "examples", "cluster", "cluster.yaml"))
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("${CLUSTER_NAME}", name, "${NAMESPACE}", metav1.NamespaceDefault).Replace(string(raw))
	var cluster *unstructured.Unstructured
	for _, document := range strings.Split(text, "\n---\n") {
		content, err := utilyaml.ToJSON([]byte(document))
		if err != nil {
			return nil, err
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(content, &o.Object); err != nil {
			return nil, err
		}
		if err := c.Create(ctx, o); err != nil {
			return nil, err
		}
		if o.GetKind() == "Cluster" {
			cluster = o
		}
	}
	if cluster == nil {
		return nil, errors.New("the example holds no Cluster")
	}
	return cluster, nil
}

// isAvailable tells whether Cluster API calls the Cluster so.
func isAvailable(o *unstructured.Unstructured) bool {
	if o == nil {
		return false
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(entry any) bool {
		c, _ := entry.(map[string]any)
		return c["type"] == "Available" && c["status"] == "True"
	})
}

// awaitCluster watches one Cluster; done is asked of nil when it is gone.
func awaitCluster(ctx context.Context, c client.WithWatch, name string, done func(*unstructured.Unstructured) bool) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "ClusterList"})
	of := []client.ListOption{client.InNamespace(metav1.NamespaceDefault), client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name)}}
	if err := c.List(ctx, list, of...); err != nil {
		return err
	}
	var now *unstructured.Unstructured
	if len(list.Items) > 0 {
		now = &list.Items[0]
	}
	if done(now) {
		return nil
	}
	w, err := c.Watch(ctx, list, append(of, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})...)
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-w.ResultChan():
			o, ok := e.Object.(*unstructured.Unstructured)
			if !open || !ok {
				return fmt.Errorf("the watch of Cluster %s ended", name)
			}
			if e.Type == watch.Deleted {
				o = nil
			}
			if done(o) {
				return nil
			}
		}
	}
}
