package sops

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
)

// Keys are private keys that open documents. The zero value has none and says of every
// document which key it needs.
type Keys struct {
	age   map[string]age.Identity // by recipient
	ring  openpgp.EntityList
	notes []string
}

// Cloud credentials, as Flux's Secrets hold them.
var clouds = map[string]string{
	"sops.vault-token": "a token of HashiCorp Vault",
	"sops.aws-kms":     "credentials of AWS KMS",
	"sops.azure-kv":    "credentials of Azure Key Vault",
	"sops.gcp-kms":     "credentials of Google Cloud KMS",
}

// ReadKeys takes the data of a Secret in Flux's convention: age identities under names
// that end in .agekey, armored OpenPGP private keys under names that end in .asc. Other
// names are not looked at: a seed may hold anything. Several Secrets are joined with
// Join.
func ReadKeys(data map[string][]byte) (*Keys, error) {
	k := &Keys{age: map[string]age.Identity{}}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		content := data[name]
		if len(content) > maxKeyFile {
			if ext := path.Ext(name); ext == ".agekey" || ext == ".asc" {
				return nil, fmt.Errorf("%s: is larger than %d bytes, too much for a file of keys", name, maxKeyFile)
			}
			continue
		}
		var err error
		switch path.Ext(name) {
		case ".agekey":
			err = k.addAge(name, content)
		case ".asc":
			err = k.addPGP(name, content)
		default:
			if what, ok := clouds[name]; ok {
				k.notes = append(k.notes, fmt.Sprintf("%s holds %s, which is not supported", name, what))
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Join is all keys of all given ones; nil ones are skipped.
func Join(all ...*Keys) *Keys {
	joined := &Keys{age: map[string]age.Identity{}}
	for _, k := range all {
		if k == nil {
			continue
		}
		maps.Copy(joined.age, k.age)
		joined.ring = append(joined.ring, k.ring...)
		joined.notes = append(joined.notes, k.notes...)
	}
	return joined
}

// Names of the keys by their public half, sorted.
func (k *Keys) Names() []string {
	if k == nil {
		return nil
	}
	names := slices.Collect(maps.Keys(k.age))
	for _, e := range k.ring {
		names = append(names, pgpName(hex.EncodeToString(e.PrimaryKey.Fingerprint)))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// String and GoString name the keys, so that printing them by accident shows no secret.
func (k Keys) String() string { return "keys " + strings.Join(k.Names(), ", ") }

// GoString is String.
func (k Keys) GoString() string { return k.String() }

// addAge reads identities line by line: an error of the library could quote the line.
func (k *Keys) addAge(name string, content []byte) error {
	found := false
	for number, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		recipient, identity, err := ageIdentity(line)
		if err != nil {
			return fmt.Errorf("%s, line %d: is not an age identity (AGE-SECRET-KEY-1…)", name, number+1)
		}
		k.age[recipient], found = identity, true
	}
	if !found {
		return fmt.Errorf("%s: holds no age identity (AGE-SECRET-KEY-1…)", name)
	}
	return nil
}

func ageIdentity(line string) (string, age.Identity, error) {
	if strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1") {
		i, err := age.ParseHybridIdentity(line)
		if err != nil {
			return "", nil, err
		}
		return i.Recipient().String(), i, nil
	}
	i, err := age.ParseX25519Identity(line)
	if err != nil {
		return "", nil, err
	}
	return i.Recipient().String(), i, nil
}

// addPGP reads armored keys. A public key is no fault: Secrets that hold those of
// signers use the same ending.
func (k *Keys) addPGP(name string, content []byte) error {
	var ring openpgp.EntityList
	err := guarded(func() (err error) {
		ring, err = openpgp.ReadArmoredKeyRing(bytes.NewReader(content))
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: is not an armored OpenPGP key", name)
	}
	for _, e := range ring {
		fingerprint := pgpName(hex.EncodeToString(e.PrimaryKey.Fingerprint))
		switch usable, locked := private(e); {
		case usable:
			k.ring = append(k.ring, e)
		case locked:
			k.notes = append(k.notes, fmt.Sprintf("%s in %s is protected by a passphrase: export it without one", fingerprint, name))
		default:
			k.notes = append(k.notes, fmt.Sprintf("%s in %s is only the public key", fingerprint, name))
		}
	}
	return nil
}

// private tells whether an entity has a private key to decrypt with, or has one that
// only a passphrase opens.
func private(e *openpgp.Entity) (usable, locked bool) {
	if key := e.PrivateKey; key != nil && !key.Dummy() {
		usable, locked = !key.Encrypted, key.Encrypted
	}
	for _, sub := range e.Subkeys {
		if key := sub.PrivateKey; key != nil && !key.Dummy() {
			usable = usable || !key.Encrypted
			locked = locked || key.Encrypted
		}
	}
	return usable, locked
}

func pgpName(fingerprint string) string {
	return "PGP key " + strings.ToUpper(strings.ReplaceAll(fingerprint, " ", ""))
}
