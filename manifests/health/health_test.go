package health_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/refloat-dev/refloat/manifests/health"
)

// live reads an object as a client would decode it, with whole numbers as int64.
func live(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := utilyaml.ToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return u
}

type sample struct {
	object  string
	env     health.Environment
	status  health.Status
	message string
}

func check(t *testing.T, samples map[string]sample) {
	t.Helper()
	for name, s := range samples {
		t.Run(name, func(t *testing.T) {
			got := health.Assess(live(t, s.object), s.env)
			if diff := cmp.Diff(health.Assessment{Status: s.status, Message: s.message}, got); diff != "" {
				t.Errorf("assessment (-want +got):\n%s", diff)
			}
		})
	}
}

var simulated = health.Environment{Simulated: true, StatusSubresource: func(schema.GroupVersionKind) bool { return true }}

func head(apiVersion, kind string) string {
	return "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: x, namespace: shop, generation: 2}\n"
}

func TestMissing(t *testing.T) {
	for name, u := range map[string]*unstructured.Unstructured{"nil": nil, "empty": {}} {
		if got := health.Assess(u, health.Environment{}); got.Status != health.Missing {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEveryKind(t *testing.T) {
	check(t, map[string]sample{
		"a plain object": {object: head("v1", "ConfigMap"), status: health.Healthy},
		"being deleted": {
			object: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, deletionTimestamp: '2026-11-23T10:00:00Z', finalizers: [a.example.com/f]}",
			status: health.Progressing, message: "it is being deleted, held by a.example.com/f",
		},
		"the controller lags": {
			object: head("apps/v1", "Deployment") + "spec: {paused: true}\nstatus: {observedGeneration: 1}",
			status: health.Progressing, message: "its controller has seen generation 1, not yet 2",
		},
		"a long message is cut": {
			object: head("example.com/v1", "Widget") + "status: {conditions: [{type: Stalled, status: 'True', message: " + strings.Repeat("x", 600) + "}]}",
			status: health.Failed, message: strings.Repeat("x", 512) + "…",
		},
	})
}

func TestWorkloads(t *testing.T) {
	d, s := head("apps/v1", "Deployment"), head("apps/v1", "StatefulSet")
	check(t, map[string]sample{
		"deployment, ready": {
			object: d + `spec: {replicas: 2, progressDeadlineSeconds: 600}
status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, conditions: [
  {type: Available, status: 'True', reason: MinimumReplicasAvailable}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}`,
			status: health.Healthy,
		},
		"deployment, not seen yet": {object: d + "spec: {replicas: 1}", status: health.Progressing, message: "Replicas: 0/1"},
		"deployment, refused by a quota": {
			object: d + `spec: {replicas: 1, progressDeadlineSeconds: 600}
status: {observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', reason: FailedCreate, message: 'exceeded quota: compute'}]}`,
			status: health.Progressing, message: "Replicas: 0/1; FailedCreate: exceeded quota: compute",
		},
		"deployment, out of time": {
			object: d + `spec: {replicas: 1}
status: {observedGeneration: 2, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: 'ReplicaSet "x-1" has timed out progressing.'}]}`,
			status: health.Progressing, message: `ProgressDeadlineExceeded: ReplicaSet "x-1" has timed out progressing.`,
		},
		"deployment, paused": {
			object: d + "spec: {paused: true}\nstatus: {observedGeneration: 2}",
			status: health.Healthy, message: "paused, so nothing is rolled out",
		},
		"stateful set, ready": {
			object: s + "spec: {replicas: 1}\nstatus: {observedGeneration: 2, replicas: 1, readyReplicas: 1, currentReplicas: 1, updatedReplicas: 1, currentRevision: a, updateRevision: a}",
			status: health.Healthy,
		},
		"stateful set, starting": {object: s + "spec: {replicas: 3}\nstatus: {replicas: 1, readyReplicas: 1}", status: health.Progressing, message: "Replicas: 1/3"},
		"stateful set updated on delete, not ready": {
			object: s + "spec: {replicas: 2, updateStrategy: {type: OnDelete}}\nstatus: {replicas: 2, readyReplicas: 1}",
			status: health.Progressing, message: "Ready: 1/2",
		},
		"daemon set, ready": {
			object: head("apps/v1", "DaemonSet") + "status: {observedGeneration: 2, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}",
			status: health.Healthy,
		},
		"daemon set, not seen yet":         {object: head("apps/v1", "DaemonSet"), status: health.Progressing, message: "DaemonSet status.observedGeneration not found"},
		"replication controller, starting": {object: head("v1", "ReplicationController") + "spec: {replicas: 1}", status: health.Progressing, message: "Ready: 0/1"},
	})
}

func TestJobs(t *testing.T) {
	j := head("batch/v1", "Job")
	check(t, map[string]sample{
		"complete": {object: j + "status: {succeeded: 1, conditions: [{type: Complete, status: 'True'}]}", status: health.Healthy},
		"started is not complete": {
			object: j + "spec: {completions: 3}\nstatus: {startTime: '2026-11-23T10:00:00Z', active: 1, succeeded: 1, failed: 1}",
			status: health.Progressing, message: "1 of 3 completions, 1 active, 1 failed",
		},
		"not started": {object: j, status: health.Progressing, message: "the Job has not started"},
		"failed": {
			object: j + "status: {failed: 7, conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit}]}",
			status: health.Failed, message: "the Job failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
		},
		"about to fail": {
			object: j + "status: {conditions: [{type: FailureTarget, status: 'True', reason: DeadlineExceeded}]}",
			status: health.Failed, message: "the Job failed: DeadlineExceeded",
		},
		"suspended":          {object: j + "spec: {suspend: true}", status: health.Healthy, message: "suspended, so it does not run"},
		"cron job":           {object: head("batch/v1", "CronJob"), status: health.Healthy},
		"suspended cron job": {object: head("batch/v1", "CronJob") + "spec: {suspend: true}", status: health.Healthy, message: "suspended, so it does not run"},
	})
}

func TestPods(t *testing.T) {
	p := head("v1", "Pod")
	check(t, map[string]sample{
		"ready":     {object: p + "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}", status: health.Healthy},
		"succeeded": {object: p + "status: {phase: Succeeded}", status: health.Healthy},
		"failed": {
			object: p + "status: {phase: Failed, containerStatuses: [{name: m, state: {terminated: {exitCode: 3, reason: Error}}}]}",
			status: health.Failed, message: "the pod failed: container m ended with exit code 3: Error",
		},
		"evicted": {
			object: p + "status: {phase: Failed, reason: Evicted, message: The node was low on memory.}",
			status: health.Failed, message: "the pod failed: Evicted, The node was low on memory.",
		},
		"crashing may yet recover": {
			object: p + "status: {phase: Running, containerStatuses: [{name: m, state: {waiting: {reason: CrashLoopBackOff, message: back-off 10s}}, lastState: {terminated: {exitCode: 1}}}]}",
			status: health.Progressing, message: "container m waits: CrashLoopBackOff: back-off 10s, last exit code 1",
		},
		"an image that is not there yet": {
			object: p + "status: {phase: Pending, initContainerStatuses: [{name: i, state: {waiting: {reason: ImagePullBackOff}}}]}",
			status: health.Progressing, message: "container i waits: ImagePullBackOff",
		},
		"an image name that cannot be": {
			object: p + "status: {phase: Pending, containerStatuses: [{name: m, state: {waiting: {reason: InvalidImageName, message: bad}}}]}",
			status: health.Failed, message: "container m waits: InvalidImageName: bad",
		},
		"unschedulable": {
			object: p + "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/1 nodes are available}]}",
			status: health.Progressing, message: "not scheduled: Unschedulable: 0/1 nodes are available",
		},
		"new": {object: p, status: health.Progressing, message: "the pod is not seen by a scheduler yet, not ready"},
	})
}

func TestStorageAndNetwork(t *testing.T) {
	c, lb := head("v1", "PersistentVolumeClaim"), head("v1", "Service")
	waits := health.Environment{WaitsForConsumer: func(class string) bool { return class == "late" }}
	check(t, map[string]sample{
		"claim, bound":   {object: c + "status: {phase: Bound}", status: health.Healthy},
		"claim, lost":    {object: c + "spec: {volumeName: v}\nstatus: {phase: Lost}", status: health.Failed, message: `the claim lost its volume "v"`},
		"claim, pending": {object: c + "status: {phase: Pending}", status: health.Progressing, message: "the claim is Pending, not Bound"},
		"claim that waits for its consumer": {
			object: c + "spec: {storageClassName: late}\nstatus: {phase: Pending}", env: waits,
			status: health.Healthy, message: "not bound: its StorageClass waits for the first pod that uses it",
		},
		"claim that waits for its consumer, its class in an annotation": {
			object: "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x, annotations: {volume.beta.kubernetes.io/storage-class: late}}\nstatus: {phase: Pending}",
			env:    waits, status: health.Healthy, message: "not bound: its StorageClass waits for the first pod that uses it",
		},
		"claim of a class that binds at once": {
			object: c + "spec: {storageClassName: soon}\nstatus: {phase: Pending}", env: waits,
			status: health.Progressing, message: "the claim is Pending, not Bound",
		},
		"claim whose consumer is placed": {
			object: "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x, annotations: {volume.kubernetes.io/selected-node: n1}}\nspec: {storageClassName: late}\nstatus: {phase: Pending}",
			env:    waits, status: health.Progressing, message: "the claim is Pending: its volume is being provisioned for node n1",
		},
		"volume, available": {object: head("v1", "PersistentVolume") + "status: {phase: Available}", status: health.Healthy},
		"volume, failed": {
			object: head("v1", "PersistentVolume") + "status: {phase: Failed, message: no such disk}",
			status: health.Failed, message: "the volume failed: no such disk",
		},
		"service inside the cluster":    {object: lb + "spec: {type: ClusterIP}", status: health.Healthy},
		"load balancer without address": {object: lb + "spec: {type: LoadBalancer, clusterIP: 10.0.0.1}", status: health.Progressing, message: "the load balancer has no address yet"},
		"load balancer with address":    {object: lb + "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}", status: health.Healthy},
		"ingress without address": {
			object: head("networking.k8s.io/v1", "Ingress"), status: health.Healthy, message: "no controller has published an address for it",
		},
		"autoscaler without metrics": {
			object: head("autoscaling/v2", "HorizontalPodAutoscaler") + "status: {conditions: [{type: ScalingActive, status: 'False', reason: FailedGetResourceMetric, message: no metrics}]}",
			status: health.Healthy, message: "it does not scale yet: FailedGetResourceMetric: no metrics",
		},
		"namespace":             {object: head("v1", "Namespace") + "status: {phase: Active}", status: health.Healthy},
		"namespace terminating": {object: head("v1", "Namespace") + "status: {phase: Terminating}", status: health.Progressing, message: `the namespace is "Terminating", not Active`},
	})
}
