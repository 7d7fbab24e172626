// Package crds holds the CustomResourceDefinitions of the local provider, made
// from the Go types by the line below and carried in the binary.
package crds

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:generate go tool controller-gen object paths=../api/infrastructure/... paths=../api/controlplane/...
//go:generate go tool controller-gen crd paths=../api/infrastructure/... paths=../api/controlplane/... output:crd:dir=.

//go:embed *.yaml
var files embed.FS

// All returns the definitions, each time anew, in the order of their file names.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list embedded definitions: %w", err)
	}
	crds := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(names))
	for _, name := range names {
		raw, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read embedded definition %s: %w", name, err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(bytes.TrimSpace(raw), crd); err != nil {
			return nil, fmt.Errorf("decode embedded definition %s: %w", name, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}
