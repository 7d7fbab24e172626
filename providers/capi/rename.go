package capi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// maxName is the longest name that an object gets from Rename; Cluster API copies
// names into labels, which hold 63 bytes.
const maxName = 63

// Rename returns the manifests of a throw-away cluster: the Cluster is called
// newName, and no object shares its name with one of the original set, so that
// nothing live is touched. Objects whose name starts with the Cluster's keep their
// ending; all others get one. Names that already hold newName, because the manifests
// use ${CLUSTER_NAME}, stay. References between objects of the set follow; those to
// objects outside (a shared ClusterClass, an identity) stay.
//
// A fixed control plane endpoint would point at the live cluster, so it is dropped
// and said in Notes.
func (m *Manifests) Rename(newName string) *Manifests {
	r := renamer{oldName: m.Name, newName: newName, namespace: m.Namespace, names: map[objectKey]string{}}
	for _, src := range m.Sources() {
		r.names[keyOf(src.Object)] = r.nameFor(src.Object)
	}
	out := &Manifests{Name: newName, Namespace: m.Namespace, Notes: append([]string(nil), m.Notes...)}
	out.cluster = r.object(m.cluster)
	for _, src := range m.others {
		out.others = append(out.others, r.object(src))
	}
	out.Notes = append(out.Notes, r.notes...)
	return out
}

type renamer struct {
	oldName, newName string
	// namespace of the set; a reference into another one leaves the set.
	namespace string
	names     map[objectKey]string
	notes     []string
}

func (r *renamer) nameFor(u *unstructured.Unstructured) string {
	name := u.GetName()
	switch {
	case isCluster(u):
		return r.newName
	case name == r.newName || strings.HasPrefix(name, r.newName+"-"):
		return name
	case name == r.oldName:
		return r.newName
	case strings.HasPrefix(name, r.oldName+"-"):
		return bounded(r.newName + name[len(r.oldName):])
	}
	sum := sha256.Sum256([]byte(r.newName))
	return bounded(name + "-" + hex.EncodeToString(sum[:4]))
}

// bounded shortens a name to maxName, keeping it unique by a hash of the whole.
func bounded(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:maxName-9], "-.") + "-" + hex.EncodeToString(sum[:4])
}

func (r *renamer) object(src Source) Source {
	u := src.Object.DeepCopy()
	u.SetName(r.names[keyOf(src.Object)])
	r.dropEndpoint(u, src)
	for field, value := range u.Object {
		switch field {
		case "metadata":
			r.labels(u)
		case "apiVersion", "kind", "data", "stringData", "binaryData":
		default:
			u.Object[field] = r.value(field, value)
		}
	}
	return Source{Object: u, From: src.From}
}

// dropEndpoint removes spec.controlPlaneEndpoint, unless it was derived from the new name.
func (r *renamer) dropEndpoint(u *unstructured.Unstructured, src Source) {
	if !inClusterAPI(u.GroupVersionKind().Group) {
		return
	}
	host, found, err := unstructured.NestedString(u.Object, "spec", "controlPlaneEndpoint", "host")
	if err != nil || !found || host == "" || strings.Contains(host, r.newName) {
		return
	}
	unstructured.RemoveNestedField(u.Object, "spec", "controlPlaneEndpoint")
	r.notes = append(r.notes, fmt.Sprintf("%s: %s %s: spec.controlPlaneEndpoint %s was dropped for the drill, as it is the live cluster's; use ${CLUSTER_NAME} in it if the provider needs one",
		src.From, u.GetKind(), src.Object.GetName(), host))
}

func (r *renamer) labels(u *unstructured.Unstructured) {
	labels := u.GetLabels()
	for key, value := range labels {
		labels[key] = r.scalar(key, value)
	}
	if labels != nil {
		u.SetLabels(labels)
	}
	annotations := u.GetAnnotations()
	for key, value := range annotations {
		annotations[key] = r.scalar(key, value)
	}
	if annotations != nil {
		u.SetAnnotations(annotations)
	}
}

// value rewrites what lies below a field of the given name.
func (r *renamer) value(field string, in any) any {
	switch v := in.(type) {
	case map[string]any:
		r.reference(field, v)
		for key, child := range v {
			v[key] = r.value(key, child)
		}
		return v
	case []any:
		for i := range v {
			v[i] = r.value(field, v[i])
		}
		return v
	case string:
		return r.scalar(field, v)
	}
	return in
}

// reference rewrites the name of a map that refers to an object: one with kind and
// name, or one whose field says what it names.
func (r *renamer) reference(field string, ref map[string]any) {
	name, ok := ref["name"].(string)
	if !ok {
		return
	}
	if ns, ok := ref["namespace"].(string); ok && ns != "" && ns != r.namespace {
		return
	}
	kind, _ := ref["kind"].(string)
	if kind == "" {
		kind = kindOfField(field)
	}
	if kind == "" {
		return
	}
	group, known := groupOf(ref)
	for key, renamed := range r.names {
		if key.Kind == kind && key.Name == name && (!known || key.Group == group) {
			ref["name"] = renamed
			return
		}
	}
}

func groupOf(ref map[string]any) (string, bool) {
	if group, ok := ref["apiGroup"].(string); ok {
		return group, true
	}
	if version, ok := ref["apiVersion"].(string); ok {
		group, _, found := strings.Cut(version, "/")
		if !found {
			group = ""
		}
		return group, true
	}
	return "", false
}

// kindOfField tells which kind a reference without kind means.
func kindOfField(field string) string {
	lower := strings.ToLower(field)
	switch {
	case field == "classRef":
		return "ClusterClass"
	case strings.Contains(lower, "secret"):
		return "Secret"
	case strings.Contains(lower, "configmap"):
		return "ConfigMap"
	}
	return ""
}

// labelKinds are the well-known keys whose value is the name of an object.
var labelKinds = map[string]string{
	clusterv1.ClusterNameLabel:           "Cluster",
	clusterv1.MachineDeploymentNameLabel: "MachineDeployment",
	clusterv1.MachineSetNameLabel:        "MachineSet",
	clusterv1.MachinePoolNameLabel:       "MachinePool",
	"clusterName":                        "Cluster",
	"secretName":                         "Secret",
	"dataSecretName":                     "Secret",
	"configMapName":                      "ConfigMap",
}

// scalar rewrites a string that is the name of an object by the meaning of its key.
func (r *renamer) scalar(key, value string) string {
	kind := labelKinds[key]
	switch {
	case key == clusterv1.MachineControlPlaneNameLabel:
		for named, renamed := range r.names {
			if strings.HasSuffix(named.Kind, "ControlPlane") && named.Name == value {
				return renamed
			}
		}
		return value
	case kind == "Cluster":
		if value == r.oldName {
			return r.newName
		}
		return value
	case kind == "":
		if !strings.HasSuffix(key, "SecretName") {
			return value
		}
		kind = "Secret"
	}
	for named, renamed := range r.names {
		if named.Kind == kind && named.Name == value {
			return renamed
		}
	}
	return value
}
