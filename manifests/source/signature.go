package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	openPGPArmor = "-----BEGIN PGP SIGNATURE-----"
	openPGPEnd   = "-----END PGP SIGNATURE-----"
	sshArmor     = "-----BEGIN SSH SIGNATURE-----"
	sshEnd       = "-----END SSH SIGNATURE-----"
	// maxSignatureBytes bounds a signature, which is parsed before it is trusted.
	maxSignatureBytes = 64 << 10
	// maxKeyBytes and maxKeys bound what is compared with.
	maxKeyBytes = 1 << 20
	maxKeys     = 1000
)

// Signature is one that was verified.
type Signature struct {
	// Object that is signed: commit or tag NAME.
	Object string
	// Method is OpenPGP or SSH.
	Method string
	// Key is the fingerprint of the OpenPGP key, or of the SSH key as SHA256:….
	Key string
	// Signer is the OpenPGP user ID, or the principals of the allowed signers file.
	Signer string
}

func (s Signature) String() string {
	by := s.Key
	if s.Signer != "" {
		by = s.Signer + ", " + s.Key
	}
	return fmt.Sprintf("%s signed by %s (%s)", s.Object, by, s.Method)
}

// SignatureProblem is what is wrong with a signature.
type SignatureProblem string

const (
	// Unsigned objects carry no signature.
	Unsigned SignatureProblem = "Unsigned"
	// Invalid signatures do not fit what they sign, or their key no longer counts.
	Invalid SignatureProblem = "Invalid"
	// NotAllowed signatures are by a key that is not among the allowed ones.
	NotAllowed SignatureProblem = "NotAllowed"
)

// SignatureError says that an object's signature does not satisfy Options.Verify.
type SignatureError struct {
	URL string
	// Object is "commit HASH" or "tag NAME".
	Object  string
	Problem SignatureProblem
	// Key that signed, when it could be told.
	Key    string
	Detail string
}

func (e *SignatureError) Error() string {
	at := "repository " + e.URL + ", " + e.Object
	switch e.Problem {
	case Unsigned:
		return at + " is not signed" + e.Detail + ": sign it, or do not ask for verification"
	case NotAllowed:
		return fmt.Sprintf("%s is signed by %s, which is not among the allowed signers%s: add that key if you trust it", at, e.Key, e.Detail)
	}
	return fmt.Sprintf("%s has a signature that is not valid: %s; do not use it before you know why", at, e.Detail)
}

// movedTag says that a tag no longer leads to the commit whose signature it should carry.
func movedTag(url, ref string, now, pinned plumbing.Hash) error {
	return &SignatureError{
		URL: url, Object: ref, Problem: Invalid,
		Detail: fmt.Sprintf("the tag was moved and leads to commit %s, not to the pinned commit %s", now, pinned),
	}
}

// suits checks that what is verified can be there at all.
func (v *Verify) suits(t *target) error {
	if v == nil {
		return nil
	}
	switch v.Mode {
	case VerifyCommit:
		return nil
	case VerifyTag, VerifyTagAndCommit:
		if !t.ref.IsTag() && t.semver == nil {
			return fmt.Errorf("signatures are verified in mode %s, but neither a tag nor a version range is given: give one, or use mode %s", v.Mode, VerifyCommit)
		}
		t.byTag = true
		return nil
	}
	return fmt.Errorf("verification mode %q is not known: use %s, %s or %s", v.Mode, VerifyCommit, VerifyTag, VerifyTagAndCommit)
}

// verifier checks signatures against keys. A nil one asks for nothing.
type verifier struct {
	mode    VerifyMode
	want    target
	openPGP openPGPKeys
	ssh     []allowedSigner
}

func newVerifier(v *Verify, want target) (*verifier, error) {
	if v == nil {
		return nil, nil
	}
	made := &verifier{mode: v.Mode, want: want}
	var err error
	if made.openPGP, err = parseOpenPGPKeys(v.OpenPGPKeys); err != nil {
		return nil, err
	}
	if made.ssh, err = parseAllowedSigners(v.SSHAllowedSigners); err != nil {
		return nil, err
	}
	if len(made.openPGP) == 0 && len(made.ssh) == 0 {
		return nil, errors.New("signatures are to be verified, but no key is given: give OpenPGP public keys or SSH allowed signers")
	}
	return made, nil
}

func (v *verifier) needsTag() bool { return v != nil && v.mode != VerifyCommit }

// check verifies the bytes that were fetched, or that lie in the cache.
func (v *verifier) check(got fetched, url string) ([]Signature, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := got.store.read(plumbing.CommitObject, got.commit, metadataBytes)
	if err != nil {
		return nil, fmt.Errorf("repository %s: read commit %s: %w", url, got.commit, err)
	}
	// The hash was checked when the pack was indexed; a repository on disk is not indexed.
	if plumbing.ComputeHash(plumbing.CommitObject, raw) != got.commit {
		return nil, fmt.Errorf("repository %s: commit %s is damaged", url, got.commit)
	}
	var verified []Signature
	if v.mode != VerifyCommit {
		s, err := v.tag(got, committed(raw))
		if err != nil {
			return nil, at(url, err)
		}
		verified = append(verified, s)
	}
	if v.mode != VerifyTag {
		s, err := v.commit(raw, got.commit)
		if err != nil {
			return nil, at(url, err)
		}
		verified = append(verified, s)
	}
	return verified, nil
}

func at(url string, err error) error {
	var failed *SignatureError
	if errors.As(err, &failed) {
		failed.URL = url
		return failed
	}
	return fmt.Errorf("repository %s: %w", url, err)
}

func (v *verifier) commit(raw []byte, hash plumbing.Hash) (Signature, error) {
	object := "commit " + hash.String()
	payload, signature, err := splitCommit(raw)
	if err != nil {
		return Signature{}, &SignatureError{Object: object, Problem: Invalid, Detail: err.Error()}
	}
	return v.verify("commit", object, payload, signature, committed(raw))
}

// tag verifies the tag that was asked for. Its name is part of what is signed, so that
// an old signed tag cannot be shown under a new name.
func (v *verifier) tag(got fetched, when time.Time) (Signature, error) {
	raw, name := v.want.signedTag(got)
	if raw == nil {
		detail := " (it is a tag without an object of its own)"
		if len(got.tags) > 0 {
			t, _ := parseTag(got.tags[0]) // it was parsed when it was fetched
			return Signature{}, &SignatureError{
				Object: got.ref, Problem: Invalid,
				Detail: fmt.Sprintf("the tag object is of tag %q: it was made for another name", t.name),
			}
		}
		return Signature{}, &SignatureError{Object: got.ref, Problem: Unsigned, Detail: detail}
	}
	payload, signature := splitTag(raw)
	return v.verify("tag "+name, "tag "+name, payload, signature, when)
}

// leads says whether one of the tag objects is the tag that was asked for.
func (t target) leads(tags [][]byte) bool {
	raw, _ := t.signedTag(fetched{commit: t.commit, tags: tags})
	return raw != nil
}

// signedTag finds, among a commit's tag objects, the one that was asked for and leads to the commit.
func (t target) signedTag(got fetched) ([]byte, string) {
	byHash := map[plumbing.Hash]plumbing.Hash{}
	for _, raw := range got.tags {
		if tag, err := parseTag(raw); err == nil {
			byHash[plumbing.ComputeHash(plumbing.TagObject, raw)] = tag.target
		}
	}
	for _, raw := range got.tags {
		tag, err := parseTag(raw)
		if err != nil || !t.acceptsTag(tag.name) {
			continue
		}
		// What was fetched now names the tag exactly, also when a range was asked for.
		if name := plumbing.NewTagReferenceName(tag.name).String(); got.ref != "" && got.ref != "commit" && got.ref != name {
			continue
		}
		end := tag.target
		for range maxTagChain {
			next, ok := byHash[end]
			if !ok {
				break
			}
			end = next
		}
		if end == got.commit {
			return raw, tag.name
		}
	}
	return nil, ""
}

// verify checks one signature; signed names the object in the result, object in errors.
func (v *verifier) verify(signed, object string, payload, signature []byte, when time.Time) (Signature, error) {
	signature = bytes.TrimSpace(signature)
	result := Signature{Object: signed}
	var err error
	switch {
	case len(signature) == 0:
		return result, &SignatureError{Object: object, Problem: Unsigned}
	case len(signature) > maxSignatureBytes:
		return result, &SignatureError{Object: object, Problem: Invalid, Detail: fmt.Sprintf("it is larger than %d bytes", maxSignatureBytes)}
	case framed(signature, openPGPArmor, openPGPEnd):
		result.Method = "OpenPGP"
		err = recovered(func() (err error) {
			result.Key, result.Signer, err = v.openPGP.verify(payload, signature)
			return err
		})
	case framed(signature, sshArmor, sshEnd):
		result.Method = "SSH"
		err = recovered(func() (err error) {
			result.Key, result.Signer, err = verifySSH(v.ssh, payload, signature, when)
			return err
		})
	default:
		err = errors.New("it is not one OpenPGP or SSH signature with nothing after its end")
	}
	if err == nil {
		result.Signer = printable(result.Signer)
		return result, nil
	}
	failed := &SignatureError{Object: object, Problem: Invalid, Key: result.Key, Detail: printable(err.Error())}
	var notAllowed *notAllowedError
	if errors.As(err, &notAllowed) {
		failed.Problem, failed.Key, failed.Detail = NotAllowed, cmp.Or(notAllowed.key, "an unknown key"), notAllowed.detail
	}
	return result, failed
}

// framed says whether a text is one armoured block and nothing else.
func framed(text []byte, begin, end string) bool {
	return bytes.HasPrefix(text, []byte(begin)) && bytes.HasSuffix(text, []byte(end)) && bytes.Count(text, []byte("-----BEGIN")) == 1
}

// notAllowedError is a good signature, or one that cannot be checked, by a key that is not listed.
type notAllowedError struct{ key, detail string }

func (e *notAllowedError) Error() string { return e.key + " is not allowed" + e.detail }

// committed is the time that a commit gives itself.
func committed(raw []byte) time.Time {
	for line := range bytes.SplitSeq(raw, []byte("\n")) {
		if len(line) == 0 {
			break
		}
		if !bytes.HasPrefix(line, []byte("committer ")) {
			continue
		}
		fields := bytes.Fields(line[bytes.LastIndexByte(line, '>')+1:])
		if len(fields) > 0 {
			if seconds, err := parseSeconds(string(fields[0])); err == nil {
				return time.Unix(seconds, 0).UTC()
			}
		}
	}
	return time.Time{}
}
