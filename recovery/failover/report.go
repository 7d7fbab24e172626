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
	// ID.MILLISECONDS.BODY.
	HeaderSignature = "Refloat-Signature"

	// maxSkew between the clock of who signs and ours.
	maxSkew = 5 * time.Minute
	maxID   = 256
	minKey  = 16
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

// Sign a report, for who sends one.
func Sign(key []byte, id string, body []byte, now time.Time) string {
	at := strconv.FormatInt(now.UnixMilli(), 10)
	return "t=" + at + ",v1=" + hex.EncodeToString(mac(key, id, at, body))
}

// CheckSignature of a report and return when it was signed. An old one, or one of the
// future, is refused.
func CheckSignature(key []byte, id, signature string, body []byte, now time.Time) (time.Time, error) {
	if len(key) < minKey {
		return time.Time{}, fmt.Errorf("the Secret of the signal has no key of at least %d bytes", minKey)
	}
	at, sum, ok := strings.Cut(strings.TrimPrefix(signature, "t="), ",v1=")
	millis, err := strconv.ParseInt(at, 10, 64)
	got, invalid := hex.DecodeString(sum)
	if !ok || err != nil || invalid != nil || id == "" || len(id) > maxID || !hmac.Equal(got, mac(key, id, at, body)) {
		return time.Time{}, errors.New("the signature does not fit")
	}
	signed := time.UnixMilli(millis)
	if now.Sub(signed).Abs() > maxSkew {
		return time.Time{}, fmt.Errorf("the report was signed at %s, which is too far from now; is a clock wrong?", signed.UTC().Format(time.RFC3339))
	}
	return signed, nil
}

func mac(key []byte, id, at string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.", id, at)
	h.Write(body)
	return h.Sum(nil)
}
