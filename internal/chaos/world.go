package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	refloatcrds "github.com/refloat-dev/refloat/api/v1alpha1/crds"
	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/clusterapi"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
	"github.com/refloat-dev/refloat/providers/local/crds"
	"github.com/refloat-dev/refloat/recovery/controller"
)

// World is what all points share.
type World struct {
	dir              string
	binaries         assets.Binaries
	management, live *plane
	lanes            []*lane
	client           client.WithWatch
	repository       string
	points           atomic.Int64
	references       map[string]*outcome
}

// lane runs one point after the other on one plane for new clusters.
type lane struct {
	*World
	plane *plane
}

// NewWorld starts the planes. Close it, also after an error.
func NewWorld(ctx context.Context, lanes int, log io.Writer) (*World, error) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the fault harness: %w", err)
	}
	w := &World{dir: dir, repository: filepath.Join(dir, "repository"), references: map[string]*outcome{}}
	began := time.Now()
	if err := w.start(ctx, lanes); err != nil {
		return w, err
	}
	fmt.Fprintf(log, "%d control planes started in %s\n", len(w.lanes)+2, time.Since(began).Round(100*time.Millisecond))
	return w, nil
}

func (w *World) start(ctx context.Context, lanes int) error {
	// Where ports are reserved; the user's own list is left alone.
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(w.dir, "state")); err != nil {
		return err
	}
	var err error
	if w.binaries, err = assets.Get(ctx, assets.Options{Only: []assets.Name{assets.Kubernetes, assets.Kwok}}); err != nil {
		return fmt.Errorf("get the Kubernetes binaries: %w", err)
	}
	if err := makeRepository(ctx, w.repository); err != nil {
		return err
	}
	if w.management, err = startPlane(ctx, w.binaries, w.dir, "management", controlplane.Management); err != nil {
		return err
	}
	if w.live, err = startPlane(ctx, w.binaries, w.dir, "live", controlplane.Bare); err != nil {
		return err
	}
	for i := range lanes {
		p, err := startPlane(ctx, w.binaries, w.dir, fmt.Sprintf("lane%d", i), controlplane.Bare)
		if err != nil {
			return err
		}
		w.lanes = append(w.lanes, &lane{w, p})
	}
	return w.install(ctx)
}

// install the definitions that a management cluster has.
func (w *World) install(ctx context.Context) error {
	own, err := refloatcrds.All()
	if err != nil {
		return err
	}
	core, err := clusterapi.Definitions()
	if err != nil {
		return err
	}
	local, err := crds.All()
	if err != nil {
		return err
	}
	all := append(own, local...)
	for _, d := range core {
		if d.Name == "clusters.cluster.x-k8s.io" || d.Name == "clusterclasses.cluster.x-k8s.io" || d.Name == "machines.cluster.x-k8s.io" {
			all = append(all, withoutConversion(d))
		}
	}
	if err := clusterapi.Install(ctx, w.management.AdminConfig(), all); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := controller.AddToScheme(scheme); err != nil {
		return err
	}
	w.client, err = client.NewWithWatch(w.management.AdminConfig(), client.Options{Scheme: scheme})
	return err
}

// withoutConversion leaves the version that is stored: nobody converts here.
func withoutConversion(d *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinition {
	d = d.DeepCopy()
	d.Spec.Conversion = nil
	for _, v := range d.Spec.Versions {
		if v.Storage {
			d.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{v}
			break
		}
	}
	return d
}

// Close ends every process and removes what they kept.
func (w *World) Close(ctx context.Context) error {
	if w == nil {
		return nil
	}
	var errs []error
	found, err := filepath.Glob(filepath.Join(w.dir, "*", "plane.json"))
	errs = append(errs, err)
	for _, file := range found {
		errs = append(errs, controlplane.Purge(ctx, filepath.Dir(file)))
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}
