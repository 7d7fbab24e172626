package argocd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// checkDestination leaves an Application out that goes to another cluster.
func (x *expansion) checkDestination() error {
	d := x.app.Spec.Destination
	switch {
	case d.Server != "" && d.Name != "":
		return errors.New("spec.destination names both a server and a name: keep one")
	case d.Server == "" && d.Name == "":
		return errors.New("spec.destination names no cluster: give it a server or a name")
	case !x.isThisCluster(d):
		return &leftOut{meant: true, elsewhere: d.said(), reason: fmt.Sprintf("it goes to another cluster, %s: "+
			"if that is the one that is rebuilt, say so in spec.argoCD.clusters of the plan, or with --argocd-cluster", d.said())}
	}
	return nil
}

func (d destination) said() string {
	if d.Name != "" {
		return d.Name
	}
	return withoutUser(d.Server)
}

// isThisCluster compares names and servers, and what the cluster Secrets say of either.
func (x *expansion) isThisCluster(d destination) bool {
	these := x.options.Clusters
	if len(these) == 0 {
		these = []ClusterName{{Name: inClusterName, Server: InCluster}}
	}
	wanted := ClusterName{Name: d.Name, Server: d.Server}
	if slices.ContainsFunc(these, wanted.meets) {
		return true
	}
	return slices.ContainsFunc(x.settings.Clusters, func(c Cluster) bool {
		known := ClusterName{Name: c.Name, Server: c.Server}
		return wanted.meets(known) && slices.ContainsFunc(these, known.meets)
	})
}

// meets is true for two that have a name or a server in common.
func (c ClusterName) meets(other ClusterName) bool {
	server := strings.TrimRight(c.Server, "/")
	return c.Name != "" && c.Name == other.Name || server != "" && server == strings.TrimRight(other.Server, "/")
}

// checkProject says what Argo CD would refuse. The build goes on: whoever asks for it
// has rights of their own.
func (x *expansion) checkProject() {
	name := x.app.Spec.Project
	if name == "" {
		name = "default"
	}
	p := x.settings.project(name)
	if p == nil {
		if name != "default" {
			x.warn("belongs to AppProject %s, which is nowhere in the repository: Argo CD will refuse it", name)
		}
		return
	}
	sources, err := x.listed()
	if err != nil {
		return
	}
	if signed := func(s source) bool { return s.Chart == "" }; len(p.Spec.SignatureKeys) > 0 && slices.ContainsFunc(sources, signed) {
		x.warn("AppProject %s takes only commits that are signed with its signatureKeys: they are not checked here, only what spec.source.verify of the plan asks for is", name)
	}
	for _, s := range sources {
		if !p.allowsSource(s.RepoURL) {
			x.warn("AppProject %s does not allow sources from %s: Argo CD will refuse it", name, withoutUser(s.RepoURL))
		}
	}
	if d := x.app.Spec.Destination; !p.allowsDestination(d, x.settings.Clusters) {
		x.warn("AppProject %s does not allow namespace %q of cluster %s: Argo CD will refuse it", name, d.Namespace, d.said())
	}
	for _, w := range p.windows(x.app) {
		x.warn("AppProject %s has a sync window (%s): it may hold Argo CD back later, not this build", name, w)
	}
}

// windows of a project that touch an Application.
func (p *project) windows(app application) []string {
	var all []string
	for _, w := range p.Spec.SyncWindows {
		d := app.Spec.Destination
		if anyGlob(w.Applications, app.Metadata.Name) || anyGlob(w.Namespaces, d.Namespace) || anyGlob(w.Clusters, d.Name, d.Server) {
			all = append(all, fmt.Sprintf("%s %q for %s", w.Kind, cut(w.Schedule), cut(w.Duration)))
		}
	}
	return all
}
