package sops

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"filippo.io/age"
	agearmor "filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	pgparmor "github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/getsops/sops/v3/keyservice"
	"google.golang.org/grpc"
)

// service opens data keys with the given keys and nothing else. It stands where the
// library would otherwise try environment, files, agents, gpg and clouds.
type service struct {
	keys *Keys
	// refused are the names of given keys for which the document says that it is
	// encrypted, and which do not open it.
	refused []string
}

var _ keyservice.KeyServiceClient = (*service)(nil)

var (
	errNoKey   = errors.New("no such key")
	errRefused = errors.New("the key does not open it")
)

// Encrypt is not offered.
func (*service) Encrypt(context.Context, *keyservice.EncryptRequest, ...grpc.CallOption) (*keyservice.EncryptResponse, error) {
	return nil, errors.New("encrypting is not supported")
}

// Decrypt opens one data key.
func (s *service) Decrypt(_ context.Context, r *keyservice.DecryptRequest, _ ...grpc.CallOption) (*keyservice.DecryptResponse, error) {
	if len(r.Ciphertext) > maxSealed {
		return nil, errRefused
	}
	var name string
	var plain []byte
	err := errNoKey
	switch key := r.GetKey().GetKeyType().(type) {
	case *keyservice.Key_AgeKey:
		name = strings.TrimSpace(key.AgeKey.GetRecipient())
		plain, err = s.keys.openAge(name, r.Ciphertext)
	case *keyservice.Key_PgpKey:
		name = pgpName(key.PgpKey.GetFingerprint())
		plain, err = s.keys.openPGP(key.PgpKey.GetFingerprint(), r.Ciphertext)
	}
	if errors.Is(err, errRefused) {
		s.refused = append(s.refused, name)
	}
	if err != nil {
		return nil, err
	}
	return &keyservice.DecryptResponse{Plaintext: plain}, nil
}

// maxDataKey bounds what an encrypted data key may become: it is 32 bytes, or 33 when
// it is shared between groups of keys.
const maxDataKey = 1 << 10

func (k *Keys) openAge(recipient string, sealed []byte) ([]byte, error) {
	identity, ok := k.age[recipient]
	if !ok {
		return nil, errNoKey
	}
	return opened(func() (io.Reader, error) {
		return age.Decrypt(agearmor.NewReader(bytes.NewReader(sealed)), identity)
	})
}

// openPGP tries the whole ring: a message names the key by itself, and the document's
// fingerprint may be that of a subkey or shortened.
func (k *Keys) openPGP(fingerprint string, sealed []byte) ([]byte, error) {
	if len(k.ring) == 0 {
		return nil, errNoKey
	}
	plain, err := opened(func() (io.Reader, error) {
		block, err := pgparmor.Decode(bytes.NewReader(sealed))
		if err != nil {
			return nil, err
		}
		m, err := openpgp.ReadMessage(block.Body, k.ring, nil, nil)
		if err != nil {
			return nil, err
		}
		return m.UnverifiedBody, nil
	})
	if err != nil && !k.holds(fingerprint) {
		return nil, errNoKey
	}
	return plain, err
}

// holds tells whether a fingerprint or a long key ID is that of a key in the ring.
func (k *Keys) holds(fingerprint string) bool {
	want := strings.ToUpper(strings.ReplaceAll(fingerprint, " ", ""))
	if len(want) < 16 {
		return false
	}
	for _, e := range k.ring {
		if strings.HasSuffix(strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint)), want) {
			return true
		}
		for _, sub := range e.Subkeys {
			if strings.HasSuffix(strings.ToUpper(hex.EncodeToString(sub.PublicKey.Fingerprint)), want) {
				return true
			}
		}
	}
	return false
}

// opened reads what begin starts to decrypt. What went wrong is not passed on: the
// text of the libraries is about bytes, not about what to do.
func opened(begin func() (io.Reader, error)) (plain []byte, err error) {
	if guarded(func() error {
		r, err := begin()
		if err != nil {
			return err
		}
		plain, err = io.ReadAll(io.LimitReader(r, maxDataKey+1))
		return err
	}) != nil || len(plain) == 0 || len(plain) > maxDataKey {
		return nil, errRefused
	}
	return plain, nil
}
