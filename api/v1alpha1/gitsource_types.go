package v1alpha1

// GitSource names a repository and what to take from it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.verify) || self.verify.mode == 'Commit' || (has(self.ref) && (has(self.ref.tag) || has(self.ref.semver)))",message="verify modes Tag and TagAndCommit need ref.tag or ref.semver"
type GitSource struct {
	// URL of the repository: https, ssh or file. Credentials never belong in it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?|ssh|file)://') || self.matches('^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:')",message="must be an https, http, ssh or file URL, or user@host:path"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(https?|file)://[^/?#]*@')",message="must not hold a user, password or token; use secretRef"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^ssh://[^/?#]*@') || self.matches('^ssh://[A-Za-z0-9_.-]+@[^/?#@]*(/|$)')",message="must hold no more than a plain user; use secretRef"
	URL string `json:"url"`
	// Mirrors hold the same repository. They are tried in order when URL cannot be read.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Mirrors []GitMirror `json:"mirrors,omitempty"`
	// Ref is what to check out; the default branch when empty.
	//
	// +optional
	Ref GitRef `json:"ref,omitempty"`
	// SecretRef names a Secret in the plan's namespace with username and password
	// (or bearerToken, or identity and known_hosts for ssh; caFile for a private authority).
	//
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// ProxySecretRef names a Secret in the plan's namespace with the address of a proxy
	// for https and http, and a username and password for it if it needs them.
	//
	// +optional
	ProxySecretRef *LocalSecretReference `json:"proxySecretRef,omitempty"`
	// Verify asks for signatures.
	//
	// +optional
	Verify *GitVerification `json:"verify,omitempty"`
	// Submodules are read as part of the repository. They get the credentials of
	// SecretRef only where they lie on the same host.
	//
	// +optional
	Submodules bool `json:"submodules,omitempty"`
}

// GitMirror is another place of the same repository.
type GitMirror struct {
	// URL of the mirror: https, ssh or file. Credentials never belong in it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^(https?|ssh|file)://') || self.matches('^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:')",message="must be an https, http, ssh or file URL, or user@host:path"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(https?|file)://[^/?#]*@')",message="must not hold a user, password or token; use secretRef"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^ssh://[^/?#]*@') || self.matches('^ssh://[A-Za-z0-9_.-]+@[^/?#@]*(/|$)')",message="must hold no more than a plain user; use secretRef"
	URL string `json:"url"`
	// SecretRef names a Secret like the repository's. A mirror without one is read
	// without credentials: those of the repository are not its own.
	//
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
}

// GitVerifyMode says which objects must be signed.
//
// +kubebuilder:validation:Enum=Commit;Tag;TagAndCommit
type GitVerifyMode string

// GitVerification asks for signatures and says whose.
type GitVerification struct {
	// Mode says what must be signed: the commit, the annotated tag, or both.
	//
	// +optional
	// +kubebuilder:default=Commit
	Mode GitVerifyMode `json:"mode,omitempty"`
	// SecretRef names a Secret in the plan's namespace. Each of its entries is an
	// armoured OpenPGP public key, or SSH allowed signers (or public keys), one a line.
	SecretRef LocalSecretReference `json:"secretRef"`
}

// GitRef is at most one of a branch, a tag, a range of versions or a commit.
//
// +kubebuilder:validation:XValidation:rule="[has(self.branch), has(self.tag), has(self.semver), has(self.commit)].filter(x, x).size() <= 1",message="at most one of branch, tag, semver and commit"
type GitRef struct {
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Tag string `json:"tag,omitempty"`
	// SemVer is a range such as 1.x or ">=1.2.0 <2.0.0": the tag with the highest
	// version in it. Pre-releases count only when the range names one.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	SemVer string `json:"semver,omitempty"`
	// Commit is a full hash.
	//
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}([0-9a-f]{24})?$`
	Commit string `json:"commit,omitempty"`
}

// LocalSecretReference names a Secret in the same namespace.
type LocalSecretReference struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
