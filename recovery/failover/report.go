package failover

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	// HeaderID of a report tells it from others.
	HeaderID = "Refloat-Id"
	// HeaderSignature of a report: t=MILLISECONDS,v1=HEX, an HMAC-SHA256 over
	// ID.MILLISECONDS.NAMESPACE/POLICY/SIGNAL.BODY.
	HeaderSignature = "Refloat-Signature"

	// maxSkew between the clock of who signs and ours.
	maxSkew = 5 * time.Minute
	// maxAhead of ours: until then no right clock could report.
	maxAhead = 30 * time.Second
	maxID    = 256
	minKey   = 16
)

// Report about a cluster from elsewhere.
type Report struct {
	Healthy *bool  `json:"healthy"`
	Reason  string `json:"reason,omitempty"`
}

// ReadReport strictly: what is misspelt is not taken for healthy.
func ReadReport(body []byte) (Report, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var r Report
	if err := decoder.Decode(&r); err != nil {
		return Report{}, errors.New(`the report is not JSON like {"healthy": false, "reason": "..."}`)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Report{}, errors.New("there is something after the report")
	}
	if r.Healthy == nil {
		return Report{}, errors.New("the report does not say whether the cluster is healthy")
	}
	return r, nil
}

// ErrSignature is all that who cannot sign is told.
var ErrSignature = errors.New("the signature does not fit")

// About is what a report is about, as it is signed.
func About(namespace, policy, signal string) string {
	return namespace + "/" + policy + "/" + signal
}

// Sign a report, for who sends one.
func Sign(key []byte, id, about string, body []byte, now time.Time) string {
	at := strconv.FormatInt(now.UnixMilli(), 10)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac(key, id, at, about, body))
}

// Signed tells whether a header looks like a signature at all.
func Signed(id, signature string) bool {
	at, sum, ok := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	return ok && id != "" && len(id) <= maxID && len(sum) == 2*sha256.Size && at != "" && len(at) < 20
}

// CheckSignature of a report and return when it was signed. An old one, or one of the
// future, is refused. A key that is too short signs nothing.
func CheckSignature(key []byte, id, about, signature string, body []byte, now time.Time) (time.Time, error) {
	at, sum, _ := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	millis, err := strconv.ParseInt(at, 10, 64)
	got, invalid := hex.DecodeString(sum)
	if len(key) < minKey || !Signed(id, signature) || err != nil || invalid != nil || !hmac.Equal(got, mac(key, id, at, about, body)) {
		return time.Time{}, ErrSignature
	}
	signed := time.UnixMilli(millis)
	if now.Sub(signed) > maxSkew || signed.Sub(now) > maxAhead {
		return time.Time{}, fmt.Errorf("the report was signed at %s, which is too far from now; is a clock wrong?", signed.UTC().Format(time.RFC3339))
	}
	return signed, nil
}

func mac(key []byte, id, at, about string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s.", id, at, about)
	h.Write(body)
	return h.Sum(nil)
}
