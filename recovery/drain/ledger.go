package drain

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What an entry of the ledger is.
const (
	LoadBalancer = "LoadBalancer"
	Volume       = "Volume"
	DNSName      = "DNSName"
)

// Entry is one thing outside of the cluster that the cluster caused.
type Entry struct {
	// Kind is LoadBalancer, Volume or DNSName.
	Kind string
	// ID by which it is known outside: address, handle, name.
	ID string
	// Object inside that stands for it.
	Object string
	// Kept things stay on purpose when the object goes.
	Kept bool
}

// held is an object that holds addresses.
type held struct {
	Ref
	meta      metav1.Object
	addresses []string
	names     []string
}

const annotationHostname = "external-dns.alpha.kubernetes.io/hostname"

// addresses are held by Services of type LoadBalancer, Ingresses and Gateways.
func addresses(c Contents) []held {
	var out []held
	for i := range c.Services {
		s := &c.Services[i]
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		h := held{Ref: refTo(kindService, s), meta: s, names: hostnames(s)}
		for _, at := range s.Status.LoadBalancer.Ingress {
			h.addresses = append(h.addresses, cmp.Or(at.Hostname, at.IP))
		}
		out = append(out, h)
	}
	for i := range c.Ingresses {
		s := &c.Ingresses[i]
		h := held{Ref: refTo(kindIngress, s), meta: s, names: hostnames(s)}
		for _, at := range s.Status.LoadBalancer.Ingress {
			h.addresses = append(h.addresses, cmp.Or(at.Hostname, at.IP))
		}
		for _, rule := range s.Spec.Rules {
			h.names = append(h.names, rule.Host)
		}
		out = append(out, h)
	}
	for i := range c.Gateways {
		s := &c.Gateways[i]
		out = append(out, held{Ref: refTo(kindGateway, s), meta: s, addresses: values(s, "status", "addresses", "value"),
			names: append(hostnames(s), values(s, "spec", "listeners", "hostname")...)})
	}
	return out
}

// values of one field in each element of a list.
func values(u *unstructured.Unstructured, section, list, field string) []string {
	items, _, _ := unstructured.NestedSlice(u.Object, section, list)
	var out []string
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			if s, ok := m[field].(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

func hostnames(o metav1.Object) []string {
	var out []string
	for name := range strings.SplitSeq(o.GetAnnotations()[annotationHostname], ",") {
		out = append(out, strings.TrimSpace(name))
	}
	return out
}

// Ledger of what the cluster holds outside of itself, sorted.
func Ledger(c Contents) []Entry {
	var out []Entry
	add := func(kind string, object Ref, kept bool, ids ...string) {
		for _, id := range ids {
			if id != "" {
				out = append(out, Entry{Kind: kind, ID: id, Object: object.String(), Kept: kept})
			}
		}
	}
	for _, h := range addresses(c) {
		add(LoadBalancer, h.Ref, false, h.addresses...)
		add(DNSName, h.Ref, false, h.names...)
	}
	for i := range c.Volumes {
		v := &c.Volumes[i]
		add(Volume, refTo(kindVolume, v), v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete, handle(v))
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Object, b.Object))
	})
	return slices.Compact(out)
}

// handle of a volume outside; empty for one that lives on a node, which goes with it.
func handle(v *corev1.PersistentVolume) string {
	s := v.Spec.PersistentVolumeSource
	switch {
	case s.CSI != nil:
		return s.CSI.Driver + " " + s.CSI.VolumeHandle
	case s.NFS != nil:
		return "nfs " + s.NFS.Server + ":" + s.NFS.Path
	case s.AWSElasticBlockStore != nil:
		return "aws " + s.AWSElasticBlockStore.VolumeID
	case s.GCEPersistentDisk != nil:
		return "gce " + s.GCEPersistentDisk.PDName
	case s.AzureDisk != nil:
		return "azure " + s.AzureDisk.DataDiskURI
	case s.VsphereVolume != nil:
		return "vsphere " + s.VsphereVolume.VolumePath
	}
	return ""
}

// Newest creation among what a drain is about, by the cluster's own clock; what is made
// later is left alone.
func Newest(c Contents) time.Time {
	var newest time.Time
	later := func(o metav1.Object) {
		if at := o.GetCreationTimestamp().Time; at.After(newest) {
			newest = at
		}
	}
	for _, h := range addresses(c) {
		later(h.meta)
	}
	for _, claim := range disposable(c) {
		later(claim)
	}
	return newest
}
