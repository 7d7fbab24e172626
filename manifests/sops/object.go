package sops

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/stores"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Encrypted tells whether Object has anything to open in an object.
func Encrypted(u *unstructured.Unstructured) bool {
	return u != nil && !spared(u) && (whole(u) || len(embedded(u)) > 0)
}

// whole tells whether the object itself is a SOPS document.
func whole(u *unstructured.Unstructured) bool {
	metadata, _ := u.Object[stores.SopsMetadataKey].(map[string]any)
	return metadata["mac"] != nil
}

// spared objects ask Flux not to decrypt them.
func spared(u *unstructured.Unstructured) bool {
	const key = "kustomize.toolkit.fluxcd.io/decrypt"
	return strings.EqualFold(u.GetAnnotations()[key], "disabled") || strings.EqualFold(u.GetLabels()[key], "disabled")
}

// Object opens an object in place and tells whether there was anything to open. When
// it fails the object is as it was.
func (k *Keys) Object(u *unstructured.Unstructured) (changed bool, err error) {
	if u == nil || spared(u) {
		return false, nil
	}
	if k == nil {
		k = &Keys{}
	}
	if whole(u) {
		err := guarded(func() error {
			content, err := k.content(u.Object)
			if err == nil {
				u.Object = content
			}
			return err
		})
		return err == nil, err
	}
	return k.values(u)
}

// content decrypts an object's content without going through text, so that numbers
// stay what they are.
func (k *Keys) content(object map[string]any) (map[string]any, error) {
	root, err := branchOf(object, 0)
	if err != nil {
		return nil, err
	}
	branches, metadata, err := stores.ExtractMetadata(sops.TreeBranches{root}, stores.MetadataOpts{})
	if err != nil {
		return nil, damaged("its sops field cannot be read")
	}
	tree := sops.Tree{Branches: branches, Metadata: metadata}
	if err := k.open(&tree, false); err != nil {
		return nil, err
	}
	return mapOf(tree.Branches[0]), nil
}

func branchOf(m map[string]any, depth int) (sops.TreeBranch, error) {
	branch := make(sops.TreeBranch, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v, err := treeOf(m[key], depth+1)
		if err != nil {
			return nil, err
		}
		branch = append(branch, sops.TreeItem{Key: key, Value: v})
	}
	return branch, nil
}

func treeOf(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, tooLarge("nested deeper than %d levels", maxDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		return branchOf(v, depth)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			var err error
			if list[i], err = treeOf(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case int64:
		return int(v), nil
	}
	return v, nil
}

func mapOf(branch sops.TreeBranch) map[string]any {
	m := make(map[string]any, len(branch))
	for _, item := range branch {
		if key, ok := item.Key.(string); ok {
			m[key] = valueOf(item.Value)
		}
	}
	return m
}

// valueOf is a decrypted value in the types that objects are made of.
func valueOf(v any) any {
	switch v := v.(type) {
	case sops.TreeBranch:
		return mapOf(v)
	case []any:
		list := make([]any, 0, len(v))
		for _, element := range v {
			if _, comment := element.(sops.Comment); !comment {
				list = append(list, valueOf(element))
			}
		}
		return list
	case int:
		return int64(v)
	case []byte:
		return string(v)
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return v
}

// embedded are the values of a Secret that are SOPS documents, by key.
func embedded(u *unstructured.Unstructured) map[string][]byte {
	if gvk := u.GroupVersionKind(); gvk.Group != "" || gvk.Kind != "Secret" {
		return nil
	}
	data, _ := u.Object["data"].(map[string]any)
	var found map[string][]byte
	for key, v := range data {
		text, ok := v.(string)
		if !ok {
			continue
		}
		content, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !marked(content) {
			continue
		}
		if _, ok := formatOf(key, content); ok {
			if found == nil {
				found = map[string][]byte{}
			}
			found[key] = content
		}
	}
	return found
}

// values opens the values of a Secret that are SOPS documents.
func (k *Keys) values(u *unstructured.Unstructured) (bool, error) {
	found := embedded(u)
	plain := make(map[string][]byte, len(found))
	for _, key := range slices.Sorted(maps.Keys(found)) {
		content, _, err := k.File(key, found[key])
		if err != nil {
			return false, fmt.Errorf("data[%s] %w", key, err)
		}
		plain[key] = content
	}
	data, _ := u.Object["data"].(map[string]any)
	for key, content := range plain {
		data[key] = base64.StdEncoding.EncodeToString(content)
	}
	return len(plain) > 0, nil
}

// marked is a quick look for what every SOPS document holds.
func marked(content []byte) bool {
	return bytes.Contains(content, []byte("sops")) && bytes.Contains(content, []byte("mac"))
}
