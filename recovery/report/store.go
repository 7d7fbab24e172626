package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/recovery/pack"
)

const (
	// ConfigMapKey in binaryData holds the compressed JSON form.
	ConfigMapKey = "report.json.gz"
	// keptDetails and keptMessage are what the first cut leaves.
	keptDetails = 200
	keptMessage = 200
	keptFields  = 5
)

// JSON form, indented.
func (r *Report) JSON() ([]byte, error) {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the report of run %s: %w", r.Run, err)
	}
	return append(out, '\n'), nil
}

// Compress the report for a ConfigMap. One that is too large loses detail, in steps,
// and says so in Truncated.
func (r *Report) Compress() ([]byte, error) { return r.compressWithin(pack.Most) }

func (r *Report) compressWithin(limit int) ([]byte, error) {
	cut := *r
	for _, shorten := range []func(*Report){
		func(*Report) {}, shortenDetails, dropUneventful, func(c *Report) { c.Waves = []Wave{} },
	} {
		shorten(&cut)
		raw, err := pack.Pack(&cut)
		if err != nil {
			return nil, fmt.Errorf("store the report of run %s: %w", r.Run, err)
		}
		if len(raw) <= limit {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("the report of run %s does not fit into %d bytes", r.Run, limit)
}

// shortenDetails keeps the first findings of each kind and the beginning of messages.
func shortenDetails(r *Report) {
	r.Truncated = fmt.Sprintf("the report was too large: at most %d findings of a kind and %d bytes of a message are kept; the counts are complete", keptDetails, keptMessage)
	if r.Verification != nil {
		v := *r.Verification
		for _, list := range v.Details.lists() {
			if len(*list) > keptDetails {
				*list = (*list)[:keptDetails:keptDetails]
			}
		}
		r.Verification = &v
	}
	r.Drilled = r.Drilled[:min(len(r.Drilled), keptDetails)]
	if r.Loss != nil {
		p := *r.Loss
		p.Lost = slices.Clone(p.Lost)
		for i := range p.Lost {
			p.Lost[i].Fields = p.Lost[i].Fields[:min(len(p.Lost[i].Fields), keptFields)]
		}
		for _, list := range []*[]loss.Item{&p.Lost, &p.Volumes} {
			if left := len(*list) - keptDetails; left > 0 {
				*list, p.LeftOut = (*list)[:keptDetails:keptDetails], p.LeftOut+left
			}
		}
		r.Loss = &p
	}
	waves := make([]Wave, len(r.Waves))
	for i, wave := range r.Waves {
		waves[i] = Wave{Number: wave.Number, Objects: append([]Object(nil), wave.Objects...)}
		for j := range waves[i].Objects {
			if m := &waves[i].Objects[j].Message; len(*m) > keptMessage {
				*m = (*m)[:keptMessage]
			}
		}
	}
	r.Waves = waves
}

// dropUneventful leaves only the objects that something is to be said about.
func dropUneventful(r *Report) {
	r.Truncated += "; objects that became healthy at the first attempt are left out"
	for i := range r.Waves {
		kept := r.Waves[i].Objects[:0]
		for _, o := range r.Waves[i].Objects {
			if o.Status != "Healthy" || o.Attempts > 1 {
				kept = append(kept, o)
			}
		}
		r.Waves[i].Objects = kept
	}
}

// FromConfigMap decodes what a run's status.reportRef names.
func FromConfigMap(cm *corev1.ConfigMap) (*Report, error) {
	raw, err := RawFromConfigMap(cm)
	if err != nil {
		return nil, err
	}
	r, err := FromJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	return r, nil
}

// RawFromConfigMap is the JSON form as it was stored. Its digest is the one that a chain has.
func RawFromConfigMap(cm *corev1.ConfigMap) ([]byte, error) {
	packed, ok := cm.BinaryData[ConfigMapKey]
	if !ok {
		return nil, fmt.Errorf("ConfigMap %s/%s has no report: key %s is missing", cm.Namespace, cm.Name, ConfigMapKey)
	}
	var raw json.RawMessage
	if err := pack.Unpack(packed, &raw); err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s: read the report: %w", cm.Namespace, cm.Name, err)
	}
	return raw, nil
}

// FromJSON decodes the JSON form.
func FromJSON(raw []byte) (*Report, error) {
	r := &Report{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	if r.Run == "" {
		return nil, errors.New("read the report: this is not a report of Refloat: it names no run")
	}
	return r, nil
}

// Indented lays a stored JSON form out for people. Its digest stays the same.
func Indented(raw []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return nil, fmt.Errorf("lay the report out: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
