package expand

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/flux"
)

// secretType is the label of Secrets that Argo CD reads.
const secretType = "argocd.argoproj.io/secret-type"

// own is true for an address of the repository that is being rendered.
func (r *argoRenderer) own(url string) bool {
	url = flux.CanonicalURL(url)
	return r.tool.adopted[url] != "" || r.knows(url)
}

// knows an address, in its canonical form, as one of the repository.
func (r *argoRenderer) knows(canonical string) bool {
	mine := append([]string{r.tool.snapshot.URL}, r.options.Repository.URLs...)
	return slices.ContainsFunc(mine, func(m string) bool { return m != "" && flux.CanonicalURL(m) == canonical })
}

// adopt takes the only repository that definitions name for this one, when none of its
// addresses is known: people render forks, and clones on their own machine. It must hold
// all that the definitions name in it. Once decided, it stays.
func (t *argoTool) adopt(s *state) {
	if len(t.adopted) > 0 {
		return
	}
	named := map[string]*namedRepository{}
	for _, kind := range []string{argocd.KindApplication, argocd.KindApplicationSet} {
		for _, o := range s.List(schema.GroupKind{Group: argocd.Group, Kind: kind}) {
			collectRepositories(o.Object["spec"], named, 0)
		}
	}
	if len(named) != 1 {
		return
	}
	for canonical, n := range named {
		if !t.renderer.knows(canonical) && t.holdsAll(n.paths) {
			t.adopted[canonical] = n.url
		}
	}
}

// namedRepository is what definitions say of one repository: an address, and paths in it.
type namedRepository struct {
	url   string
	paths []string
}

// collectRepositories finds what definitions name as repositories, however deep, with
// the paths in each. Charts are not in Git.
func collectRepositories(value any, named map[string]*namedRepository, depth int) {
	const deepest = 20
	if depth > deepest {
		return
	}
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			collectRepositories(element, named, depth+1)
		}
	case map[string]any:
		url, _ := v["repoURL"].(string)
		chart, _ := v["chart"].(string)
		if url != "" && chart == "" && !strings.Contains(url, "{{") && !strings.HasPrefix(url, "oci://") {
			key := flux.CanonicalURL(url)
			if named[key] == nil {
				named[key] = &namedRepository{url: url}
			}
			p, _ := v["path"].(string)
			named[key].paths = append(named[key].paths, p)
		}
		for _, element := range v {
			collectRepositories(element, named, depth+1)
		}
	}
}

func (t *argoTool) holdsAll(paths []string) bool {
	for _, p := range paths {
		if strings.Contains(p, "{{") {
			continue
		}
		p = path.Clean("./" + strings.TrimLeft(p, "/"))
		if !fs.ValidPath(p) {
			return false
		}
		if _, err := fs.Stat(t.snapshot.FS, p); err != nil {
			return false
		}
	}
	return true
}

// sameRevision is false when a definition surely means another commit.
func (r *argoRenderer) sameRevision(revision string) bool {
	here := r.tool.snapshot
	ref := here.Reference()
	branch, isBranch := strings.CutPrefix(ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(ref, "refs/tags/")
	const shortest = 7
	switch {
	case revision == "", revision == "HEAD", !isBranch && !isTag && here.Commit == "":
		return true
	case len(revision) >= shortest && strings.HasPrefix(here.Commit, revision):
		return true
	case isBranch:
		return revision == branch || revision == ref
	case isTag:
		return revision == tag || revision == ref
	}
	return false
}

// credential of a repository, as a Secret of Argo CD gives it.
type credential struct {
	url    string
	prefix bool
	data   map[string]string
}

// credentialsOf reads the Secrets for repositories: for one, or for all whose addresses
// begin alike.
func credentialsOf(objects []manifests.Object) []credential {
	var all []credential
	for _, o := range objects {
		kind := o.GetLabels()[secretType]
		if o.GetKind() != "Secret" || kind != "repository" && kind != "repo-creds" {
			continue
		}
		data := secretData(o)
		if data["url"] != "" {
			all = append(all, credential{url: data["url"], prefix: kind == "repo-creds", data: data})
		}
	}
	return all
}

// credentialFor the longest address that fits; one for the repository itself goes first.
// Beginnings of addresses may end anywhere, as with Argo CD, but not before the host does.
func (r *argoRenderer) credentialFor(address string) map[string]string {
	var best credential
	for _, c := range r.credentials {
		switch {
		case !sameServer(c.url, address):
		case !c.prefix && flux.CanonicalURL(c.url) == flux.CanonicalURL(address) && (c.data["username"] != "" || c.data["sshPrivateKey"] != ""):
			return c.data
		case c.prefix && strings.HasPrefix(address, c.url) && len(c.url) > len(best.url):
			best = c
		}
	}
	return best.data
}

// Where Argo CD keeps whom it trusts.
const (
	knownHostsName = "argocd-ssh-known-hosts-cm"
	tlsCertsName   = "argocd-tls-certs-cm"
)

// trust is whom Argo CD believes: host keys for ssh, and authorities by server.
type trust struct {
	knownHosts  string
	authorities map[string]string
}

func trustOf(objects []manifests.Object) trust {
	var t trust
	for _, o := range objects {
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		switch {
		case o.GetKind() != "ConfigMap":
		case o.GetName() == knownHostsName:
			t.knownHosts = data["ssh_known_hosts"]
		case o.GetName() == tlsCertsName:
			t.authorities = data
		}
	}
	return t
}

// gitCredentials in the words of package flux.
func (t trust) gitCredentials(address string, data map[string]string) map[string][]byte {
	out := map[string][]byte{}
	if u, err := url.Parse(asURL(address)); err == nil && u.Scheme == "ssh" && t.knownHosts != "" {
		out["known_hosts"] = []byte(t.knownHosts)
	} else if err == nil && t.authorities[u.Hostname()] != "" {
		out["caFile"] = []byte(t.authorities[u.Hostname()])
	}
	for theirs, ours := range map[string]string{"username": "username", "password": "password", "bearerToken": "bearerToken", "sshPrivateKey": "identity"} {
		if data[theirs] != "" {
			out[ours] = []byte(data[theirs])
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// revisionWarning says that another commit is rendered than a definition asks for.
func (r *argoRenderer) revisionWarning(revision string) string {
	at := r.tool.snapshot.Ref
	if c := r.tool.snapshot.Commit; c != "" {
		at = fmt.Sprintf("commit %.12s", c)
	}
	return fmt.Sprintf("%s asks for the revision %q of this repository: it is rendered from %s like everything else", r.unit, shortened(revision), at)
}

func shortened(text string) string {
	const most = 60
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
