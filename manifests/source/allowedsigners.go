package source

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// sshNamespace is what Git signs under, so that a signature made for something else does not count.
const sshNamespace = "git"

// allowedSigner is one line of an allowed signers file.
type allowedSigner struct {
	principals    string
	key           ssh.PublicKey
	namespaces    string // patterns; "" allows all
	after, before time.Time
}

// parseAllowedSigners reads lines of `principals [options] type key [comment]`, as
// ssh-keygen does, and lines of a plain public key.
func parseAllowedSigners(texts [][]byte) ([]allowedSigner, error) {
	var all []allowedSigner
	for i, text := range texts {
		if len(text) > maxKeyBytes {
			return nil, fmt.Errorf("allowed signers %d are larger than %d bytes", i+1, maxKeyBytes)
		}
		for n, line := range strings.Split(string(text), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			signer, err := parseAllowedSigner(line)
			if err != nil {
				return nil, fmt.Errorf("allowed signers %d, line %d: %w", i+1, n+1, err)
			}
			if all = append(all, signer); len(all) > maxKeys {
				return nil, fmt.Errorf("more than %d allowed signers are given", maxKeys)
			}
		}
	}
	return all, nil
}

func parseAllowedSigner(line string) (allowedSigner, error) {
	var s allowedSigner
	first, rest := cutWord(line)
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && first == key.Type() {
		s.key = key
		return s, nil
	}
	s.principals = strings.Trim(first, `"`)
	// What follows the principals is a line of authorized_keys with options of its own.
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return s, errors.New("expected principals, options if any, the type of the key and the key")
	}
	s.key = key
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "namespaces":
			s.namespaces = value
		case "valid-after":
			s.after, err = parseValidity(value)
		case "valid-before":
			s.before, err = parseValidity(value)
		case "cert-authority":
			err = errors.New("certificates of an authority are not supported: list the keys themselves")
		default:
			err = fmt.Errorf("option %q is not known", printable(name))
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// cutWord takes the first word, which may be quoted.
func cutWord(line string) (word, rest string) {
	end := strings.IndexAny(line, " \t")
	if strings.HasPrefix(line, `"`) {
		if quote := strings.IndexByte(line[1:], '"'); quote >= 0 {
			end = quote + 2
		}
	}
	if end < 0 || end >= len(line) {
		return line, ""
	}
	return line[:end], strings.TrimLeft(line[end:], " \t")
}

// parseValidity reads YYYYMMDD[HHMM[SS]][Z]. A time without Z is taken as UTC too, so
// that it means the same on every machine.
func parseValidity(text string) (time.Time, error) {
	digits := strings.TrimSuffix(text, "Z")
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(digits) == len(layout) {
			if t, err := time.Parse(layout, digits); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("time %q is malformed: write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS", printable(text))
}

// verifySSH returns the fingerprint of the key and the principals that the signature is by.
func verifySSH(signers []allowedSigner, payload, signature []byte, when time.Time) (key, who string, err error) {
	sig, err := sshsig.Unarmor(signature)
	if err != nil {
		return "", "", errors.New("its SSH armour cannot be read")
	}
	key = ssh.FingerprintSHA256(sig.PublicKey)
	if sig.Signature.Format == ssh.KeyAlgoRSA || sig.Signature.Format == ssh.InsecureKeyAlgoDSA { //nolint:staticcheck // named in order to be refused
		return key, "", fmt.Errorf("SSH key %s made it with %s, which is broken: sign with a newer key or program", key, sig.Signature.Format)
	}
	if err := sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, sshNamespace); err != nil {
		return key, "", fmt.Errorf("SSH key %s did not make it for this content (%w)", key, err)
	}
	refused := &notAllowedError{key: "SSH key " + key}
	for _, s := range signers {
		if !bytes.Equal(s.key.Marshal(), sig.PublicKey.Marshal()) {
			continue
		}
		if refused.detail = s.objection(when); refused.detail == "" {
			return key, s.principals, nil
		}
	}
	return key, "", refused
}

// objection says why a line does not allow a signature of its key; "" when it does.
func (s allowedSigner) objection(when time.Time) string {
	switch {
	case !s.after.IsZero() && when.Before(s.after):
		return " for what was made before " + s.after.Format(time.RFC3339)
	case !s.before.IsZero() && !when.Before(s.before):
		return " for what was made after " + s.before.Format(time.RFC3339)
	case s.namespaces == "":
		return ""
	}
	for pattern := range strings.SplitSeq(s.namespaces, ",") {
		if ok, err := path.Match(strings.TrimSpace(pattern), sshNamespace); err == nil && ok {
			return ""
		}
	}
	return fmt.Sprintf(" for namespace %q", sshNamespace)
}

func parseSeconds(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }
