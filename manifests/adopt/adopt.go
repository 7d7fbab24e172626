// Package adopt turns live objects into files for a repository: without what the API
// server and controllers wrote, under names that lead nowhere else, as a directory or as a
// commit on a branch. It never overwrites what it was not told to, touches no working
// tree and pushes nothing.
package adopt

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// File to write.
type File struct {
	Name    string
	Content []byte
	// Secret files are for their owner alone.
	Secret bool
}

// Clean is a live object as a repository should hold it: what people and tools wrote,
// without status, identity and what belongs to one cluster alone.
func Clean(live *unstructured.Unstructured) *unstructured.Unstructured {
	u, told := verify.Owned(live)
	delete(u.Object, "status")
	metadata, _ := u.Object["metadata"].(map[string]any)
	for _, field := range []string{
		"managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink",
		"deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "generateName",
	} {
		delete(metadata, field)
	}
	strip(metadata, "annotations", func(key string) bool {
		return key == "kubectl.kubernetes.io/last-applied-configuration" || key == "deployment.kubernetes.io/revision" ||
			strings.HasPrefix(key, "pv.kubernetes.io/") || strings.HasPrefix(key, "volume.kubernetes.io/") || strings.HasPrefix(key, "volume.beta.kubernetes.io/")
	})
	if kept := slices.DeleteFunc(u.GetFinalizers(), ofServer); len(kept) > 0 {
		u.SetFinalizers(kept)
	} else {
		delete(metadata, "finalizers")
	}
	ofOneCluster(u)
	if !told {
		assigned(u)
	}
	return u
}

// ofServer tells whether the server adds a finalizer itself.
func ofServer(finalizer string) bool {
	return strings.HasPrefix(finalizer, "kubernetes.io/") || finalizer == "foregroundDeletion" || finalizer == "orphan"
}

// strip keys of a map below another one, and the map when nothing is left.
func strip(parent map[string]any, field string, gone func(key string) bool) {
	m, _ := parent[field].(map[string]any)
	for key := range m {
		if gone(key) {
			delete(m, key)
		}
	}
	if len(m) == 0 {
		delete(parent, field)
	}
}

// ofOneCluster removes what leads to other objects of the same cluster.
func ofOneCluster(u *unstructured.Unstructured) {
	spec, _ := u.Object["spec"].(map[string]any)
	switch u.GroupVersionKind().GroupKind().String() {
	case "Namespace":
		delete(u.Object, "spec")
	case "ServiceAccount":
		delete(u.Object, "secrets")
	case "PersistentVolume":
		if ref, ok := spec["claimRef"].(map[string]any); ok {
			delete(ref, "uid")
			delete(ref, "resourceVersion")
		}
	}
}

// assigned removes what a cluster gives to objects of some kinds, when nothing tells
// whether people asked for it.
func assigned(u *unstructured.Unstructured) {
	spec, _ := u.Object["spec"].(map[string]any)
	switch u.GroupVersionKind().GroupKind().String() {
	case "Service":
		if spec["clusterIP"] != "None" {
			delete(spec, "clusterIP")
			delete(spec, "clusterIPs")
		}
		delete(spec, "healthCheckNodePort")
	case "PersistentVolumeClaim":
		delete(spec, "volumeName")
	case "Pod":
		delete(spec, "nodeName")
	case "Job.batch":
		if manual, _ := spec["manualSelector"].(bool); !manual {
			delete(spec, "selector")
			unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "labels", "controller-uid")
			unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "labels", "batch.kubernetes.io/controller-uid")
		}
	}
}

// NewFile of a live object. about says where it came from and goes above it as a comment.
func NewFile(live *unstructured.Unstructured, about string) (File, error) {
	id := manifests.IDOf(live)
	content, err := yaml.Marshal(Clean(live).Object)
	if err != nil {
		return File{}, fmt.Errorf("write %s as YAML: %w", id, err)
	}
	var b bytes.Buffer
	for line := range strings.Lines(about) {
		b.WriteString("# " + strings.TrimSpace(line) + "\n")
	}
	b.Write(content)
	return File{Name: FileName(id), Content: b.Bytes(), Secret: id.Kind == "Secret"}, nil
}

// mostName bounds a file's name, in bytes.
const mostName = 120

// FileName of an object. Names of objects can hold what names of files should not; such
// a one is told apart by a hash.
func FileName(id manifests.ID) string {
	parts := []string{strings.ToLower(id.Kind)}
	if id.Group != "" {
		parts[0] += "." + strings.ToLower(id.Group)
	}
	if id.Namespace != "" {
		parts = append([]string{id.Namespace}, parts...)
	}
	plain := strings.Join(append(parts, id.Name), "_")
	safe := strings.TrimLeft(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '-'
	}, plain), ".-")
	if safe != plain || len(safe) > mostName {
		sum := sha256.Sum256([]byte(plain))
		safe = safe[:min(len(safe), mostName)] + "-" + hex.EncodeToString(sum[:4])
	}
	return safe + ".yaml"
}

// Pattern from KIND[.GROUP]/[NAMESPACE/]NAME; names may hold * and ?.
func Pattern(text string) (manifests.Pattern, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return manifests.Pattern{}, fmt.Errorf("%q is not KIND[.GROUP]/[NAMESPACE/]NAME, such as ConfigMap/shop/settings", text)
	}
	kind, group, _ := strings.Cut(parts[0], ".")
	p := manifests.Pattern{Kind: kind, Group: group, Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		p.Namespace = parts[1]
	}
	return p, nil
}
