package render

import (
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Decrypter opens what the repository encrypts. Its errors are predicates about what
// was to be opened, "is encrypted …", and quote none of it.
type Decrypter interface {
	// Object opens an object in place, after the build.
	Object(*unstructured.Unstructured) (changed bool, err error)
	// File opens a file that a kustomization reads, before the build.
	File(name string, content []byte) (plain []byte, changed bool, err error)
}

// ErrEncrypted is wrapped by the error about a document that is encrypted while
// Options.Decrypt is not set.
var ErrEncrypted = errors.New("is encrypted with SOPS, and no key is given that opens it: add the Secret with the age or OpenPGP key to the plan's seeds")

// sealed tells whether a document is encrypted as a whole.
func sealed(content map[string]any) bool {
	metadata, ok := content["sops"].(map[string]any)
	return ok && metadata["mac"] != nil
}

// open decrypts the content of an item.
func (r *renderer) open(i *item) error {
	if r.options.Decrypt == nil {
		if sealed(i.content) {
			return i.because(ErrEncrypted)
		}
		return nil
	}
	u := &unstructured.Unstructured{Object: i.content}
	if _, err := r.options.Decrypt.Object(u); err != nil {
		return i.because(err)
	}
	i.content = u.Object
	return nil
}

func (i item) because(err error) error {
	return &InputError{File: i.file, Line: i.line, Message: err.Error(), Err: err}
}

// refused finds an encrypted resource before the build, when nothing could open it after.
func (r *renderer) refused(file string, d document) error {
	if r.options.Decrypt != nil || field(field(d.root, "sops"), "mac") == nil {
		return nil
	}
	return item{file: file, line: d.at(d.root)}.because(ErrEncrypted)
}

// decrypted lets kustomize read the plain content of an encrypted file.
func (s *survey) decrypted(target string) {
	if _, done := s.overlay[target]; done || s.r.options.Decrypt == nil {
		return
	}
	err := recovered(target, func() error {
		content, err := s.r.read(target)
		if err != nil {
			return err
		}
		plain, changed, err := s.r.options.Decrypt.File(target, content)
		if err != nil {
			return item{file: target}.because(err)
		}
		if changed {
			s.overlay[target] = plain
		}
		return nil
	})
	if err != nil {
		s.faults = append(s.faults, err)
	}
}
