package cluster

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// StorageClasses knows which classes bind a claim only when a pod uses it: such a
// claim would otherwise be waited for by the very pod that binds it. It may be used
// concurrently.
type StorageClasses struct {
	mu      sync.RWMutex
	waits   map[string]bool
	primary string // the default class
}

// StorageClassKind is what Learn takes.
var StorageClassKind = schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}

const defaultClass = "storageclass.kubernetes.io/is-default-class"

// Learn one class.
func (s *StorageClasses) Learn(class *unstructured.Unstructured) {
	mode, _, _ := unstructured.NestedString(class.Object, "volumeBindingMode")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waits == nil {
		s.waits = map[string]bool{}
	}
	s.waits[class.GetName()] = mode == "WaitForFirstConsumer"
	if class.GetAnnotations()[defaultClass] == "true" {
		s.primary = class.GetName()
	}
}

// WaitsForConsumer answers for the class of that name, or for the default class.
func (s *StorageClasses) WaitsForConsumer(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if name == "" {
		name = s.primary
	}
	return s.waits[name]
}

// LearnStorageClasses reads those that the cluster has.
func (c *Client) LearnStorageClasses(ctx context.Context, k *Kinds, s *StorageClasses) error {
	r, ok := k.Lookup(StorageClassKind)
	if !ok {
		return nil
	}
	_, err := c.List(ctx, r, func(u *unstructured.Unstructured) error {
		s.Learn(u)
		return nil
	})
	if err != nil {
		return fmt.Errorf("learn how claims are bound: %w", err)
	}
	return nil
}
