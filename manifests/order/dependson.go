package order

import (
	"fmt"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

const dependsOnAnnotation = "config.kubernetes.io/depends-on"

// maxReferences bounds the list in one annotation.
const maxReferences = 1000

// dependsOn adds the references that objects declare. Each must parse and be in the
// set; a reference to something that never becomes ready on a simulated cluster is
// dropped with a warning.
func (b *builder) dependsOn() []error {
	var faults []error
	for i, it := range b.items {
		value, ok := it.GetAnnotations()[dependsOnAnnotation]
		if !ok {
			continue
		}
		references := strings.Split(value, ",")
		if len(references) > maxReferences {
			faults = append(faults, fmt.Errorf("%s: %s lists more than %d objects", it.where(), dependsOnAnnotation, maxReferences))
			continue
		}
		for _, r := range references {
			if err := b.dependOn(i, strings.TrimSpace(r)); err != nil {
				faults = append(faults, fmt.Errorf("%s: %s: %w", it.where(), dependsOnAnnotation, err))
			}
		}
	}
	return faults
}

func (b *builder) dependOn(i int, reference string) error {
	id, err := parseReference(reference)
	if err != nil {
		return err
	}
	dep, ok := b.byID[id]
	switch {
	case !ok:
		return fmt.Errorf("%s is not part of the state", id)
	case dep == i:
		return fmt.Errorf("it refers to the object itself")
	case b.late[dep]:
		b.warn("%s declares that it depends on %s, which goes last on a simulated cluster: not waited for", b.name(i), b.name(dep))
	default:
		b.need(i, dep, Ready, Declared, "declares that it depends on it")
	}
	return nil
}

// parseReference reads group/kind/name or group/namespaces/namespace/kind/name; the
// group of core kinds is empty.
func parseReference(text string) (manifests.ID, error) {
	var id manifests.ID
	switch f := strings.Split(text, "/"); {
	case len(f) == 3:
		id = manifests.ID{Group: f[0], Kind: f[1], Name: f[2]}
	case len(f) == 5 && f[1] == "namespaces" && f[2] != "":
		id = manifests.ID{Group: f[0], Namespace: f[2], Kind: f[3], Name: f[4]}
	}
	if id.Kind == "" || id.Name == "" {
		return id, fmt.Errorf("cannot read %q: write group/kind/name, or group/namespaces/namespace/kind/name, with an empty group for core kinds", text)
	}
	return id, nil
}
