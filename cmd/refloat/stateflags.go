package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilversion "k8s.io/apimachinery/pkg/util/version"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/manifests/argocd"
	"github.com/refloat-dev/refloat/manifests/expand"
)

// stateFlags say what a repository does not, where no plan of the cluster says it.
type stateFlags struct {
	seedFiles []string
	mirrors   []string
	offline   bool
	version   string
	kinds     []string
	known     map[schema.GroupKind]bool
	namespace string
	byPath    map[string]string // the namespaces of a plan's paths
	clusters  []string
	argo      expand.ArgoOptions
}

func (o *stateFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.seedFiles, "seed-file", nil, "file with Secrets and ConfigMaps that the cluster gets beforehand: definitions may take values and keys from them; they are never printed; may be repeated")
	flags.StringArrayVar(&o.mirrors, "chart-mirror", nil, "read charts, artifacts and other repositories elsewhere, as FROM=TO: oci://quay.io=oci://mirror.example.com/quay; may be repeated")
	flags.StringVar(&o.version, "kube-version", "", "version of Kubernetes that charts see, for example v1.36.3; a run takes that of its cluster")
	flags.StringArrayVar(&o.kinds, "known-kind", nil, "kind that the cluster will have although the state does not define it, as GROUP/KIND, with :cluster for one without namespaces; may be repeated")
	flags.StringVar(&o.namespace, "default-namespace", "", "namespace of objects of the paths that are written without one")
	flags.StringArrayVar(&o.clusters, "argocd-cluster", nil, "what Argo CD calls the cluster that is rebuilt, as NAME, as https://SERVER or as NAME=https://SERVER: Applications for it are expanded; may be repeated (default: the cluster that Argo CD runs on)")
	flags.StringVar(&o.argo.Namespace, "argocd-namespace", "", "namespace of Argo CD (default: where its settings and projects are)")
	flags.BoolVar(&o.offline, "offline", false, "fetch no charts, artifacts and other repositories: what needs one is left out, and named")
}

// namespaces of objects that paths write without one.
func (o *stateFlags) namespaces(paths []string) map[string]string {
	out := map[string]string{}
	for _, p := range paths {
		out[p] = cmp.Or(o.byPath[p], o.namespace)
	}
	return out
}

// options for an expansion.
func (o *stateFlags) options() (expand.Options, error) {
	out := expand.Options{Helm: expand.ChartOptions{Offline: o.offline, KubeVersion: o.version}, Partial: o.offline}
	if _, err := utilversion.ParseSemantic(o.version); o.version != "" && err != nil {
		return out, usageError("--kube-version %q: write it as v1.36.3", o.version)
	}
	o.known = map[schema.GroupKind]bool{}
	for _, text := range o.kinds {
		gk, namespaced, err := parseKind(text)
		if err != nil {
			return out, err
		}
		o.known[gk] = namespaced
	}
	out.KnownKind = func(gk schema.GroupKind) bool {
		_, known := o.known[gk]
		return known
	}
	var err error
	if out.ArgoCD, err = o.argoOptions(); err != nil {
		return out, err
	}
	for _, text := range o.mirrors {
		from, to, ok := strings.Cut(text, "=")
		mirror := expand.ChartMirror{From: from, To: to}
		if !ok {
			return out, usageError("--chart-mirror %q: write it as FROM=TO", text)
		}
		if err := mirror.Check(); err != nil {
			return out, usageError("--chart-mirror: %w", err)
		}
		out.Helm.Mirrors = append(out.Helm.Mirrors, mirror)
	}
	for _, file := range o.seedFiles {
		seeds, err := readSeeds(file)
		if err != nil {
			return out, usageError("--seed-file %s: %w", file, err)
		}
		out.Seeds = append(out.Seeds, seeds...)
	}
	if !o.offline {
		dir, err := os.UserCacheDir()
		if err != nil {
			return out, fmt.Errorf("find the cache directory: %w", err)
		}
		out.Helm.CacheDir = filepath.Join(dir, "refloat", "charts")
		out.Remotes = &expand.RemoteOptions{CacheDir: filepath.Join(dir, "refloat", "repositories")}
	}
	return out, nil
}

// planned takes over what a plan says of Argo CD; flags go before it.
func (o *stateFlags) planned(a *v1alpha1.ArgoCDPolicy) {
	if a == nil {
		return
	}
	o.argo.Namespace = cmp.Or(o.argo.Namespace, a.Namespace)
	for _, c := range a.Clusters {
		o.argo.Clusters = append(o.argo.Clusters, argocd.ClusterName(c))
	}
}

// argoOptions are what the plan and the flags say.
func (o *stateFlags) argoOptions() (expand.ArgoOptions, error) {
	out := o.argo
	out.Clusters = slices.Clone(out.Clusters)
	for _, text := range o.clusters {
		name, server, both := strings.Cut(text, "=")
		if !both && strings.Contains(text, "://") {
			name, server = "", text
		}
		if text == "" || both && (name == "" || server == "") || server != "" && !strings.HasPrefix(server, "https://") || strings.ContainsAny(name, "/ ") {
			return out, usageError("--argocd-cluster %q: write it as NAME, as https://SERVER or as NAME=https://SERVER", text)
		}
		out.Clusters = append(out.Clusters, argocd.ClusterName{Name: name, Server: server})
	}
	return out, nil
}

// parseKind reads GROUP/KIND or GROUP/KIND:cluster.
func parseKind(text string) (gk schema.GroupKind, namespaced bool, err error) {
	name, clusterScoped := strings.CutSuffix(text, ":cluster")
	group, kind, ok := strings.Cut(name, "/")
	if !ok || group == "" || kind == "" || strings.ContainsAny(kind, "/:") {
		return gk, false, usageError("--known-kind %q: write it as GROUP/KIND or GROUP/KIND:cluster", text)
	}
	return schema.GroupKind{Group: group, Kind: kind}, !clusterScoped, nil
}

// knownKind answers for an order.
func (o *stateFlags) knownKind(gvk schema.GroupVersionKind) (namespaced, known bool) {
	namespaced, known = o.known[gvk.GroupKind()]
	return namespaced, known
}

// readSeeds reads a file of Secrets and ConfigMaps. Errors quote nothing of it: a parser's
// own words could hold a value.
func readSeeds(file string) ([]expand.Seed, error) {
	text, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	var seeds []expand.Seed
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return seeds, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d cannot be read", n)
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		seed, err := parseSeed(document)
		if err != nil {
			return nil, fmt.Errorf("document %d %w", n, err)
		}
		seeds = append(seeds, seed)
	}
}

func parseSeed(document []byte) (expand.Seed, error) {
	var what metav1.PartialObjectMetadata
	if yaml.Unmarshal(document, &what) != nil || what.APIVersion != "v1" || what.Kind != "Secret" && what.Kind != "ConfigMap" {
		return expand.Seed{}, errors.New("is neither a Secret nor a ConfigMap")
	}
	seed := expand.Seed{
		Kind: what.Kind, Namespace: what.Namespace, Name: what.Name, Labels: what.Labels, Annotations: what.Annotations, Data: map[string][]byte{},
	}
	if what.Name == "" || what.Namespace == "" {
		return seed, errors.New("has no name or no namespace")
	}
	if what.Kind == "Secret" {
		var secret corev1.Secret
		if yaml.Unmarshal(document, &secret) != nil {
			return seed, errors.New("is no Secret: is its data in base64?")
		}
		maps.Copy(seed.Data, secret.Data)
		for key, value := range secret.StringData {
			seed.Data[key] = []byte(value)
		}
		return seed, nil
	}
	var plain corev1.ConfigMap
	if yaml.Unmarshal(document, &plain) != nil {
		return seed, errors.New("is no ConfigMap")
	}
	for key, value := range plain.Data {
		seed.Data[key] = []byte(value)
	}
	maps.Copy(seed.Data, plain.BinaryData)
	return seed, nil
}
