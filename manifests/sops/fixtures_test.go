package sops_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	upstream "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/kms"
	"github.com/getsops/sops/v3/pgp"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	"github.com/getsops/sops/v3/stores/json"
	"github.com/getsops/sops/v3/stores/yaml"
	"google.golang.org/grpc"

	"github.com/refloat-dev/refloat/manifests/sops"
)

// canary is in every secret value; no error may show it.
const canary = "canary-in-plain-text"

// person holds one private key and what names it.
type person struct {
	file, name string
	private    []byte
	master     func() upstream.KeyGroup
	entity     *openpgp.Entity
}

func (p person) keys(t *testing.T) *sops.Keys {
	t.Helper()
	k, err := sops.ReadKeys(map[string][]byte{p.file: p.private})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func agePerson(t *testing.T) person {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	recipient := i.Recipient().String()
	return person{
		file: "it.agekey", name: recipient, private: []byte("# created for a test\n" + i.String() + "\n"),
		master: func() upstream.KeyGroup { return upstream.KeyGroup{&sopsage.MasterKey{Recipient: recipient}} },
	}
}

func pgpPerson(t *testing.T) person {
	t.Helper()
	e, err := openpgp.NewEntity("Test", "", "test@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := armor.Encode(&out, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SerializePrivate(w, nil); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fingerprint := strings.ToUpper(hexOf(e.PrimaryKey.Fingerprint))
	return person{
		file: "it.asc", name: "PGP key " + fingerprint, private: out.Bytes(), entity: e,
		master: func() upstream.KeyGroup {
			return upstream.KeyGroup{&pgp.MasterKey{Fingerprint: fingerprint, CreationDate: time.Now()}}
		},
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// sealer encrypts data keys without gpg: age by the library, OpenPGP in memory.
type sealer struct {
	entities map[string]*openpgp.Entity
}

func (s sealer) Decrypt(context.Context, *keyservice.DecryptRequest, ...grpc.CallOption) (*keyservice.DecryptResponse, error) {
	return nil, errors.New("not for decryption")
}

func (s sealer) Encrypt(ctx context.Context, r *keyservice.EncryptRequest, _ ...grpc.CallOption) (*keyservice.EncryptResponse, error) {
	switch k := r.Key.KeyType.(type) {
	case *keyservice.Key_KmsKey:
		return &keyservice.EncryptResponse{Ciphertext: []byte("from a cloud")}, nil
	case *keyservice.Key_PgpKey:
		var out bytes.Buffer
		a, err := armor.Encode(&out, "PGP MESSAGE", nil)
		if err != nil {
			return nil, err
		}
		w, err := openpgp.Encrypt(a, []*openpgp.Entity{s.entities[k.PgpKey.Fingerprint]}, nil, nil, nil)
		if err != nil {
			return nil, err
		}
		w.Write(r.Plaintext)
		w.Close()
		a.Close()
		return &keyservice.EncryptResponse{Ciphertext: out.Bytes()}, nil
	}
	return keyservice.Server{}.Encrypt(ctx, r)
}

// how a document is encrypted.
type how struct {
	regex   string
	groups  []upstream.KeyGroup
	people  []person
	macOnly bool
}

func storeOf(format string) upstream.Store {
	switch format {
	case "dotenv":
		return dotenv.NewStore(&config.DotenvStoreConfig{})
	case "ini":
		return ini.NewStore(&config.INIStoreConfig{})
	case "json":
		return json.NewStore(&config.JSONStoreConfig{})
	case "binary":
		return json.NewBinaryStore(&config.JSONBinaryStoreConfig{})
	}
	return yaml.NewStore(&config.YAMLStoreConfig{})
}

// encrypt with the library, as the sops command does.
func encrypt(t *testing.T, format, plain string, h how) string {
	t.Helper()
	s := storeOf(format)
	branches, err := s.LoadPlainFile([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	tree := upstream.Tree{Branches: branches, Metadata: upstream.Metadata{
		EncryptedRegex: h.regex, KeyGroups: h.groups, MACOnlyEncrypted: h.macOnly,
		Version: "3.13.3", LastModified: time.Now().UTC(), ShamirThreshold: len(h.groups),
	}}
	if h.regex == "" {
		tree.Metadata.UnencryptedSuffix = upstream.DefaultUnencryptedSuffix
	}
	service := sealer{entities: map[string]*openpgp.Entity{}}
	for _, p := range h.people {
		tree.Metadata.KeyGroups = append(tree.Metadata.KeyGroups, p.master())
		if p.entity != nil {
			service.entities[strings.TrimPrefix(p.name, "PGP key ")] = p.entity
		}
	}
	if h.groups == nil && len(tree.Metadata.KeyGroups) > 1 && tree.Metadata.ShamirThreshold == 0 {
		var one upstream.KeyGroup
		for _, g := range tree.Metadata.KeyGroups {
			one = append(one, g...)
		}
		tree.Metadata.KeyGroups = []upstream.KeyGroup{one}
	}
	key, errs := tree.GenerateDataKeyWithKeyServices([]keyservice.KeyServiceClient{service})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	cipher := aes.NewCipher()
	mac, err := tree.Encrypt(key, cipher)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(mac, key, tree.Metadata.LastModified.Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
	out, err := s.EmitEncryptedFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), canary) {
		t.Fatal("the fixture shows its secret")
	}
	return string(out)
}

func cloudKey() upstream.KeyGroup {
	return upstream.KeyGroup{&kms.MasterKey{Arn: "arn:aws:kms:eu-west-1:1:key/x", CreationDate: time.Now()}}
}
