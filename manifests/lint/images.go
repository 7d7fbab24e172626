package lint

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// host of a registry; "" for images of the default registry.
func registryHost(image string) string {
	first, _, ok := strings.Cut(image, "/")
	if !ok || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return ""
	}
	host, _, _ := strings.Cut(first, ":")
	return strings.ToLower(host)
}

// registries that the repository itself deploys cannot give the images that they, or
// what comes before them, are made of.
func (c *checker) registries() {
	hosts := c.hosts()
	for _, w := range c.workloads {
		for _, x := range w.containers() {
			image := str(x.raw, "image")
			host := registryHost(image)
			if host == "" {
				continue
			}
			f := finding{rule: "image-from-own-registry", subject: image}
			by := hosts[host]
			if by == nil {
				_, parent, _ := strings.Cut(host, ".")
				if by = hosts["*."+parent]; by == nil || parent == "" {
					continue
				}
				f.severity = Warning
			}
			f.message = fmt.Sprintf("%s runs image %s, whose registry is served through %s (%s) of the same repository", x.name, image, by.id, by.Origin)
			c.report(w.item, f)
		}
	}
}

// hosts that the repository serves, with the object that says so.
func (c *checker) hosts() map[string]*item {
	out := map[string]*item{}
	add := func(it *item, names ...string) {
		for _, n := range names {
			if n = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(n), ".")); n != "" && n != "*" && out[n] == nil {
				out[n] = it
			}
		}
	}
	for _, it := range c.byKind[ingressKind] {
		for _, r := range list(it.spec, "rules") {
			add(it, str(r, "host"))
		}
	}
	for _, gk := range []schema.GroupKind{httpRouteKind, {Group: "gateway.networking.k8s.io", Kind: "TLSRoute"}} {
		for _, it := range c.byKind[gk] {
			add(it, texts(it.spec, "hostnames")...)
		}
	}
	for _, it := range c.byKind[schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}] {
		add(it, texts(it.spec, "hosts")...)
	}
	for _, it := range c.byKind[serviceKind] {
		short := it.id.Name + "." + it.id.Namespace
		add(it, short, short+".svc", short+".svc.cluster.local")
		add(it, strings.Split(it.annotations["external-dns.alpha.kubernetes.io/hostname"], ",")...)
	}
	return out
}

// mutableImages name no version: what a fresh cluster pulls is not what was tested.
func (c *checker) mutableImages() {
	for _, w := range c.workloads {
		for _, x := range w.containers() {
			image := str(x.raw, "image")
			if image == "" || strings.Contains(image, "@") || strings.ContainsAny(image, "${") {
				continue
			}
			_, tag, tagged := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
			if !tagged || tag == "latest" {
				c.report(w.item, finding{rule: "mutable-image", subject: image,
					message: fmt.Sprintf("%s runs image %s, which names no version", x.name, image)})
			}
		}
	}
}
