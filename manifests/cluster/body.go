package cluster

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// serverFields are the metadata that belong to the API server. In a repository they
// are left-overs of an export, and the server refuses or misreads some of them.
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation",
	"managedFields", "resourceVersion", "selfLink", "uid",
}

// Desired is what is sent of a rendered object, which stays as it is: without what
// only the server writes, and with the forms resolved that the API accepts but does
// not store, so that what is sent is also what must be found later. It is a shallow
// copy where nothing differs.
func Desired(u *unstructured.Unstructured, r Resource) map[string]any {
	out := maps.Clone(u.Object)
	if metadata, ok := out["metadata"].(map[string]any); ok {
		metadata = maps.Clone(metadata)
		for _, field := range serverFields {
			delete(metadata, field)
		}
		if !r.Namespaced {
			delete(metadata, "namespace")
		}
		out["metadata"] = metadata
	}
	if r.StatusSubresource {
		delete(out, "status")
	}
	switch r.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		dropPlaceholder(out)
	case schema.GroupKind{Kind: "Secret"}:
		encodeStringData(out)
	case schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:
		// A controller fills in the rules of such a role; applying the empty list of
		// the repository would take them away each time.
		if out["aggregationRule"] != nil {
			delete(out, "rules")
		}
	}
	return out
}

// encodeStringData moves stringData to data, as the API server would: applied as it
// is, its fields would be owned under a name under which they are never found.
func encodeStringData(secret map[string]any) {
	plain, ok := secret["stringData"].(map[string]any)
	if !ok {
		return
	}
	data, _ := secret["data"].(map[string]any)
	if data = maps.Clone(data); data == nil {
		data = map[string]any{}
	}
	for k, v := range plain {
		s, ok := v.(string)
		if !ok {
			return // not a Secret that the API accepts; it will say why
		}
		data[k] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	secret["data"] = data
	delete(secret, "stringData")
}

// dropPlaceholder removes a caBundle that is no certificate from the conversion of a
// definition. Generators write one for a controller to replace, and the API server
// refuses it once the definition exists.
func dropPlaceholder(definition map[string]any) {
	path := []string{"spec", "conversion", "webhook", "clientConfig", "caBundle"}
	bundle, ok, _ := unstructured.NestedString(definition, path...)
	if !ok || certificates(bundle) {
		return
	}
	// Only the way to the field is copied: a definition can be large.
	at := definition
	for _, field := range path[:len(path)-1] {
		below, _ := at[field].(map[string]any)
		below = maps.Clone(below)
		at[field] = below
		at = below
	}
	delete(at, path[len(path)-1])
}

func certificates(bundle string) bool {
	raw, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil {
		return false
	}
	block, _ := pem.Decode(raw)
	return block != nil
}

// Body encodes Desired.
func Body(u *unstructured.Unstructured, r Resource) ([]byte, error) {
	b, err := json.Marshal(Desired(u, r))
	if err != nil {
		return nil, fmt.Errorf("encode the object: %w", err)
	}
	return b, nil
}
