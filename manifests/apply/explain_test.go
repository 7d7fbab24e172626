package apply

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestTroubleOfPods(t *testing.T) {
	const canary = "hunter2"
	waiting := func(more string) string {
		return "status: {phase: Pending, containerStatuses: [{name: main, state: {waiting: {" + more + "}}, lastState: {terminated: {exitCode: 3, message: " + canary + "}}}]}"
	}
	tests := map[string]struct {
		pod      string
		why      string
		terminal bool
		ready    bool
	}{
		"ready":     {pod: "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}", ready: true},
		"succeeded": {pod: "status: {phase: Succeeded}", ready: true},
		"starting":  {pod: waiting("reason: ContainerCreating")},
		"crashes": {pod: waiting("reason: CrashLoopBackOff, message: back-off 5m0s"),
			why: "container main waits: CrashLoopBackOff: back-off 5m0s, last exit code 3"},
		"image": {pod: waiting("reason: ImagePullBackOff, message: no such host"), why: "container main waits: ImagePullBackOff: no such host, last exit code 3"},
		"image name": {pod: waiting("reason: InvalidImageName"), terminal: true,
			why: "container main waits: InvalidImageName, last exit code 3"},
		// An operator that still starts may be about to make it.
		"key missing": {pod: waiting("reason: CreateContainerConfigError, message: no key"),
			why: "container main waits: CreateContainerConfigError: no key, last exit code 3"},
		"ended": {pod: "status: {phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 1, message: " + canary + "}}}]}",
			why: "container main ended with exit code 1"},
		"not scheduled": {pod: "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', message: 0/1 nodes}]}", why: "0/1 nodes"},
		"malformed":     {pod: "status: {containerStatuses: [1, {state: x}], conditions: [3]}"},
	}
	for name, tt := range tests {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte("metadata: {name: p, uid: u}\n"+tt.pod), &u.Object); err != nil {
			t.Fatal(err)
		}
		got := troubleOf(u)
		if (got == nil) != tt.ready {
			t.Errorf("%s: trouble %+v, ready %t", name, got, tt.ready)
			continue
		}
		if got != nil && (got.why != tt.why || got.terminal != tt.terminal || strings.Contains(got.why, canary)) {
			t.Errorf("%s: %q terminal %t, want %q terminal %t", name, got.why, got.terminal, tt.why, tt.terminal)
		}
	}
}
