package flux

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/render"
)

// data of a ConfigMap or Secret in the definition's namespace. nil without error for
// an optional one that is not there.
func (r *reader) data(field, kind, name string, optional bool) (map[string][]byte, error) {
	gk := configMapKind
	switch kind {
	case "ConfigMap":
	case "Secret":
		gk = secretKind
	default:
		return nil, r.faultf(field, "names the kind %q: only ConfigMap and Secret hold values", kind)
	}
	id := r.id(gk, "", name)
	o, ok := r.state.Get(id)
	switch {
	case ok && sealed(o.Object):
		return nil, r.notYetf(field, "needs %s, which is encrypted at %s and which nothing decrypts before it is needed: add it to the seeds", id, o.Origin)
	case ok:
		data, err := dataOf(o)
		if err != nil {
			return nil, r.faultf(field, "names %s, which cannot be read: %w", id, err)
		}
		return data, nil
	case optional && !r.patient:
		return nil, nil
	}
	return nil, &NotYetError{Optional: optional, Err: r.faultf(field,
		"needs %s, which nothing in the state makes: add it to the seeds, so that it is known before anything is destroyed", id)}
}

// dataOf a ConfigMap or Secret.
func dataOf(o manifests.Object) (map[string][]byte, error) {
	data := map[string][]byte{}
	plain, encoded := "data", "binaryData"
	if o.GetKind() == "Secret" {
		plain, encoded = "stringData", "data"
	}
	for _, field := range []string{encoded, plain} {
		entries, ok := o.Object[field].(map[string]any)
		if !ok && o.Object[field] != nil {
			return nil, fmt.Errorf("its %s is not a mapping", field)
		}
		for key, v := range entries {
			text, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("its %s[%q] is not a string", field, key)
			}
			value := []byte(text)
			if field == encoded {
				var err error
				if value, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
					return nil, fmt.Errorf("its %s[%q] is not base64", field, key)
				}
			}
			data[key] = value
		}
	}
	return data, nil
}

// decrypter for spec.decryption; nil when there is none.
func (e *Expander) decrypter(r *reader, d *decryption) (render.Decrypter, error) {
	if d == nil {
		return nil, nil
	}
	if d.Provider != "" && d.Provider != "sops" {
		return nil, r.faultf("spec.decryption.provider", "is %q: only sops is known", d.Provider)
	}
	if e.Decryption == nil {
		return switchable{locked("nothing here can decrypt it")}, nil
	}
	var keys map[string][]byte
	if d.SecretRef != nil {
		var err error
		if keys, err = r.data("spec.decryption.secretRef", "Secret", d.SecretRef.Name, true); err != nil {
			return nil, err
		}
		if keys == nil {
			return switchable{locked(fmt.Sprintf("its keys are in Secret %s/%s, which nothing in the state makes: add it to the seeds",
				r.def.GetNamespace(), d.SecretRef.Name))}, nil
		}
	}
	made, err := e.Decryption.Decrypter("sops", keys)
	if err != nil {
		return nil, r.faultf("spec.decryption", "cannot be used: %w", err)
	}
	return switchable{made}, nil
}

// switchable leaves objects alone that say so.
type switchable struct{ render.Decrypter }

func (s switchable) Object(u *unstructured.Unstructured) (bool, error) {
	if metadataSays(u.Object, kustomizeGroup+"/decrypt", "disabled") {
		return false, nil
	}
	return s.Decrypter.Object(u)
}

// locked has no key: what is encrypted is an error, all else passes.
type locked string

func (l locked) File(_ string, content []byte) ([]byte, bool, error) {
	if bytes.Contains(content, []byte("ENC[AES256_GCM,")) {
		return nil, false, fmt.Errorf("is encrypted and cannot be decrypted: %s", string(l))
	}
	return content, false, nil
}

func (l locked) Object(u *unstructured.Unstructured) (bool, error) {
	if sealed(u.Object) {
		return false, fmt.Errorf("is encrypted and cannot be decrypted: %s", string(l))
	}
	return false, nil
}

// sealed says whether an object is encrypted.
func sealed(object map[string]any) bool {
	sops, ok := object["sops"].(map[string]any)
	return ok && sops["mac"] != nil
}
