package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"slices"
	"strconv"

	"github.com/refloat-dev/refloat/manifests"
)

// fingerprint of what a live object has in the fields that were rendered. Exempt fields
// are left out, because they may differ next time.
func fingerprint(desired, live map[string]any, ignored ignores) ([sha256.Size]byte, error) {
	text, err := json.Marshal(project(nil, desired, live, ignored)) // keys are sorted
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(text), nil
}

// project live onto the fields of desired.
func project(path []string, desired, live any, ignored ignores) any {
	switch d := desired.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return live
		}
		out := make(map[string]any, len(d))
		for field, below := range d {
			at := append(path[:len(path):len(path)], field)
			if value, ok := l[field]; ok && ignored.match(at) == nil {
				out[field] = project(at, below, value, ignored)
			}
		}
		return out
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(d) {
			return live
		}
		out := make([]any, len(d))
		for i := range d {
			at := append(path[:len(path):len(path)], "["+strconv.Itoa(i)+"]")
			if ignored.match(at) == nil {
				out[i] = project(at, d[i], l[i], ignored)
			}
		}
		return out
	}
	return live
}

// liveDigest over the fingerprints, in the sequence of the objects' IDs.
func (v *verifier) liveDigest() string {
	type printed struct {
		id manifests.ID
		i  int
	}
	all := make([]printed, 0, len(v.prints))
	for i := range v.objects {
		if _, ok := v.prints[i]; ok {
			all = append(all, printed{v.objects[i].ID(), i})
		}
	}
	slices.SortFunc(all, func(a, b printed) int { return a.id.Compare(b.id) })
	sum := sha256.New()
	for _, p := range all {
		writeSized(sum, p.id.String())
		mark := v.prints[p.i]
		sum.Write(mark[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// writeSized puts the length first, so that no two sequences have the same bytes.
func writeSized(sum hash.Hash, text string) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(text)))
	sum.Write(size[:])
	sum.Write([]byte(text))
}
