package apply

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
)

// storageClasses knows which classes bind a claim only when a pod uses it: such a
// claim would otherwise be waited for by the very pod that binds it.
type storageClasses struct {
	mu      sync.RWMutex
	waits   map[string]bool
	primary string // the default class
}

var storageClassKind = schema.GroupVersionKind{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}

func isStorageClass(o manifests.Object) bool {
	return o.ID().GroupKind() == storageClassKind.GroupKind()
}

const defaultClass = "storageclass.kubernetes.io/is-default-class"

func (s *storageClasses) learn(class *unstructured.Unstructured) {
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

func (s *storageClasses) waitsForConsumer(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if name == "" {
		name = s.primary
	}
	return s.waits[name]
}

func (e *engine) needsClasses() bool {
	for id := range e.index {
		if id.Group == "" && id.Kind == "PersistentVolumeClaim" {
			return true
		}
	}
	return false
}

// learnClasses adds those that the cluster has of its own.
func (e *engine) learnClasses(ctx context.Context) error {
	r, ok := e.kinds.Lookup(storageClassKind)
	if !ok {
		return nil
	}
	_, err := e.client.List(ctx, r, func(u *unstructured.Unstructured) error {
		e.classes.learn(u)
		return nil
	})
	if err != nil {
		return fmt.Errorf("learn how claims are bound: %w", err)
	}
	return nil
}
