package certificate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const (
	// maxEnvelope bounds what is read as a certificate, in bytes.
	maxEnvelope = 4 << 20
	// maxSignatures of one envelope.
	maxSignatures = 16
)

// ErrSignature says that no signature of the envelope is by the key and of what it holds.
var ErrSignature = errors.New("the signature does not verify")

// Sign a statement. The result is a DSSE envelope in JSON.
func Sign(ctx context.Context, s *Statement, key *SigningKey) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the certificate: %w", err)
	}
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate: %w", err)
	}
	envelope, err := signer.SignPayload(ctx, PayloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate with %s: %w", key, err)
	}
	out, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("encode the certificate: %w", err)
	}
	return out, nil
}

// Open an envelope and return what it states. The error is ErrSignature when it is well
// formed and not signed by the key; nothing in it is to be believed then.
func Open(ctx context.Context, envelope []byte, key *VerifyingKey) (*Statement, error) {
	e, err := parse(envelope)
	if err != nil {
		return nil, err
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("check the certificate: %w", err)
	}
	_, payload, err := verifier.VerifyAndDecode(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("check the certificate: %w; it is signed by key %.80q and the one to check with is %s",
			ErrSignature, e.Signatures[0].KeyID, key.ID())
	}
	return decode(payload)
}

// KeyIDs of the signatures of an envelope, unchecked.
func KeyIDs(envelope []byte) ([]string, error) {
	e, err := parse(envelope)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	return ids, nil
}

func parse(envelope []byte) (*dsse.Envelope, error) {
	if len(envelope) > maxEnvelope {
		return nil, fmt.Errorf("read the certificate: it has more than %d bytes", maxEnvelope)
	}
	e := &dsse.Envelope{}
	if err := json.Unmarshal(envelope, e); err != nil {
		return nil, fmt.Errorf("read the certificate: it is no DSSE envelope: %w", err)
	}
	switch {
	case e.Payload == "" || len(e.Signatures) == 0:
		return nil, errors.New("read the certificate: it is no DSSE envelope with a payload and a signature")
	case len(e.Signatures) > maxSignatures:
		return nil, fmt.Errorf("read the certificate: it has more than %d signatures", maxSignatures)
	case e.PayloadType != PayloadType:
		return nil, fmt.Errorf("read the certificate: the payload type is %.80q, want %q", e.PayloadType, PayloadType)
	}
	if _, err := e.DecodeB64Payload(); err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return e, nil
}
