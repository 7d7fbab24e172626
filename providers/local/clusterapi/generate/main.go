// Command generate copies the definitions and webhook configurations of Cluster API
// core out of its module into one file.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const module = "sigs.k8s.io/cluster-api"

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: generate FILE")
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", module).Output()
	if err != nil {
		return fmt.Errorf("find module %s: %w", module, err)
	}
	dir, version, found := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !found {
		return fmt.Errorf("module %s is not downloaded; run 'go mod download'", module)
	}
	config := filepath.Join(dir, "core", "config")
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Copied by a generator from %s %s (Apache-2.0), storage versions only. Do not edit.\n", module, version)
	files, err := filepath.Glob(filepath.Join(config, "crd", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no definitions in %s (%w)", config, err)
	}
	for _, file := range files {
		definition, err := storageVersionOnly(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		b.WriteString("---\n")
		b.Write(definition)
	}
	webhooks, err := os.ReadFile(filepath.Join(config, "webhook", "manifests.yaml"))
	if err != nil {
		return err
	}
	b.Write(webhooks)
	return os.WriteFile(args[0], b.Bytes(), 0o644) //nolint:gosec // a source file of the repository, for everyone to read
}

func storageVersionOnly(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(data, &crd); err != nil {
		return nil, err
	}
	crd.Spec.Versions = slices.DeleteFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return !v.Storage })
	if len(crd.Spec.Versions) != 1 {
		return nil, fmt.Errorf("want one storage version, found %d", len(crd.Spec.Versions))
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": crd.APIVersion, "kind": crd.Kind,
		"metadata": map[string]any{"name": crd.Name, "labels": crd.Labels, "annotations": crd.Annotations},
		"spec":     crd.Spec,
	})
}
