package source

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

type openPGPKeys openpgp.EntityList

// parseOpenPGPKeys reads armoured public keys. Several armoured blocks may follow each other in one text.
func parseOpenPGPKeys(texts [][]byte) (openPGPKeys, error) {
	const begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	var all openPGPKeys
	for i, text := range texts {
		if len(text) > maxKeyBytes {
			return nil, fmt.Errorf("OpenPGP key %d is larger than %d bytes", i+1, maxKeyBytes)
		}
		if !bytes.Contains(text, []byte(begin)) {
			return nil, fmt.Errorf("OpenPGP key %d is not an armoured public key: export it with `gpg --export --armor`", i+1)
		}
		for part := range strings.SplitSeq(string(text), begin) {
			if strings.TrimSpace(part) == "" {
				continue
			}
			var list openpgp.EntityList
			err := recovered(func() (err error) {
				list, err = openpgp.ReadArmoredKeyRing(strings.NewReader(begin + part))
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("OpenPGP key %d cannot be read: %w", i+1, err)
			}
			if all = append(all, list...); len(all) > maxKeys {
				return nil, fmt.Errorf("more than %d OpenPGP keys are given", maxKeys)
			}
		}
	}
	return all, nil
}

// verify returns the fingerprint of the key and the user ID that the signature is by.
func (k openPGPKeys) verify(payload, signature []byte) (key, user string, err error) {
	block, err := armor.Decode(bytes.NewReader(signature))
	if err != nil || block.Type != openpgp.SignatureType {
		return "", "", errors.New("its OpenPGP armour cannot be read")
	}
	body, err := io.ReadAll(io.LimitReader(block.Body, maxSignatureBytes))
	if err != nil {
		return "", "", errors.New("its OpenPGP armour cannot be read")
	}
	issuer, err := issuerOf(body)
	if err != nil {
		return "", "", err
	}
	_, entity, err := openpgp.VerifyDetachedSignature(openpgp.EntityList(k), bytes.NewReader(payload), bytes.NewReader(body), nil)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return issuer, "", &notAllowedError{key: "OpenPGP key " + issuer}
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return issuer, "", fmt.Errorf("OpenPGP key %s has expired: extend it and give the new public key", issuer)
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return issuer, "", fmt.Errorf("OpenPGP key %s was revoked", issuer)
	case err != nil:
		return issuer, "", fmt.Errorf("OpenPGP key %s did not make it for this content (%w)", issuer, err)
	}
	if identity := entity.PrimaryIdentity(); identity != nil {
		user = identity.Name
	}
	return strings.ToUpper(hex.EncodeToString(entity.PrimaryKey.Fingerprint)), user, nil
}

// issuerOf names the key that a signature says it is by. One signature is accepted, so
// that none which is not looked at comes along.
func issuerOf(body []byte) (string, error) {
	packets := packet.NewReader(bytes.NewReader(body))
	first, err := packets.Next()
	signature, ok := first.(*packet.Signature)
	if err != nil || !ok {
		return "", errors.New("its OpenPGP packets cannot be read")
	}
	if _, err := packets.Next(); !errors.Is(err, io.EOF) {
		return "", errors.New("it holds more than one OpenPGP signature")
	}
	switch {
	case len(signature.IssuerFingerprint) > 0:
		return strings.ToUpper(hex.EncodeToString(signature.IssuerFingerprint)), nil
	case signature.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *signature.IssuerKeyId), nil
	}
	return "", errors.New("it does not say which OpenPGP key it is by")
}
