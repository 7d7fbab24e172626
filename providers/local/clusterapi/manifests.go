package clusterapi

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed core.yaml
var core []byte

// components of Cluster API core that live in the API server.
type components struct {
	definitions []*apiextensionsv1.CustomResourceDefinition
	mutating    []*admissionv1.MutatingWebhookConfiguration
	validating  []*admissionv1.ValidatingWebhookConfiguration
}

// Definitions of Cluster API core, in the version that it stores.
func Definitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	c, err := read()
	return c.definitions, err
}

func read() (components, error) {
	var c components
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(core), 4096)
	for {
		var raw rawDocument
		err := documents.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err == nil && len(raw) > 0 {
			err = c.add(raw)
		}
		if err != nil {
			return c, fmt.Errorf("read the embedded manifests of Cluster API: %w", err)
		}
	}
}

// rawDocument is one document as JSON.
type rawDocument []byte

// UnmarshalJSON keeps the document as it is.
func (r *rawDocument) UnmarshalJSON(data []byte) error {
	*r = append((*r)[:0], data...)
	return nil
}

func (c *components) add(raw rawDocument) error {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(raw, &meta); err != nil {
		return err
	}
	switch meta.Kind {
	case "":
		return nil
	case "CustomResourceDefinition":
		return decodeInto(raw, &c.definitions)
	case "MutatingWebhookConfiguration":
		return decodeInto(raw, &c.mutating)
	case "ValidatingWebhookConfiguration":
		return decodeInto(raw, &c.validating)
	default:
		return fmt.Errorf("unexpected kind %s", meta.Kind)
	}
}

func decodeInto[T any](raw rawDocument, list *[]*T) error {
	object := new(T)
	if err := yaml.UnmarshalStrict(raw, object); err != nil {
		return err
	}
	*list = append(*list, object)
	return nil
}
