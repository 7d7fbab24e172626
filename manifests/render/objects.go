package render

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests"
)

// objects decodes one document. Values are what kubectl makes of the same text:
// the same parser decides that yes is a boolean and 0644 is octal.
func (r *renderer) objects(unit, file string, d document) ([]manifests.Object, error) {
	if d.root.Kind != yaml.MappingNode {
		return nil, inputErrorf(file, d.at(d.root), "is %s, not a Kubernetes object", kindOfNode(d.root))
	}
	content, err := decode(file, d)
	if err != nil {
		return nil, err
	}
	return r.expand(item{unit: unit, file: file, line: d.at(d.root), node: d.root, doc: d, content: content})
}

func decode(file string, d document) (map[string]any, error) {
	text := d.text
	if !d.json {
		var err error
		if text, err = sigsyaml.YAMLToJSONStrict(d.text); err != nil {
			return nil, syntaxError(file, d, err)
		}
	}
	var content map[string]any
	if err := utiljson.Unmarshal(text, &content); err != nil {
		return nil, inputErrorf(file, d.line, "is not a Kubernetes object: %v", err)
	}
	return content, nil
}

// item is a mapping that should be an object or a list of them.
type item struct {
	unit, file string
	line       int
	node       *yaml.Node // for positions; may lack what content has
	doc        document
	content    map[string]any
}

func (i item) fault(format string, args ...any) error {
	return inputErrorf(i.file, i.line, "%s", fmt.Sprintf(format, args...))
}

// expand turns an item into objects: itself, or the items of a List.
func (r *renderer) expand(i item) ([]manifests.Object, error) {
	apiVersion, kind, err := i.types()
	if err != nil {
		return nil, err
	}
	group, _, _ := strings.Cut(apiVersion, "/")
	if group == "kustomize.config.k8s.io" && (kind == "Kustomization" || kind == "Component") {
		return nil, nil // an instruction for kustomize, not an object
	}
	if items, isList := i.content["items"]; strings.HasSuffix(kind, "List") && (isList || kind == "List") {
		return r.list(i, apiVersion, kind, items)
	}
	if err := i.check(kind); err != nil {
		return nil, err
	}
	return []manifests.Object{{
		Unstructured: &unstructured.Unstructured{Object: i.content},
		Origin:       manifests.Origin{Unit: i.unit, File: i.file, Line: i.line},
	}}, nil
}

// types reads apiVersion and kind, and explains what a document without them may be.
func (i item) types() (apiVersion, kind string, err error) {
	if sops, ok := i.content["sops"].(map[string]any); ok && sops["mac"] != nil {
		return "", "", &InputError{File: i.file, Line: i.line, Message: "is encrypted with SOPS: not supported yet", Cause: ErrEncrypted}
	}
	apiVersion, _ = i.content["apiVersion"].(string)
	kind, _ = i.content["kind"].(string)
	switch {
	case apiVersion == "" && kind == "":
		return "", "", i.fault("has neither apiVersion nor kind: it is not a Kubernetes object; " +
			"if the file is for something else, add a kustomization.yaml that lists the files to apply")
	case kind == "":
		return "", "", i.fault("has no kind")
	case apiVersion == "":
		return "", "", i.fault("%s has no apiVersion", kind)
	}
	if _, err := schema.ParseGroupVersion(apiVersion); err != nil {
		return "", "", i.fault("%s has the malformed apiVersion %q", kind, short(apiVersion))
	}
	return apiVersion, kind, nil
}

// list expands a List of any kind. Items of a typed list may leave out their own type, as the API does.
func (r *renderer) list(i item, apiVersion, kind string, value any) ([]manifests.Object, error) {
	items, ok := value.([]any)
	if !ok && value != nil {
		return nil, i.fault("%s has items that are not a list", kind)
	}
	nodes := field(i.node, "items")
	var all []manifests.Object
	for n, v := range items {
		element := item{unit: i.unit, file: i.file, line: i.line, doc: i.doc}
		if nodes != nil && n < len(nodes.Content) {
			element.node = resolved(nodes.Content[n])
			element.line = i.doc.at(element.node)
		}
		if element.content, ok = v.(map[string]any); !ok {
			return nil, element.fault("item %d of the %s is not an object", n, kind)
		}
		if element.content["kind"] == nil && element.content["apiVersion"] == nil && kind != "List" {
			element.content["kind"] = strings.TrimSuffix(kind, "List")
			element.content["apiVersion"] = apiVersion
		}
		objects, err := r.expand(element)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

// check finds what no API server would take, while file and line are at hand.
func (i item) check(kind string) error {
	metadata, ok := i.content["metadata"].(map[string]any)
	if !ok {
		return i.fault("%s has no metadata.name", kind)
	}
	name, isString := metadata["name"].(string)
	switch {
	case metadata["name"] == nil && metadata["generateName"] != nil:
		return i.fault("%s has generateName: an object that gets a new name each time cannot be applied or verified; give it a name", kind)
	case metadata["name"] == nil, isString && name == "":
		return i.fault("%s has no metadata.name", kind)
	case !isString:
		return i.fault("%s has the metadata.name %v, which is not a string: quote it", kind, metadata["name"])
	}
	if problems := content.IsPathSegmentName(name); len(problems) > 0 || !printable(name) {
		return i.fault("%s has the metadata.name %q, which no object can have", kind, short(name))
	}
	if ns := metadata["namespace"]; ns != nil {
		if s, ok := ns.(string); !ok || len(content.IsPathSegmentName(s)) > 0 || !printable(s) {
			return i.fault("%s %s has the metadata.namespace %v, which no namespace can have", kind, name, ns)
		}
	}
	for _, f := range []string{"labels", "annotations"} {
		if err := i.stringMap(kind, name, f, metadata[f]); err != nil {
			return err
		}
	}
	return nil
}

func (i item) stringMap(kind, name, f string, value any) error {
	if value == nil {
		return nil
	}
	entries, ok := value.(map[string]any)
	if !ok {
		return i.fault("%s %s has metadata.%s that are not a mapping", kind, name, f)
	}
	for key, v := range entries {
		if _, ok := v.(string); !ok {
			at := i
			if n := field(field(field(i.node, "metadata"), f), key); n != nil {
				at.line = i.doc.at(n)
			}
			return at.fault("%s %s has metadata.%s[%q] that is not a string: quote it", kind, name, f, short(key))
		}
	}
	return nil
}

// printable is false for a name that could move a terminal's cursor.
func printable(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' || (c >= 0x7f && c < 0xa0) }) < 0
}

func kindOfNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return fmt.Sprintf("the value %q", short(n.Value))
	}
	return "something else"
}
