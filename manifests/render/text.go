package render

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
)

// DocumentOptions of Documents.
type DocumentOptions struct {
	// LastKeyWins takes the last one of keys that are written twice, as Helm and kubectl
	// do, and warns. It is for text that a program wrote: nobody can look at its source
	// and see the mistake.
	LastKeyWins bool
	// GeneratedNames takes objects that have only a generateName, as in Options.
	GeneratedNames bool
	Limits         Limits
}

// Documents decodes text that was made elsewhere, the output of a template or a
// decrypted file, by the rules that hold for files of the repository: the same limits,
// the same checks, the same things left out. file names the text in errors, and lines
// are those of the text. Errors about content are *InputError.
func Documents(unit, file string, text []byte, o DocumentOptions) (objects []manifests.Object, warnings []string, err error) {
	r := &renderer{
		limits: o.Limits.withDefaults(), lastKeyWins: o.LastKeyWins, options: Options{GeneratedNames: o.GeneratedNames},
		builtBy: map[*unstructured.Unstructured]string{},
	}
	if int64(len(text)) > r.limits.FileBytes {
		return nil, nil, inputErrorf(file, 0, "is %d bytes, more than the limit of %d for a manifest", len(text), r.limits.FileBytes)
	}
	err = recovered(file, func() error {
		docs, err := r.documents(file, text)
		if err != nil {
			return err
		}
		for _, d := range docs {
			found, err := r.objects(unit, file, d)
			if err != nil {
				return err
			}
			if objects = append(objects, found...); len(objects) > r.limits.Objects {
				return inputErrorf(file, 0, "%s", fmt.Sprintf("more than %d objects", r.limits.Objects))
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range objects {
		r.warnings.add(normalise(&objects[i], "")...)
	}
	return objects, r.warnings.sorted(), nil
}
