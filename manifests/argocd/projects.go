package argocd

import (
	"strings"
)

// project holds the fields of an AppProject that allow and forbid.
type project struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		SourceRepos  []string      `json:"sourceRepos"`
		Destinations []destination `json:"destinations"`
		// SignatureKeys have to have signed what is synced from Git.
		SignatureKeys []any `json:"signatureKeys"`
		SyncWindows   []struct {
			Kind         string   `json:"kind"`
			Schedule     string   `json:"schedule"`
			Duration     string   `json:"duration"`
			Applications []string `json:"applications"`
			Namespaces   []string `json:"namespaces"`
			Clusters     []string `json:"clusters"`
		} `json:"syncWindows"`
	} `json:"spec"`
}

// allowsSource: one pattern has to match and none that begins with ! may.
func (p *project) allowsSource(url string) bool {
	allowed := false
	url = bareURL(url)
	for _, pattern := range p.Spec.SourceRepos {
		if denied, ok := strings.CutPrefix(pattern, "!"); ok {
			if denied != "" && pathGlob(bareURL(denied), url) {
				return false
			}
			continue
		}
		allowed = allowed || pattern == "*" || pathGlob(bareURL(pattern), url)
	}
	return allowed
}

// bareURL takes off a URL what does not change the repository.
func bareURL(url string) string {
	return strings.TrimSuffix(strings.TrimRight(strings.ToLower(url), "/"), ".git")
}

// allowsDestination: a destination may name the cluster by server or by name.
func (p *project) allowsDestination(d destination, clusters []Cluster) bool {
	servers, names := []string{d.Server}, []string{d.Name}
	for _, c := range clusters {
		if c.Name == d.Name || c.Server == d.Server {
			servers, names = append(servers, c.Server), append(names, c.Name)
		}
	}
	if d.Name == inClusterName {
		servers = append(servers, InCluster)
	}
	if d.Server == InCluster {
		names = append(names, inClusterName)
	}
	allowed := false
	for _, rule := range p.Spec.Destinations {
		matches, denied := rule.matches(servers, names, d.Namespace)
		if matches && denied {
			return false
		}
		allowed = allowed || matches
	}
	return allowed
}

// matches compares one entry of spec.destinations.
func (d destination) matches(servers, names []string, namespace string) (matches, denied bool) {
	strip := func(pattern string) string {
		rest, negated := strings.CutPrefix(pattern, "!")
		denied = denied || negated
		return rest
	}
	server, name, ns := strip(d.Server), strip(d.Name), strip(d.Namespace)
	cluster := server != "" && anyGlob([]string{server}, servers...) || name != "" && anyGlob([]string{name}, names...)
	return cluster && anyGlob([]string{ns}, namespace), denied
}

// anyGlob is true when one of the patterns matches one of the texts. A pattern that is
// not valid matches nothing.
func anyGlob(patterns []string, texts ...string) bool {
	for _, p := range patterns {
		match, err := compileGlob(p, globOptions{braces: true})
		if err != nil {
			continue
		}
		for _, t := range texts {
			if t != "" && match(t) {
				return true
			}
		}
	}
	return false
}

// pathGlob matches segment by segment.
func pathGlob(pattern, text string) bool {
	match, err := compileGlob(pattern, globOptions{braces: true, segments: true})
	return err == nil && match(text)
}
