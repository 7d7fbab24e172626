package render

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/refloat-dev/refloat/manifests"
)

// deduplicate sorts objects by ID and version and keeps each ID once. The same
// object twice is common where bases are shared; two different ones under one ID
// would overwrite each other on the cluster, so that is an error.
func (r *renderer) deduplicate(all []manifests.Object) ([]manifests.Object, error) {
	type keyed struct {
		id  manifests.ID
		obj manifests.Object
	}
	sorted := make([]keyed, len(all))
	for i, o := range all {
		sorted[i] = keyed{o.ID(), o}
	}
	slices.SortStableFunc(sorted, func(a, b keyed) int {
		return cmp.Or(a.id.Compare(b.id), strings.Compare(a.obj.GetAPIVersion(), b.obj.GetAPIVersion()),
			strings.Compare(a.obj.Origin.File, b.obj.Origin.File), cmp.Compare(a.obj.Origin.Line, b.obj.Origin.Line))
	})
	var faults []error
	kept := all[:0:0]
	for i, k := range sorted {
		if i == 0 || sorted[i-1].id != k.id {
			kept = append(kept, k.obj)
			continue
		}
		first := kept[len(kept)-1]
		same, err := equal(first, k.obj)
		if err != nil {
			return nil, err
		}
		if !same {
			fault := inputErrorf(k.obj.Origin.File, k.obj.Origin.Line,
				"%s is defined twice with different content, at %s and at %s: keep one", k.id, r.said(first), r.said(k.obj))
			fault.Err = ErrDuplicate
			faults = append(faults, fault)
			continue
		}
		r.warnings.add(fmt.Sprintf("%s is defined twice, identically, at %s and at %s", k.id, r.said(first), r.said(k.obj)))
	}
	return kept, joined(faults)
}

func equal(a, b manifests.Object) (bool, error) {
	x, err := canonical(a)
	if err != nil {
		return false, err
	}
	y, err := canonical(b)
	return bytes.Equal(x, y), err
}

// canonical is an object as JSON with sorted keys.
func canonical(o manifests.Object) ([]byte, error) {
	text, err := json.Marshal(o.Object)
	if err != nil {
		return nil, inputErrorf(o.Origin.File, o.Origin.Line, "%s cannot be written as JSON: %v", o.ID(), err)
	}
	return text, nil
}

// digest of sorted objects. Each is preceded by its length, so that no two lists of
// objects have the same bytes.
func digest(objects []manifests.Object) (string, error) {
	sum := sha256.New()
	for _, o := range objects {
		text, err := canonical(o)
		if err != nil {
			return "", err
		}
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		sum.Write(length[:])
		sum.Write(text)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
