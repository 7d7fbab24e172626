package loss_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// broken marks an object whose literal cannot be read.
const broken = "broken"

// thing from "group/version Kind namespace/name" and YAML.
func thing(object string, details ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	f := strings.Fields(object)
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetAPIVersion(f[0])
	u.SetKind(f[1])
	namespace, name, found := strings.Cut(f[2], "/")
	if !found {
		namespace, name = "", f[2]
	}
	u.SetNamespace(namespace)
	u.SetName(name)
	u.Object["metadata"].(map[string]any)["uid"] = "uid-of-" + object
	u.Object["metadata"].(map[string]any)["creationTimestamp"] = yesterday
	for _, d := range details {
		d(u)
	}
	return u
}

// by adds an entry to the record of ownership.
func by(manager, fields string) func(*unstructured.Unstructured) {
	return byAt(manager, "Update", yesterday, fields)
}

func byAt(manager, operation, at, fields string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		var raw map[string]any
		if err := json.Unmarshal([]byte(fields), &raw); err != nil {
			u.Object[broken] = err.Error()
			return
		}
		meta := u.Object["metadata"].(map[string]any)
		entries, _ := meta["managedFields"].([]any)
		meta["managedFields"] = append(entries, map[string]any{
			"manager": manager, "operation": operation, "time": at, "apiVersion": u.GetAPIVersion(), "fieldsType": "FieldsV1", "fieldsV1": raw,
		})
	}
}

const someData = `{"f:data":{"f:a":{}}}`

func content(text string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		var more map[string]any
		if err := yaml.Unmarshal([]byte(text), &more); err != nil {
			u.Object[broken] = err.Error()
			return
		}
		merge(u.Object, more)
	}
}

func merge(into, from map[string]any) {
	for k, v := range from {
		below, isMap := v.(map[string]any)
		if have, ok := into[k].(map[string]any); ok && isMap {
			merge(have, below)
			continue
		}
		into[k] = integers(v)
	}
}

// integers are what a server's answer holds where YAML has numbers.
func integers(v any) any {
	switch x := v.(type) {
	case float64:
		return int64(x)
	case map[string]any:
		for k := range x {
			x[k] = integers(x[k])
		}
	case []any:
		for i := range x {
			x[i] = integers(x[i])
		}
	}
	return v
}

func kubectl(u *unstructured.Unstructured) { by("kubectl-create", someData)(u) }

func label(key, value string) func(*unstructured.Unstructured) {
	return content(fmt.Sprintf("metadata: {labels: {%q: %q}}", key, value))
}

func annotation(key, value string) func(*unstructured.Unstructured) {
	return content(fmt.Sprintf("metadata: {annotations: {%q: %q}}", key, value))
}

func owner(kind string, controller bool) func(*unstructured.Unstructured) {
	return content(fmt.Sprintf("metadata: {ownerReferences: [{apiVersion: apps/v1, kind: %s, name: web, uid: u, controller: %t}]}", kind, controller))
}

// claim that is bound, and the volume behind it, as YAML of its spec.
func bound(u *unstructured.Unstructured) {
	content("spec: {volumeName: pv-" + u.GetName() + "}\nstatus: {phase: Bound}")(u)
}

func volumeOf(claim, spec string, details ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	namespace, name, _ := strings.Cut(claim, "/")
	u := thing("v1 PersistentVolume pv-"+namespace+"-"+name, append([]func(*unstructured.Unstructured){
		by("kube-controller-manager", `{"f:spec":{"f:claimRef":{}}}`), annotation("pv.kubernetes.io/provisioned-by", "csi.example.com"),
		content("spec: " + spec), content(fmt.Sprintf("spec: {capacity: {storage: 1Gi}, claimRef: {namespace: %s, name: %s}}\nstatus: {phase: Bound}", namespace, name)),
	}, details...)...)
	return u
}

const (
	deleted  = "{persistentVolumeReclaimPolicy: Delete, csi: {driver: csi.example.com, volumeHandle: vol-1}}"
	retained = "{persistentVolumeReclaimPolicy: Retain, csi: {driver: csi.example.com, volumeHandle: vol-2}}"
	onNode   = "{persistentVolumeReclaimPolicy: Retain, hostPath: {path: /data}}"
	longhorn = "{persistentVolumeReclaimPolicy: Retain, csi: {driver: driver.longhorn.io, volumeHandle: vol-3}}"
	pvc      = "v1 PersistentVolumeClaim "
	rbac     = "rbac.authorization.k8s.io/v1 "
	velero   = "velero.io/v1 "
	snap     = "snapshot.storage.k8s.io/v1 "
)
