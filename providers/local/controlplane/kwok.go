package controlplane

import (
	"bytes"
	_ "embed"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

//go:embed kwok.yaml
var kwokOptions string

// kwokConfig is the configuration of kwok: our options and the stage for load
// balancers, and the stages that come with kwok for nodes and pods.
func kwokConfig() []byte {
	var b bytes.Buffer
	for i, document := range []string{
		kwokOptions,
		nodefast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete,
	} {
		if i > 0 {
			b.WriteString("\n---\n")
		}
		b.WriteString(document)
	}
	return b.Bytes()
}
