// Package conformance holds what any infrastructure provider must show through
// providers/capi before a recovery run may rely on it.
package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/providers/capi"
)

// Target is a management cluster with the provider under test.
type Target struct {
	Clusters  *capi.Clusters
	Namespace string
	// Sources returns the manifests of a small cluster of the given name, written with
	// that name (not renamed).
	Sources func(name string) []capi.Source
	// Await returns nil once done reports true. It looks again whenever something may
	// have changed, and fails, naming what, when ctx ends.
	Await func(ctx context.Context, what string, done func(context.Context) (bool, error)) error
	// Timeout of one wait.
	Timeout time.Duration
	// MinNodes that a cluster of Sources has.
	MinNodes int
}

// Conformance runs the suite. Each part makes its own clusters and deletes them.
func Conformance(t *testing.T, factory func(t *testing.T) Target) {
	t.Run("life", func(t *testing.T) { life(t, factory(t)) })
	t.Run("renamed beside the original", func(t *testing.T) { renamed(t, factory(t)) })
	t.Run("foreign objects stay", func(t *testing.T) { foreign(t, factory(t)) })
}

// life makes a cluster, uses it, deletes it and makes it again under the same name.
func life(t *testing.T, target Target) {
	const name = "conformance-life"
	stamp := capi.Stamp{Run: "run-1", Epoch: 1}
	first := target.create(t, target.parse(t, name), stamp)
	if again := target.create(t, target.parse(t, name), stamp); again != first {
		t.Errorf("repeated Create returned %v, not %v", again, first)
	}
	firstSystem := target.usable(t, first)

	err := target.Clusters.MarkApplied(t.Context(), first, metav1.Condition{Type: "refloat.dev/GitStateApplied", Status: metav1.ConditionTrue, Reason: "Applied"})
	if err != nil {
		t.Errorf("MarkApplied: %v", err)
	}
	var changed *capi.IdentityChangedError
	imposter := first
	imposter.UID = "another"
	if err := target.Clusters.Delete(t.Context(), imposter, stamp); !errors.As(err, &changed) {
		t.Errorf("Delete of another UID: %v, want IdentityChangedError", err)
	}
	var deposed *capi.DeposedError
	if err := target.Clusters.Delete(t.Context(), first, capi.Stamp{Run: "run-1", Epoch: 0}); !errors.As(err, &deposed) {
		t.Errorf("Delete of an older epoch: %v, want DeposedError", err)
	}
	target.remove(t, first, capi.Stamp{Run: "run-2", Epoch: 1})
	if err := target.Clusters.Delete(t.Context(), first, stamp); !isNotFound(err) {
		t.Errorf("Delete of a cluster that is gone: %v, want NotFoundError", err)
	}

	second := target.create(t, target.parse(t, name), capi.Stamp{Run: "run-2", Epoch: 1})
	if second.UID == first.UID {
		t.Error("the second life has the UID of the first")
	}
	if system := target.usable(t, second); system == firstSystem {
		t.Error("the second life has the kube-system namespace of the first")
	}
	if _, err := target.Clusters.Connect(t.Context(), first); !errors.As(err, &changed) {
		t.Errorf("Connect to the first life: %v, want IdentityChangedError", err)
	}
	target.remove(t, second, capi.Stamp{Run: "run-2", Epoch: 2})
}

// renamed makes two clusters from one set of manifests, side by side.
func renamed(t *testing.T, target Target) {
	const name = "conformance-pair"
	original := target.create(t, target.parse(t, name), capi.Stamp{Run: "run-1", Epoch: 1})
	copied := target.create(t, target.parse(t, name).Rename(name+"-drill"), capi.Stamp{Run: "run-2", Epoch: 1})
	system := target.usable(t, original)
	if target.usable(t, copied) == system {
		t.Error("both clusters have the same kube-system namespace")
	}
	target.remove(t, copied, capi.Stamp{Run: "run-2", Epoch: 1})
	if target.usable(t, original) != system {
		t.Error("the original changed with the deletion of the copy")
	}
	target.remove(t, original, capi.Stamp{Run: "run-1", Epoch: 1})
}

// foreign checks that nothing of another run is taken over.
func foreign(t *testing.T, target Target) {
	const name = "conformance-foreign"
	stamp := capi.Stamp{Run: "run-1", Epoch: 1}
	inc := target.create(t, target.parse(t, name), stamp)
	var refused *capi.ForeignError
	if _, err := target.Clusters.Create(t.Context(), target.parse(t, name), capi.Stamp{Run: "run-2", Epoch: 1}); !errors.As(err, &refused) {
		t.Errorf("Create by another run: %v, want ForeignError", err)
	}
	target.remove(t, inc, stamp)
}

func (target Target) parse(t *testing.T, name string) *capi.Manifests {
	t.Helper()
	m, err := capi.Parse(target.Sources(name), name, target.Namespace)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	if err := target.Clusters.Preflight(t.Context(), m); err != nil {
		t.Fatalf("preflight: %v", err)
	}
	return m
}

func (target Target) create(t *testing.T, m *capi.Manifests, stamp capi.Stamp) capi.Incarnation {
	t.Helper()
	inc, err := target.Clusters.Create(t.Context(), m, stamp)
	if err != nil {
		t.Fatalf("create %s: %v", m.Name, err)
	}
	return inc
}

// usable waits until the cluster answers and returns the UID of its kube-system.
func (target Target) usable(t *testing.T, inc capi.Incarnation) string {
	t.Helper()
	system := ""
	target.await(t, "Cluster "+inc.String()+" to be usable", func(ctx context.Context) (bool, error) {
		obs, err := target.Clusters.Observe(ctx, inc.Namespace, inc.Name)
		if err != nil {
			return false, err
		}
		if ok, _ := obs.Available(); !ok || obs.UID != inc.UID {
			return false, nil
		}
		health, _, err := target.probe(ctx, inc)
		system = string(health.KubeSystemUID)
		return err == nil && health.ReadyNodes >= target.MinNodes, ignoreNotReady(err)
	})
	_, config, err := target.probe(t.Context(), inc)
	if err != nil {
		t.Fatalf("probe %s: %v", inc, err)
	}
	if err := target.Clusters.RefuseManagement(t.Context(), config, ""); err != nil {
		t.Errorf("the cluster counts as the management cluster: %v", err)
	}
	return system
}

func (target Target) probe(ctx context.Context, inc capi.Incarnation) (capi.Health, *rest.Config, error) {
	config, err := target.Clusters.Connect(ctx, inc)
	if err != nil {
		return capi.Health{}, nil, err
	}
	health, err := target.Clusters.Probe(ctx, config, target.MinNodes)
	return health, config, err
}

// remove deletes a cluster, twice, and waits until nothing is left of it.
func (target Target) remove(t *testing.T, inc capi.Incarnation, stamp capi.Stamp) {
	t.Helper()
	for range 2 {
		target.await(t, "Cluster "+inc.String()+" to be deleted", func(ctx context.Context) (bool, error) {
			err := target.Clusters.Delete(ctx, inc, stamp)
			if err == nil || isNotFound(err) {
				return true, nil
			}
			return false, ignoreNotReady(err) // the provider changed it meanwhile
		})
	}
	target.await(t, "nothing to be left of Cluster "+inc.String(), func(ctx context.Context) (bool, error) {
		obs, err := target.Clusters.Observe(ctx, inc.Namespace, inc.Name)
		if err != nil || obs.Exists {
			return false, err
		}
		left, err := target.Clusters.Contents(ctx, inc)
		return len(left) == 0, err
	})
}

func (target Target) await(t *testing.T, what string, done func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), target.Timeout)
	defer cancel()
	if err := target.Await(ctx, what, done); err != nil {
		t.Fatal(err)
	}
}

func isNotFound(err error) bool {
	var gone *capi.NotFoundError
	return errors.As(err, &gone)
}

func ignoreNotReady(err error) error {
	var wait *capi.NotReadyError
	if errors.As(err, &wait) {
		return nil
	}
	return err
}
