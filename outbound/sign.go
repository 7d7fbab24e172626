package outbound

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Credentials that a Secret holds for a receiver. All are optional.
type Credentials struct {
	// Key signs the body.
	Key []byte
	// Token is sent as bearer token.
	Token string
	// CA is the PEM bundle that the receiver is verified with.
	CA []byte
}

// CredentialsOf the data of a Secret.
func CredentialsOf(data map[string][]byte) Credentials {
	return Credentials{Key: data["key"], Token: string(bytes.TrimSpace(data["token"])), CA: data["ca.crt"]}
}

// Sign a request: signature and time let who gets it refuse what is forged or repeated.
func (c Credentials) Sign(header http.Header, body []byte, now time.Time) {
	if c.Token != "" {
		header.Set("Authorization", "Bearer "+c.Token)
	}
	if len(c.Key) == 0 {
		return
	}
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, c.Key)
	fmt.Fprintf(mac, "%s.", at)
	mac.Write(body)
	header.Set("Refloat-Signature", "t="+at+",v1="+hex.EncodeToString(mac.Sum(nil)))
}
