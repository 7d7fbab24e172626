package expand

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// makers are kinds from which an operator on the cluster makes further objects that no
// rendering of the state holds, with who makes what.
var makers = map[schema.GroupKind]string{
	{Group: operatorGroup, Kind: "ResourceSet"}:                "the Flux Operator fills in its templates",
	{Group: "helm.cattle.io", Kind: "HelmChart"}:               "the Helm controller of k3s and RKE2 installs the chart",
	{Group: "kappctrl.k14s.io", Kind: "App"}:                   "kapp-controller fetches and deploys it",
	{Group: "configsync.gke.io", Kind: "RootSync"}:             "Config Sync applies what it names",
	{Group: "configsync.gke.io", Kind: "RepoSync"}:             "Config Sync applies what it names",
	{Group: "fleet.cattle.io", Kind: "GitRepo"}:                "Rancher Fleet applies what it names",
	{Group: "fleet.cattle.io", Kind: "HelmOp"}:                 "Rancher Fleet installs the chart",
	{Group: "addons.cluster.x-k8s.io", Kind: "HelmChartProxy"}: "its controller installs the chart on other clusters",
}

// operatorGroup of the kinds of the Flux Operator.
const operatorGroup = "fluxcd.controlplane.io"

var fluxInstance = schema.GroupKind{Group: operatorGroup, Kind: "FluxInstance"}

// unread names the objects of whose outcome nothing is known here: it is neither ordered
// nor waited for nor compared.
func (d *driver) unread() []string {
	var all []string
	for gk, who := range makers {
		for _, o := range d.state.List(gk) {
			all = append(all, fmt.Sprintf("%s: %s is applied, and what it makes is not expanded: %s", o.Origin, o.ID(), who))
		}
	}
	for _, o := range d.state.List(fluxInstance) {
		path, synced, _ := unstructured.NestedString(o.Object, "spec", "sync", "path")
		if synced && !d.renders(path) {
			all = append(all, fmt.Sprintf("%s: %s has the Flux Operator sync %q, which is not expanded: name it as a state path", o.Origin, o.ID(), shortened(path)))
		}
	}
	return all
}

// renders is true for a state path.
func (d *driver) renders(path string) bool {
	for _, u := range d.paths {
		if u.Name == cleaned(path) {
			return true
		}
	}
	return false
}
