package sops

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	sops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hckms"
	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/kms"
	"github.com/getsops/sops/v3/pgp"
)

// open decrypts a tree in place.
func (k *Keys) open(tree *sops.Tree, checkMAC bool) error {
	if err := bounded(tree); err != nil {
		return err
	}
	if err := rules(&tree.Metadata); err != nil {
		return err
	}
	key, err := k.dataKey(&tree.Metadata)
	if err != nil {
		return err
	}
	c := &cipher{Cipher: aes.NewCipher()}
	mac, err := tree.Decrypt(key, c)
	if err != nil {
		return c.explain()
	}
	if !checkMAC {
		return nil
	}
	stated, err := c.Decrypt(tree.Metadata.MessageAuthenticationCode, key, tree.Metadata.LastModified.Format(time.RFC3339))
	if err != nil || stated != mac {
		return damaged("its content was changed after it was encrypted (its message authentication code does not match)")
	}
	return nil
}

// dataKey opens the key of the document with one of ours.
func (k *Keys) dataKey(m *sops.Metadata) ([]byte, error) {
	if m.MasterKeyCount() > maxRecipients {
		return nil, tooLarge("for more than %d keys", maxRecipients)
	}
	s := &service{keys: k}
	key, err := m.GetDataKeyWithKeyServices([]keyservice.KeyServiceClient{s}, sops.DefaultDecryptionOrder)
	switch {
	case err == nil && len(key) != 32:
		return nil, damaged("its data key has %d bytes instead of 32", len(key))
	case err == nil:
		return key, nil
	case len(s.refused) > 0:
		return nil, damaged("the data key that it holds for %s cannot be opened with that key", listed(s.refused))
	}
	missing := &MissingKeyError{Notes: k.notes}
	seen := map[string]bool{}
	for _, group := range m.KeyGroups {
		for _, key := range group {
			name, usable := nameOf(key)
			switch {
			case seen[name]:
			case usable:
				missing.Needs = append(missing.Needs, name)
			default:
				missing.Unsupported = append(missing.Unsupported, name)
			}
			seen[name] = true
		}
	}
	return nil, missing
}

// nameOf a recipient, and whether its private half can be given.
func nameOf(key keys.MasterKey) (string, bool) {
	kind := ""
	switch key := key.(type) {
	case *age.MasterKey:
		name := printable(key.Recipient)
		return name, strings.HasPrefix(name, "age1")
	case *pgp.MasterKey:
		return printable(pgpName(key.Fingerprint)), true
	case *kms.MasterKey:
		kind = "AWS KMS key "
	case *gcpkms.MasterKey:
		kind = "Google Cloud KMS key "
	case *azkv.MasterKey:
		kind = "Azure Key Vault key "
	case *hcvault.MasterKey:
		kind = "HashiCorp Vault key "
	case *hckms.MasterKey:
		kind = "Huawei Cloud KMS key "
	}
	return kind + printable(key.ToString()), false
}

// printable bounds what a document can put into a message.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Trim(fmt.Sprintf("%q", s), `"`)
}

// rules checks the patterns that say what is encrypted. The library takes one that
// does not compile for one that matches nothing, and would leave values encrypted.
func rules(m *sops.Metadata) error {
	for _, pattern := range []string{m.EncryptedRegex, m.UnencryptedRegex, m.EncryptedCommentRegex, m.UnencryptedCommentRegex} {
		if pattern == "" {
			continue
		}
		if _, err := regexp.Compile(pattern); err != nil {
			return damaged("its rule for what is encrypted is not a regular expression")
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return damaged("its rule for what is encrypted is not a regular expression")
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil || len(program.Inst) > maxRule {
			return tooLarge("has a rule for what is encrypted that is too complex")
		}
	}
	return nil
}

// cipher remembers which value could not be opened, because the library's errors quote
// the value instead.
type cipher struct {
	aes.Cipher
	failed string
}

// Decrypt opens one value. The additional data is its place.
func (c *cipher) Decrypt(text string, key []byte, place string) (any, error) {
	v, err := c.Cipher.Decrypt(text, key, place)
	if err != nil {
		c.failed = strings.TrimSuffix(place, ":")
		if !strings.HasPrefix(text, "ENC[") {
			c.failed += ", which is not encrypted although the document says so"
		}
	}
	return v, err
}

func (c *cipher) explain() error {
	if c.failed == "" {
		return damaged("a value in it is not encrypted although the document says so")
	}
	return damaged("a value in it cannot be decrypted: %s", printable(c.failed))
}

// bounded counts what decrypting costs before it begins.
func bounded(tree *sops.Tree) error {
	b := &bound{}
	for _, branch := range tree.Branches {
		if err := b.value(branch, 0); err != nil {
			return err
		}
	}
	return nil
}

type bound struct{ values, steps int }

func (b *bound) value(v any, depth int) error {
	b.values++
	b.steps += depth
	switch {
	case depth > maxDepth:
		return tooLarge("nested deeper than %d levels", maxDepth)
	case b.values > maxValues || b.steps > maxSteps:
		return tooLarge("holds too many values")
	}
	switch v := v.(type) {
	case sops.TreeBranch:
		for _, item := range v {
			if err := b.value(item.Value, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, element := range v {
			if err := b.value(element, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
