// Package planetest gives tests and benchmarks a real control plane of their own.
package planetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// Plane is a running control plane.
type Plane struct {
	Config *rest.Config
	// AuditLog holds one line of JSON for each write, when Options.Audit was set.
	AuditLog string
	dir      string
}

// Options of Start.
type Options struct {
	// Nodes simulated by kwok.
	Nodes int
	// Audit writes to AuditLog.
	Audit bool
}

const startTimeout = 2 * time.Minute

// writesOnly audits who wrote what, without bodies.
const writesOnly = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],
"rules":[{"level":"Metadata","verbs":["create","update","patch","delete"]},{"level":"None"}]}`

// Start a workload control plane in a new temporary directory. Stop it.
func Start(ctx context.Context, o Options) (*Plane, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "planetest-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the control plane: %w", err)
	}
	p := &Plane{dir: dir, AuditLog: filepath.Join(dir, "plane", "log", "audit.log")}
	if err := p.start(ctx, o); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *Plane) start(ctx context.Context, o Options) error {
	// Reserved ports are recorded in the user's state directory otherwise.
	if err := os.Setenv("XDG_STATE_HOME", filepath.Join(p.dir, "state")); err != nil {
		return err
	}
	binaries, err := assets.Get(ctx, assets.Options{Only: []assets.Name{assets.Kubernetes, assets.Kwok}})
	if err != nil {
		return fmt.Errorf("get the Kubernetes binaries: %w", err)
	}
	options := controlplane.Options{Dir: filepath.Join(p.dir, "plane"), Name: "test",
		Role: controlplane.Workload, Binaries: binaries, Log: logr.Discard()}
	if o.Audit {
		options.AuditPolicy = []byte(writesOnly)
	}
	plane, err := controlplane.Start(ctx, options)
	if err != nil {
		return fmt.Errorf("start a control plane: %w", err)
	}
	p.Config = plane.AdminConfig()
	return addNodes(ctx, p.Config, o.Nodes)
}

// Stop ends every process of the plane and removes its files.
func (p *Plane) Stop(ctx context.Context) error {
	return errors.Join(controlplane.Purge(ctx, filepath.Join(p.dir, "plane")), os.RemoveAll(p.dir))
}

func addNodes(ctx context.Context, config *rest.Config, count int) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	nodes := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "nodes"})
	for i := range count {
		node := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{
				"name":        fmt.Sprintf("node-%d", i),
				"labels":      map[string]any{"type": "kwok", "kubernetes.io/os": "linux"},
				"annotations": map[string]any{"kwok.x-k8s.io/node": "fake"},
			},
		}}
		if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create node-%d: %w", i, err)
		}
	}
	return nil
}

// Main is the TestMain of a package whose tests share a plane. It returns the exit code.
func Main(m interface{ Run() int }, plane **Plane, o Options) int {
	ctx := context.Background()
	var err error
	if *plane, err = Start(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := (*plane).Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
