package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
)

const (
	// ConfigMapKey in binaryData holds the compressed JSON form.
	ConfigMapKey = "report.json.gz"
	// maxStored is what a report may take compressed: a ConfigMap holds 1 MiB.
	maxStored = 900 << 10
	// maxRead bounds what is decompressed, against a crafted ConfigMap.
	maxRead = 64 << 20
	// keptDetails and keptMessage are what the first cut leaves.
	keptDetails = 200
	keptMessage = 200
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
func (r *Report) Compress() ([]byte, error) { return r.compressWithin(maxStored) }

func (r *Report) compressWithin(limit int) ([]byte, error) {
	cut := *r
	for _, shorten := range []func(*Report){
		func(*Report) {}, shortenDetails, dropUneventful, func(c *Report) { c.Waves = []Wave{} },
	} {
		shorten(&cut)
		raw, err := compress(&cut)
		if err != nil {
			return nil, err
		}
		if len(raw) <= limit {
			return raw, nil
		}
	}
	return nil, fmt.Errorf("the report of run %s does not fit into %d bytes", r.Run, limit)
}

func compress(r *Report) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the report of run %s: %w", r.Run, err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("compress the report of run %s: %w", r.Run, err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress the report of run %s: %w", r.Run, err)
	}
	return b.Bytes(), nil
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
	raw, ok := cm.BinaryData[ConfigMapKey]
	if !ok {
		return nil, fmt.Errorf("ConfigMap %s/%s has no report: key %s is missing", cm.Namespace, cm.Name, ConfigMapKey)
	}
	zr, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s: decompress the report: %w", cm.Namespace, cm.Name, err)
	}
	plain, err := io.ReadAll(io.LimitReader(zr, maxRead+1))
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s: decompress the report: %w", cm.Namespace, cm.Name, err)
	}
	if len(plain) > maxRead {
		return nil, fmt.Errorf("ConfigMap %s/%s: the report has more than %d bytes", cm.Namespace, cm.Name, maxRead)
	}
	r := &Report{}
	if err := json.Unmarshal(plain, r); err != nil {
		return nil, fmt.Errorf("ConfigMap %s/%s: decode the report: %w", cm.Namespace, cm.Name, err)
	}
	return r, nil
}
