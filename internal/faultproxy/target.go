package faultproxy

import (
	"net/http"
	"net/url"
	"strings"
)

// Target is what a request is about, read from its path.
type Target struct {
	Group, Resource, Namespace, Name, Subresource string
}

// String is short: group/resource/name/subresource.
func (t Target) String() string {
	var parts []string
	for _, p := range []string{t.Resource, t.Name, t.Subresource} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "/")
}

// TargetOf reads a path of the Kubernetes API. Paths of other kinds have no resource.
func TargetOf(path string) Target {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var t Target
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		t.Group, parts = parts[1], parts[3:]
	default:
		return Target{}
	}
	// The subresources of a namespace are the only ones that could be taken for resources.
	if len(parts) >= 3 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		t.Namespace, parts = parts[1], parts[2:]
	}
	t.Resource = parts[0]
	if len(parts) > 1 {
		t.Name = parts[1]
	}
	if len(parts) > 2 {
		t.Subresource = strings.Join(parts[2:], "/")
	}
	return t
}

// Counts tells whether a request is a write that has a number. Events are sent beside
// the loop, in no order; dry runs and questions about oneself change nothing; nor do the
// renewals of a leader's lease, which come by the clock.
func Counts(method string, u *url.URL) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return false
	}
	t := TargetOf(u.Path)
	switch {
	case t.Resource == "" || t.Resource == "events" || u.Query().Get("dryRun") != "":
		return false
	case t.Group == "authentication.k8s.io" || t.Group == "authorization.k8s.io":
		return false
	}
	return t.Resource != "leases" || t.Name != LeaderLease
}

// LeaderLease is the name of the Lease of the controller's leader.
const LeaderLease = "controller.refloat.dev"

// isWatch tells a request that streams.
func isWatch(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" && r.URL.Query().Get("watch") != "false" && r.URL.Query().Get("watch") != "0"
}
