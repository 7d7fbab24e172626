// Package deploy holds what a management cluster needs for Refloat, as kustomizations, and
// gives the sandbox the same accounts and rights.
package deploy

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Namespace of the controller and of the service accounts.
const Namespace = "refloat-system"

// The service accounts. The controller runs as the first one, which may only act as one of
// the others.
const (
	Controller = "refloat-controller"
	Planner    = "refloat-planner"
	Applier    = "refloat-applier"
	Destroyer  = "refloat-destroyer"
	Scheduler  = "refloat-scheduler"
)

//go:embed access/accounts.yaml access/planner.yaml access/applier.yaml access/destroyer.yaml access/scheduler.yaml
//go:embed access/providers.yaml access/anyprovider.yaml access/management.yaml everywhere/bindings.yaml
var files embed.FS

// accessFiles in the order in which they are applied.
var accessFiles = []string{
	"access/accounts.yaml", "access/planner.yaml", "access/applier.yaml", "access/destroyer.yaml", "access/scheduler.yaml",
	"access/providers.yaml", "access/anyprovider.yaml", "access/management.yaml", "everywhere/bindings.yaml",
}

// Access is the namespace, the accounts and their rights in every namespace, freshly
// decoded.
func Access() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, name := range accessFiles {
		raw, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read embedded %s: %w", name, err)
		}
		documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read embedded %s: %w", name, err)
			}
			u := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(document, &u.Object); err != nil {
				return nil, fmt.Errorf("decode embedded %s: %w", name, err)
			}
			all = append(all, u)
		}
	}
	return all, nil
}
