package source

import "time"

// Options of a fetch.
type Options struct {
	// URL of the repository: https, http, ssh, file, user@host:path or a local path.
	URL string
	// Mirrors hold the same repository. They are tried in order when URL cannot be
	// read; which one served is in Snapshot.From, and why in its warnings.
	Mirrors []Mirror
	// Branch, Tag, SemVer and Commit say what to read; at most one of Branch, Tag and
	// SemVer. SemVer is a range such as "1.x" or ">=1.2.0 <2.0.0" and means the tag with
	// the highest version in it. A Commit (40 hexadecimal digits) wins over the others
	// and is the only one that is served from the cache while remotes can be reached.
	// With none of them the remote's default branch is read.
	Branch, Tag, SemVer, Commit string
	// Name is a full reference name, such as refs/pull/7/head, in place of Branch, Tag and SemVer.
	Name string
	Auth Auth
	// CacheDir keeps the packs of fetched commits; "" keeps nothing. What is in it is
	// readable to whoever may use it, whatever credentials they hold: callers that
	// serve several tenants give each a directory of its own.
	CacheDir string
	// AllowStale serves, when no remote gives any answer, the commit that was last
	// fetched for the same reference. The snapshot says so. An answer of any kind, such
	// as refused credentials or a branch that is gone, is never papered over.
	AllowStale bool
	// Verify asks for signatures; nil asks for none.
	Verify *Verify
	// Submodules are read as part of the tree when true, and named in a warning when not.
	Submodules bool
	Limits     Limits
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Mirror is another place of the same repository. Credentials of the repository are
// not its own: a mirror gets those that are given here.
type Mirror struct {
	URL  string
	Auth Auth
}

// Auth holds credentials and trust for a remote. User and password in the URL are
// used when Username, Password and BearerToken are empty.
type Auth struct {
	Username, Password string
	BearerToken        string
	// SSHIdentity is a PEM private key; Password decrypts it when it is encrypted.
	SSHIdentity []byte
	// SSHKnownHosts is the text of a known_hosts file. It is required for ssh: a host
	// that is not in it is refused.
	SSHKnownHosts []byte
	// CABundle is PEM certificates trusted for https besides the system's.
	CABundle []byte
	// Proxy is the URL of an http, https or socks5 proxy for https and http remotes. It
	// may hold user and password, which go to the proxy only. "" means the proxy of the
	// process's environment, if any.
	Proxy string
}

// VerifyMode says which objects must be signed.
type VerifyMode string

const (
	// VerifyCommit wants a signature on the commit.
	VerifyCommit VerifyMode = "Commit"
	// VerifyTag wants a signature on the annotated tag that was asked for.
	VerifyTag VerifyMode = "Tag"
	// VerifyTagAndCommit wants both.
	VerifyTagAndCommit VerifyMode = "TagAndCommit"
)

// Verify asks for signatures and says whose.
type Verify struct {
	Mode VerifyMode
	// OpenPGPKeys are armoured public keys.
	OpenPGPKeys [][]byte
	// SSHAllowedSigners are texts in the format of ssh-keygen's allowed signers file.
	// Plain public keys, one a line, are taken too.
	SSHAllowedSigners [][]byte
}

// Limits bound what a repository may cost. Zero values mean the defaults.
type Limits struct {
	// PackBytes is the most that is read from a remote: 256 MiB. They are held in memory, compressed.
	PackBytes int64
	// Objects in a pack: 1,000,000.
	Objects int
	// ExpandedBytes is the sum of all objects after decompression: 2 GiB.
	ExpandedBytes int64
	// Files in the tree, counting a shared sub-tree as often as it appears: 200,000.
	Files int
	// FileBytes is the largest file that can be opened: 64 MiB.
	FileBytes int64
	// Duration of the fetch: 5 minutes. Remotes share it, so that one that hangs leaves
	// time for the next. All submodules together have as long again.
	Duration time.Duration
	// CacheBytes is the most that CacheDir holds: 1 GiB. The packs used longest ago go first.
	CacheBytes int64
	// Submodules of a repository in all: 64. They may be nested 8 deep.
	Submodules int
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.PackBytes, 256<<20)
	def(&l.ExpandedBytes, 2<<30)
	def(&l.FileBytes, 64<<20)
	def(&l.CacheBytes, 1<<30)
	if l.Objects <= 0 {
		l.Objects = 1_000_000
	}
	if l.Files <= 0 {
		l.Files = 200_000
	}
	if l.Duration <= 0 {
		l.Duration = 5 * time.Minute
	}
	if l.Submodules <= 0 {
		l.Submodules = 64
	}
	return l
}
