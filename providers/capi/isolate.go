package capi

import (
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
)

// skew between the clocks of two API servers that counts as none.
const skew = time.Minute

// RefuseOlder returns a RefusedError when the cluster that answered is older than its
// Cluster: nothing that Cluster API makes for a Cluster exists before it, so the access
// leads to another cluster.
func RefuseOlder(cluster Observation, health Health) error {
	if !health.CreatedAt.Before(cluster.CreatedAt.Add(-skew)) {
		return nil
	}
	return &RefusedError{Reason: "OlderCluster", Message: fmt.Sprintf(
		"the kubeconfig of Cluster %s leads to a cluster whose kube-system namespace is of %s, before the Cluster itself (%s), so it is another cluster; nothing was written; look for an address or certificate authority of it in the manifests",
		cluster.Incarnation, health.CreatedAt.UTC().Format(time.RFC3339), cluster.CreatedAt.UTC().Format(time.RFC3339))}
}

// Isolated returns an InputError when the set could make a throw-away cluster answer,
// or be answered, as the live one: an object that holds the live API server's address
// (endpoint is host:port; empty or loopback is not looked for), or a Secret that Cluster
// API takes as a cluster's identity instead of making one.
func (m *Manifests) Isolated(endpoint string) error {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil || loopback(host) {
		host = ""
	}
	for _, src := range m.Sources() {
		if purpose := m.authority(src); purpose != "" {
			return fault(src, "holds the %s of the cluster, which a drill must not share with the live one; leave it out, so that Cluster API makes a new one", purpose)
		}
		if host != "" && holds(src.Object.Object, host, src.Object.GetKind() == "Secret") {
			return fault(src, "holds %s, the address of the live cluster's API server, which a drill must not reach; use ${CLUSTER_NAME} in it, or leave it out", host)
		}
	}
	return nil
}

// authority tells which part of a cluster's identity a Secret is; empty for none.
func (m *Manifests) authority(src Source) secret.Purpose {
	if src.Object.GroupVersionKind().Group != "" || src.Object.GetKind() != "Secret" {
		return ""
	}
	name := src.Object.GetName()
	kind, _ := src.Object.Object["type"].(string)
	for _, purpose := range []secret.Purpose{secret.ClusterCA, secret.ServiceAccount, secret.EtcdCA, secret.FrontProxyCA, secret.Kubeconfig} {
		if name == secret.Name(m.Name, purpose) || kind == string(clusterv1.ClusterSecretType) && strings.HasSuffix(name, "-"+string(purpose)) {
			return purpose
		}
	}
	return ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || strings.EqualFold(host, "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// holds looks for a host in every string below a value. With encoded, it looks into
// base64 too.
func holds(in any, host string, encoded bool) bool {
	switch v := in.(type) {
	case map[string]any:
		for key, child := range v {
			if mentions(key, host) || holds(child, host, encoded) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(child any) bool { return holds(child, host, encoded) })
	case string:
		if mentions(v, host) {
			return true
		}
		if encoded {
			raw, err := base64.StdEncoding.DecodeString(v)
			return err == nil && mentions(string(raw), host)
		}
	}
	return false
}

// mentions finds a host as a whole: neither as part of a longer name nor of a longer
// number.
func mentions(text, host string) bool {
	text, host = strings.ToLower(text), strings.ToLower(host)
	for from := 0; ; {
		at := strings.Index(text[from:], host)
		if at < 0 {
			return false
		}
		begin, end := from+at, from+at+len(host)
		before := begin > 0 && (inName(text[begin-1]) || text[begin-1] == '.')
		after := end < len(text) && (inName(text[end]) || text[end] == '.' && end+1 < len(text) && inName(text[end+1]))
		if !before && !after {
			return true
		}
		from = begin + 1
	}
}

func inName(b byte) bool {
	return b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z'
}
