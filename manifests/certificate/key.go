package certificate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxKey bounds what is read as a key, in bytes.
const maxKey = 64 << 10

// The kinds of PEM blocks.
const (
	privateBlock = "PRIVATE KEY"
	ecBlock      = "EC PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

// SigningKey signs certificates. It prints as its key ID, never as the key.
type SigningKey struct {
	signer crypto.Signer
	id     string
}

// String names the key without showing it.
func (k *SigningKey) String() string { return "key " + k.id }

// GoString names the key without showing it.
func (k *SigningKey) GoString() string { return k.String() }

// ID is the SHA-256 of the public key (SubjectPublicKeyInfo, DER) in hexadecimal digits.
func (k *SigningKey) ID() string { return k.id }

// ParseSigningKey reads an unencrypted private key in PEM: PKCS #8, or SEC 1 for an
// elliptic curve. Errors never quote it.
func ParseSigningKey(text []byte) (*SigningKey, error) {
	block, err := oneBlock(text)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	var key any
	switch block.Type {
	case privateBlock:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case ecBlock:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case publicBlock:
		return nil, errors.New("read the signing key: it is a public key; the private one is needed to sign")
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("read the signing key: it is encrypted; give an unencrypted one, kept where only Refloat can read it")
	default:
		return nil, fmt.Errorf("read the signing key: the PEM block is %.40q, want %q (PKCS #8)", block.Type, privateBlock)
	}
	if err != nil {
		return nil, errors.New("read the signing key: the PEM block holds no private key that can be read") // err may quote parts
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("read the signing key: %s", unusable(key))
	}
	if err := usable(signer.Public()); err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	id, err := keyID(signer.Public())
	return &SigningKey{signer: signer, id: id}, err
}

// Sign implements the signer of DSSE.
func (k *SigningKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	if _, ok := k.signer.(ed25519.PrivateKey); ok {
		return k.signer.Sign(rand.Reader, data, crypto.Hash(0))
	}
	sum := sha256.Sum256(data)
	return k.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// KeyID implements the signer of DSSE.
func (k *SigningKey) KeyID() (string, error) { return k.id, nil }

// VerifyingKey checks certificates.
type VerifyingKey struct {
	public crypto.PublicKey
	id     string
}

// ID is that of the signing key.
func (k *VerifyingKey) ID() string { return k.id }

// ParseVerifyingKey reads a public key in PEM (SubjectPublicKeyInfo).
func ParseVerifyingKey(text []byte) (*VerifyingKey, error) {
	block, err := oneBlock(text)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	switch block.Type {
	case publicBlock:
	case privateBlock, ecBlock:
		return nil, errors.New("read the public key: it is a private key, which belongs nowhere but where certificates are signed; make the public half with 'openssl pkey -pubout'")
	default:
		return nil, fmt.Errorf("read the public key: the PEM block is %.40q, want %q", block.Type, publicBlock)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	if err := usable(public); err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	id, err := keyID(public)
	return &VerifyingKey{public: public, id: id}, err
}

// Verify implements the verifier of DSSE.
func (k *VerifyingKey) Verify(_ context.Context, data, signature []byte) error {
	ok := false
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(public, data, signature)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(data)
		ok = ecdsa.VerifyASN1(public, sum[:], signature)
	}
	if !ok {
		return errors.New("the signature does not verify")
	}
	return nil
}

// KeyID implements the verifier of DSSE.
func (k *VerifyingKey) KeyID() (string, error) { return k.id, nil }

// Public implements the verifier of DSSE.
func (k *VerifyingKey) Public() crypto.PublicKey { return k.public }

func oneBlock(text []byte) (*pem.Block, error) {
	if len(text) > maxKey {
		return nil, fmt.Errorf("it has more than %d bytes", maxKey)
	}
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl writes them before the key
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, errors.New("it is not in PEM form")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, errors.New("it holds more than one PEM block; keep the one to use")
	}
	return block, nil
}

func usable(public crypto.PublicKey) error {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return nil
		}
		return fmt.Errorf("it is an ECDSA key over %s; use Ed25519, or ECDSA over P-256", key.Curve.Params().Name)
	}
	return errors.New(unusable(public))
}

func unusable(key any) string {
	return fmt.Sprintf("keys of type %T cannot be used; use Ed25519, or ECDSA over P-256", key)
}

func keyID(public crypto.PublicKey) (string, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("identify the key: %w", err)
	}
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:]), nil
}
