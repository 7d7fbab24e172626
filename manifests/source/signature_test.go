package source

import (
	"bytes"
	"crypto"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// sshKey makes a key with ssh-keygen and returns its file and its public line.
func sshKey(t *testing.T, kind ...string) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key")
	if len(kind) == 0 {
		kind = []string{"-t", "ed25519"}
	}
	if out, err := exec.Command("ssh-keygen", append(kind, "-q", "-N", "", "-C", "dev@example.com", "-f", file)...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	line, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(line))
}

// signWith makes git sign by ssh from now on.
func (r *repo) signWith(key string) {
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", key)
	r.git("config", "commit.gpgsign", "true")
}

func bySSH(mode VerifyMode, allowed ...string) *Verify {
	return &Verify{Mode: mode, SSHAllowedSigners: [][]byte{[]byte(strings.Join(allowed, "\n"))}}
}

func TestSSHSignatures(t *testing.T) {
	key, public := sshKey(t)
	otherKey, otherPublic := sshKey(t, "-t", "ecdsa")
	rsaKey, rsaPublic := sshKey(t, "-t", "rsa", "-b", "2048")
	r := newRepo(t)
	unsigned := r.commit(map[string]string{"a.yaml": "unsigned"})
	r.signWith(key)
	signed := r.commit(map[string]string{"a.yaml": "signed"})
	r.git("tag", "-s", "v1.0.0", "-m", "release\n\nwith text")
	r.git("tag", "-a", "--no-sign", "v1.1.0", "-m", "unsigned")
	r.git("tag", "light")
	r.git("update-ref", "refs/tags/v9.0.0", r.git("rev-parse", "v1.0.0")) // an old tag under a new name
	r.signWith(rsaKey)
	r.git("checkout", "-q", "-b", "rsa")
	r.commit(map[string]string{"a.yaml": "rsa"})
	r.git("checkout", "-q", "-b", "other", unsigned)
	r.signWith(otherKey)
	r.commit(map[string]string{"a.yaml": "other"})
	r.git("tag", "-s", "v2.0.0", "-m", "by another", signed)
	r.git("tag", "-s", "v3.0.0", "-m", "signed tag of an unsigned commit", unsigned)
	allowed, allOf := "dev@example.com "+public, "*@example.com namespaces=\"git,file\" "+public

	for _, url := range []string{r.dir, serve(t, gitHandler(t, r.dir)) + "/repo.git"} {
		for name, test := range map[string]struct {
			options Options
			verify  *Verify
			want    string // of the signatures, when good
			problem SignatureProblem
			says    string
		}{
			"commit":               {Options{Branch: "main"}, bySSH(VerifyCommit, allowed), "commit signed by dev@example.com, SHA256:", "", ""},
			"options and comments": {Options{Branch: "main"}, bySSH(VerifyCommit, "# ours", "", allOf), "commit signed by *@example.com, SHA256:", "", ""},
			"plain public key":     {Options{Branch: "main"}, bySSH(VerifyCommit, public), "commit signed by SHA256:", "", ""},
			"rsa":                  {Options{Branch: "rsa"}, bySSH(VerifyCommit, allowed, "r "+rsaPublic), "commit signed by r, SHA256:", "", ""},
			"ecdsa":                {Options{Branch: "other"}, bySSH(VerifyCommit, "o "+otherPublic), "commit signed by o, SHA256:", "", ""},
			"tag":                  {Options{Tag: "v1.0.0"}, bySSH(VerifyTag, allowed), "tag v1.0.0 signed by dev@example.com", "", ""},
			"tag and commit":       {Options{Tag: "v1.0.0"}, bySSH(VerifyTagAndCommit, allowed), "tag v1.0.0 signed by dev@example.com", "", ""},
			"range":                {Options{SemVer: "1.0.x"}, bySSH(VerifyTag, allowed), "tag v1.0.0 signed by dev@example.com", "", ""},
			"pinned by tag":        {Options{Tag: "v1.0.0", Commit: signed}, bySSH(VerifyTag, allowed), "tag v1.0.0", "", ""},
			"pinned by range":      {Options{SemVer: "<3.0.0", Commit: signed}, bySSH(VerifyTag, "o "+otherPublic), "tag v2.0.0", "", ""},
			"not allowed":          {Options{Branch: "main"}, bySSH(VerifyCommit, "o "+otherPublic), "", NotAllowed, "is signed by SSH key SHA256:"},
			"tag not allowed":      {Options{Tag: "v2.0.0"}, bySSH(VerifyTag, allowed), "", NotAllowed, "tag v2.0.0"},
			"commit of signed tag": {Options{Tag: "v3.0.0"}, bySSH(VerifyTagAndCommit, "o "+otherPublic), "", Unsigned, "commit " + unsigned},
			"unsigned commit":      {Options{Commit: unsigned}, bySSH(VerifyCommit, allowed), "", Unsigned, "is not signed"},
			"unsigned tag":         {Options{Tag: "v1.1.0"}, bySSH(VerifyTag, allowed), "", Unsigned, "tag v1.1.0 is not signed"},
			"light tag":            {Options{Tag: "light"}, bySSH(VerifyTag, allowed), "", Unsigned, "without an object"},
			"tag under a new name": {Options{Tag: "v9.0.0"}, bySSH(VerifyTag, allowed), "", Invalid, `of tag "v1.0.0"`},
			"tag of another":       {Options{Tag: "v3.0.0", Commit: signed}, bySSH(VerifyTag, "o "+otherPublic), "", Invalid, "was moved"},
			"other namespace":      {Options{Branch: "main"}, bySSH(VerifyCommit, `d namespaces="file" `+public), "", NotAllowed, `namespace "git"`},
			"no longer valid":      {Options{Branch: "main"}, bySSH(VerifyCommit, `d valid-before="20200101Z" `+public), "", NotAllowed, "after 2020-01-01"},
			"not yet valid":        {Options{Branch: "main"}, bySSH(VerifyCommit, `d valid-after="29990101" `+public), "", NotAllowed, "before 2999-01-01"},
		} {
			t.Run(name, func(t *testing.T) {
				o := test.options
				o.URL, o.Verify = url, test.verify
				if test.problem == "" {
					snap := fetchOK(t, o)
					if len(snap.SignedBy) == 0 || !strings.HasPrefix(snap.SignedBy[0].String(), test.want) || !strings.HasSuffix(snap.SignedBy[0].String(), "(SSH)") {
						t.Errorf("signed by %v, want %s", snap.SignedBy, test.want)
					}
					if (o.Verify.Mode == VerifyTagAndCommit) != (len(snap.SignedBy) == 2) {
						t.Errorf("signed by %v", snap.SignedBy)
					}
					return
				}
				err := mustAs[*SignatureError](t, fetchFails(t, o, url, test.says))
				if err.Problem != test.problem {
					t.Errorf("%s, want %s", err.Problem, test.problem)
				}
			})
		}
	}
	for name, test := range map[string]struct {
		verify *Verify
		want   string
	}{
		"no keys":        {&Verify{Mode: VerifyCommit}, "no key is given"},
		"no tag":         {bySSH(VerifyTag, allowed), "neither a tag nor a version range"},
		"mode":           {bySSH("Head", allowed), `mode "Head" is not known`},
		"malformed":      {bySSH(VerifyCommit, "# x", "hello"), "line 2: expected principals"},
		"authority":      {bySSH(VerifyCommit, "d cert-authority "+public), "not supported"},
		"unknown option": {bySSH(VerifyCommit, "d no-pty "+public), `"no-pty" is not known`},
		"bad time":       {bySSH(VerifyCommit, `d valid-after="soon" `+public), `"soon" is malformed`},
		"not armoured":   {&Verify{Mode: VerifyCommit, OpenPGPKeys: [][]byte{[]byte("x")}}, "gpg --export --armor"},
	} {
		t.Run(name, func(t *testing.T) { fetchFails(t, Options{URL: r.dir, Branch: "main", Verify: test.verify}, test.want) })
	}
}

// A commit in the cache is verified like one that was just fetched, with today's keys.
func TestCachedCommitsAreVerifiedAgain(t *testing.T) {
	key, public := sshKey(t)
	_, other := sshKey(t)
	r := newRepo(t)
	r.signWith(key)
	commit := r.commit(map[string]string{"a.yaml": "signed"})
	r.git("tag", "-s", "v1.0.0", "-m", "release")
	git := &switched{}
	git.set(gitHandler(t, r.dir))
	o := Options{URL: serve(t, git) + "/repo.git", CacheDir: t.TempDir(), AllowStale: true, Tag: "v1.0.0", Verify: bySSH(VerifyTagAndCommit, "d "+public)}
	fetchOK(t, o)
	git.set(status(http.StatusNotImplemented, ""))
	for _, pinned := range []string{"", commit} {
		o.Commit = pinned
		if snap := fetchOK(t, o); len(snap.SignedBy) != 2 || snap.Stale != (pinned == "") {
			t.Errorf("pinned %q: got %+v", pinned, snap)
		}
		revoked := o
		revoked.Verify = bySSH(VerifyTagAndCommit, "d "+other)
		if err := mustAs[*SignatureError](t, fetchFails(t, revoked)); err.Problem != NotAllowed {
			t.Errorf("got %v", err)
		}
	}
	names := inFolder((packCache{dir: o.CacheDir, url: o.URL}).folder(), "*"+tagSuffix)
	if len(names) != 1 {
		t.Fatalf("kept tags: %v", names)
	}
	raw, _ := os.ReadFile(names[0])
	writeFile(t, names[0], strings.Replace(string(raw), "release", "RELEASE", 1))
	mustAs[*UnreachableError](t, fetchFails(t, o)) // the tag in the cache no longer counts
}

// entity makes an OpenPGP key as it was made at some time, for a length of time.
func entity(t *testing.T, made time.Time, lasts time.Duration) (*openpgp.Entity, []byte) {
	t.Helper()
	config := &packet.Config{
		Time: func() time.Time { return made }, KeyLifetimeSecs: uint32(lasts.Seconds()), Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA256,
	}
	e, err := openpgp.NewEntity("Dev", "", "dev@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	return e, armoured(t, e)
}

func armoured(t *testing.T, e *openpgp.Entity) []byte {
	t.Helper()
	var public bytes.Buffer
	w, err := armor.Encode(&public, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	return public.Bytes()
}

// signedObject writes a commit or tag whose signature is made by sign.
func (r *repo) signedObject(kind, body, message string, sign func([]byte) string) string {
	r.t.Helper()
	signature := sign([]byte(body + "\n" + message))
	text := body + "\n" + message + signature
	if kind == "commit" {
		text = body + "gpgsig " + strings.ReplaceAll(strings.TrimRight(signature, "\n"), "\n", "\n ") + "\n\n" + message
	}
	cmd := exec.Command("git", "hash-object", "-t", kind, "-w", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git hash-object: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestOpenPGPSignatures(t *testing.T) {
	now := time.Now()
	good, goodKey := entity(t, now.Add(-time.Hour), 0)
	other, otherKey := entity(t, now.Add(-time.Hour), 0)
	expired, expiredKey := entity(t, now.Add(-3*time.Hour), time.Hour)
	revoked, _ := entity(t, now.Add(-time.Hour), 0)
	by := func(e *openpgp.Entity, at time.Time) func([]byte) string {
		return func(payload []byte) string {
			var out bytes.Buffer
			if err := openpgp.ArmoredDetachSign(&out, e, bytes.NewReader(payload), &packet.Config{Time: func() time.Time { return at }}); err != nil {
				t.Fatal(err)
			}
			return out.String() + "\n"
		}
	}
	r := newRepo(t)
	base := r.commit(map[string]string{"a.yaml": "one"})
	who := fmt.Sprintf("Dev <dev@example.com> %d +0000\n", now.Unix())
	body := "tree " + r.git("rev-parse", "HEAD^{tree}") + "\nparent " + base + "\nauthor " + who + "committer " + who + "encoding UTF-8\n"
	commit := func(sign func([]byte) string) string { return r.signedObject("commit", body, "change\n", sign) }
	signedCommit, byRevoked := commit(by(good, now)), commit(by(revoked, now))
	if err := revoked.RevokeKey(packet.KeyCompromised, "stolen", nil); err != nil {
		t.Fatal(err)
	}
	tag := func(name string, sign func([]byte) string) string {
		return r.signedObject("tag", "object "+signedCommit+"\ntype commit\ntag "+name+"\ntagger "+who, "release\n", sign)
	}
	tampered := func(payload []byte) string { return by(good, now)(append(payload, '!')) }
	twice := func(payload []byte) string {
		one := by(good, now)(payload)
		return one + "\n" + one
	}
	for name, test := range map[string]struct {
		object  string
		keys    [][]byte
		problem SignatureProblem
		says    string
	}{
		"good":        {signedCommit, [][]byte{otherKey, goodKey}, "", "Dev <dev@example.com>"},
		"one text":    {signedCommit, [][]byte{append(append([]byte{}, otherKey...), goodKey...)}, "", "Dev <dev@example.com>"},
		"not allowed": {commit(by(other, now)), [][]byte{goodKey}, NotAllowed, fmt.Sprintf("OpenPGP key %X", other.PrimaryKey.Fingerprint)},
		"tampered":    {commit(tampered), [][]byte{goodKey}, Invalid, "did not make it for this content"},
		"expired":     {commit(by(expired, now.Add(-150*time.Minute))), [][]byte{expiredKey}, Invalid, "has expired"},
		"revoked":     {byRevoked, [][]byte{armoured(t, revoked)}, Invalid, "was revoked"},
		"garbage":     {commit(func([]byte) string { return openPGPArmor + "\n\nAAAA\n" + openPGPEnd + "\n" }), [][]byte{goodKey}, Invalid, "cannot be read"},
		"x509":        {commit(func([]byte) string { return "-----BEGIN SIGNED MESSAGE-----\nx\n" }), [][]byte{goodKey}, Invalid, "not one OpenPGP or SSH signature"},
		"two":         {commit(twice), [][]byte{goodKey}, Invalid, "nothing after its end"},
		"large":       {commit(func([]byte) string { return strings.Repeat("x", maxSignatureBytes+1) }), [][]byte{goodKey}, Invalid, "larger than"},
		"tag":         {tag("v1.0.0", by(good, now)), [][]byte{goodKey}, "", "tag v1.0.0 signed by Dev"},
		"tag text":    {tag("v1.0.1", tampered), [][]byte{goodKey}, Invalid, "tag v1.0.1"},
		"tag after":   {tag("v1.0.2", func(p []byte) string { return by(good, now)(p) + "more\n" }), [][]byte{goodKey}, Invalid, "nothing after its end"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{URL: r.dir, Branch: "b", Verify: &Verify{Mode: VerifyCommit, OpenPGPKeys: test.keys}}
			if strings.HasPrefix(name, "tag") {
				o.Branch, o.Verify.Mode = "", VerifyTag
				o.Tag = strings.Split(strings.SplitN(r.git("cat-file", "tag", test.object), "\n", 4)[2], " ")[1]
				r.git("update-ref", "refs/tags/"+o.Tag, test.object)
			} else {
				r.git("update-ref", "refs/heads/b", test.object)
			}
			if test.problem == "" {
				if snap := fetchOK(t, o); len(snap.SignedBy) != 1 || !strings.Contains(snap.SignedBy[0].String(), test.says) ||
					snap.SignedBy[0].Key != fmt.Sprintf("%X", good.PrimaryKey.Fingerprint) {
					t.Errorf("signed by %v", snap.SignedBy)
				}
				return
			}
			if err := mustAs[*SignatureError](t, fetchFails(t, o, test.says)); err.Problem != test.problem {
				t.Errorf("%s, want %s", err.Problem, test.problem)
			}
		})
	}
}

// What gpg itself signs through git is what the rest must agree with.
func TestSignaturesOfGnuPG(t *testing.T) {
	for _, program := range []string{"gpg", "gpgconf"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	home, err := os.MkdirTemp("/tmp", "gpg") // its socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	gpg := func(args ...string) []byte {
		cmd := exec.Command("gpg", append([]string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("gpg %v: %v", args, err)
		}
		return out
	}
	gpg("--quick-generate-key", "dev@example.com", "ed25519", "sign", "never")
	public := gpg("--armor", "--export", "dev@example.com")
	r := newRepo(t)
	r.git("config", "user.signingkey", "dev@example.com")
	r.commit(map[string]string{"a.yaml": "one"})
	r.git("commit", "-q", "--amend", "-S", "-m", "signed\n\nby gpg")
	r.git("tag", "-s", "v1.0.0", "-m", "release")
	snap := fetchOK(t, Options{URL: r.dir, Tag: "v1.0.0", Verify: &Verify{Mode: VerifyTagAndCommit, OpenPGPKeys: [][]byte{public}}})
	if len(snap.SignedBy) != 2 || snap.SignedBy[1].Signer != "dev@example.com" {
		t.Errorf("signed by %v", snap.SignedBy)
	}
}

func FuzzSplitCommit(f *testing.F) {
	f.Add([]byte("tree x\ngpgsig a\n b\n c\nencoding x\n\nmessage\ngpgsig no\n"))
	f.Add([]byte("gpgsig"))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		payload, signature, err := splitCommit(raw)
		if err == nil && len(signature) == 0 && !bytes.Contains(raw, []byte("gpgsig")) && !bytes.Equal(payload, raw) {
			t.Errorf("%q became %q", raw, payload)
		}
		body, tail := splitTag(raw)
		if !bytes.Equal(append(append([]byte{}, body...), tail...), raw) {
			t.Errorf("%q was split into %q and %q", raw, body, tail)
		}
		_ = committed(raw)
		_, _ = parseTag(raw)
	})
}
