package loss_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/loss"
	"github.com/refloat-dev/refloat/manifests/verify"
)

// now is when the corpus is judged; yesterday most of it was made.
var now = time.Date(2026, 6, 2, 12, 0, 0, 0, time.UTC)

const (
	yesterday = "2026-06-01T12:00:00Z"
	recently  = "2026-06-02T11:00:00Z"
)

// situation is one live object, or what else decides about it, and what it is.
type situation struct {
	name string
	live *unstructured.Unstructured
	// want is the class of the object, data that of its volume; data is empty for what is
	// no volume.
	want, data loss.Class
	what       loss.What // Object unless set
}

func it(name, object string, want loss.Class, details ...func(*unstructured.Unstructured)) situation {
	u := thing(object, details...)
	return situation{name: name, live: u, want: want}
}

// changed is an object that comes back without what people put into it.
func changed(name, object string, details ...func(*unstructured.Unstructured)) situation {
	s := it(name, object, loss.Lost, details...)
	s.what = loss.Fields
	return s
}

func (s situation) holding(data loss.Class) situation {
	s.data = data
	return s
}

// corpus holds what is met on live clusters, each next to what only looks like it.
var corpus = []situation{
	it("made by hand", "v1 ConfigMap shop/mine", loss.Lost, kubectl),
	it("without any record", "v1 ConfigMap shop/unknown", loss.Lost),
	it("made by an operator without owner", "v1 Secret shop/operator-key", loss.Lost, by("manager", someData)),
	it("made in kube-system", "v1 ConfigMap kube-system/mine", loss.Lost, kubectl),
	it("namespace by hand", "v1 Namespace mine", loss.Lost, by("kubectl-create", `{"f:metadata":{"f:labels":{}}}`)),
	it("what every namespace has, in it", "v1 ServiceAccount mine/default", loss.Kubernetes),
	it("the authority, in it", "v1 ConfigMap mine/kube-root-ca.crt", loss.Kubernetes, by("kube-controller-manager", someData)),
	it("definition by hand", "apiextensions.k8s.io/v1 CustomResourceDefinition widgets.example.com", loss.Lost, by("kubectl-client-side-apply", `{"f:spec":{}}`)),
	it("instance by hand", "example.com/v1 Widget shop/mine", loss.Lost, by("kubectl", `{"f:spec":{"f:size":{}}}`)),
	it("role by hand", rbac+"ClusterRole admins", loss.Lost, by("kubectl-create", `{"f:rules":{}}`)),
	it("binding in the system's name", rbac+"ClusterRoleBinding system:mine", loss.Kubernetes, by("kubectl-create", `{"f:subjects":{}}`)),
	it("pod by hand", "v1 Pod shop/debug", loss.Lost, by("kubectl-run", `{"f:spec":{"f:containers":{}}}`)),
	it("release of Helm by hand", "apps/v1 Deployment shop/by-helm", loss.Lost, by("helm", `{"f:spec":{"f:replicas":{}}}`)),
	it("record of that release", "v1 Secret shop/sh.helm.release.v1.x.v1", loss.Derived, by("helm", someData), label("owner", "helm")),
	it("job by hand", "batch/v1 Job shop/once", loss.Lost, by("kubectl-create", `{"f:spec":{"f:template":{}}}`)),
	it("job of a CronJob started by hand", "batch/v1 Job shop/now", loss.Derived, by("kubectl-create", `{"f:spec":{"f:template":{}}}`), owner("CronJob", true)),
	it("being deleted", "v1 ConfigMap shop/going", loss.Derived, kubectl, content(`metadata: {deletionTimestamp: "2026-06-02T11:59:00Z", finalizers: [x.example.com/y]}`)),

	it("in Git", "v1 ConfigMap shop/in-git", loss.InGit, byAt("refloat", "Apply", yesterday, someData)),
	it("in Git, applied by Flux", "apps/v1 Deployment shop/web", loss.InGit, byAt("kustomize-controller", "Apply", yesterday, `{"f:spec":{}}`)),
	it("taken out of Git", "v1 ConfigMap shop/removed", loss.InGit, byAt("refloat", "Apply", yesterday, someData)),
	it("taken out of Git, by Flux", "v1 ConfigMap shop/removed-by-flux", loss.InGit, byAt("kustomize-controller", "Apply", yesterday, someData)),
	it("taken out of Git and drained", "apps/v1 Deployment shop/drained", loss.InGit, byAt("refloat", "Apply", yesterday, `{"f:spec":{}}`), by("refloat-drain", `{"f:spec":{"f:replicas":{}}}`)),
	it("a seed of an earlier plan without its label", "v1 Secret shop/old-seed", loss.Lost, byAt("refloat-seeds", "Apply", yesterday, someData)),
	it("taken out of Git and edited since", "v1 ConfigMap shop/kept", loss.Lost, byAt("refloat", "Apply", yesterday, someData), by("kubectl-edit", `{"f:data":{"f:b":{}}}`)),
	it("updated under our name, not applied", "v1 ConfigMap shop/forged", loss.Lost, by("refloat", someData)),

	it("pod of a workload", "v1 Pod shop/web-x", loss.Derived, by("kube-controller-manager", `{"f:spec":{}}`), owner("ReplicaSet", true)),
	it("pod of a workload, labelled by hand", "v1 Pod shop/web-y", loss.Derived, by("kube-controller-manager", `{"f:spec":{}}`), by("kubectl-label", `{"f:metadata":{"f:labels":{"f:a":{}}}}`), owner("ReplicaSet", true)),
	it("made by hand and tied to an owner", "v1 ConfigMap shop/tied", loss.Lost, kubectl, owner("Deployment", false)),
	it("made by a controller and tied to an owner", "v1 Secret shop/tied-too", loss.Derived, by("manager", someData), owner("Deployment", false)),
	changed("made by a controller, edited by hand", "v1 ConfigMap shop/tuned", by("manager", someData), by("kubectl-edit", `{"f:data":{"f:b":{}}}`), owner("Deployment", true)),
	it("endpoints of a service", "v1 Endpoints shop/web-svc", loss.Derived, by("kube-controller-manager", `{"f:subsets":{}}`)),
	it("endpoints by hand", "v1 Endpoints shop/outside", loss.Lost, by("kubectl-create", `{"f:subsets":{}}`)),
	it("service by hand", "v1 Service shop/web-svc", loss.Lost, by("kubectl-expose", `{"f:spec":{"f:ports":{}}}`)),
	it("token of an account", "v1 Secret shop/token", loss.Derived, by("kube-controller-manager", someData), annotation("kubernetes.io/service-account.name", "robot")),
	it("account by hand", "v1 ServiceAccount shop/robot", loss.Lost, by("kubectl-create", `{"f:metadata":{}}`)),
	it("certificate by hand", "cert-manager.io/v1 Certificate shop/web", loss.Lost, by("kubectl", `{"f:spec":{}}`)),
	it("its secret", "v1 Secret shop/tls", loss.Derived, by("cert-manager", someData), annotation("cert-manager.io/certificate-name", "web")),

	it("seed of the plan", "v1 Secret shop/seed", loss.InGit, byAt("refloat", "Apply", yesterday, someData), label("refloat.dev/seed", "true")),
	it("only labelled as a seed", "v1 Secret shop/no-seed", loss.Lost, kubectl, label("refloat.dev/seed", "true")),
	changed("seed changed by hand", "v1 Secret shop/seed-2", byAt("refloat", "Apply", yesterday, someData), by("kubectl-patch", `{"f:data":{"f:b":{}}}`), label("refloat.dev/seed", "true")),

	it("node", "v1 Node n1", loss.Kubernetes, by("kubelet", `{"f:status":{}}`)),
	it("cordoned node", "v1 Node n2", loss.Kubernetes, by("kubectl-cordon", `{"f:spec":{"f:unschedulable":{}}}`)),
	it("kube-system", "v1 Namespace kube-system", loss.Kubernetes, by("kube-apiserver", `{"f:metadata":{}}`)),
	changed("namespace of Kubernetes labelled by hand", "v1 Namespace kube-public", by("kubectl-label", `{"f:metadata":{"f:labels":{"f:a":{}}}}`)),
	changed("default account with a pull secret", "v1 ServiceAccount shop/default", by("kubectl-patch", `{"f:imagePullSecrets":{"k:{\"name\":\"r\"}":{}}}`)),
	changed("default account changed, which nobody records", "v1 ServiceAccount saved/default", content("imagePullSecrets: [{name: r}]")),
	it("DNS as installed", "v1 ConfigMap kube-system/coredns", loss.Kubernetes, by("kubectl-client-side-apply", someData)),
	changed("DNS edited by hand", "apps/v1 Deployment kube-system/coredns", by("kubeadm", `{"f:spec":{}}`), by("kubectl-edit", `{"f:spec":{"f:replicas":{}}}`)),
	it("DNS restarted by hand", "apps/v1 DaemonSet kube-system/kube-proxy", loss.Kubernetes, by("kubectl-rollout", `{"f:spec":{"f:template":{"f:metadata":{"f:annotations":{"f:kubectl.kubernetes.io/restartedAt":{}}}}}}`)),

	it("declared disposable", "v1 ConfigMap shop/scratch", loss.Disposable, kubectl, annotation("refloat.dev/disposable", "only a try")),
	it("declared without a reason", "v1 ConfigMap shop/scratch-2", loss.Lost, kubectl, annotation("refloat.dev/disposable", " ")),
	it("a disposable namespace", "v1 Namespace preview", loss.Disposable, kubectl, annotation("refloat.dev/disposable", "a preview")),
	it("in a disposable namespace", "v1 Secret preview/any", loss.Disposable, kubectl),

	it("in a fresh backup", "v1 ConfigMap saved/mine", loss.Covered, kubectl),
	it("in a fresh backup, changed since", "v1 ConfigMap saved/newer", loss.Lost, byAt("kubectl-edit", "Update", recently, someData)),
	it("kept out of the backup", "v1 ConfigMap saved/left-out", loss.Lost, kubectl, label("velero.io/exclude-from-backup", "true")),
	it("any other kind in the backup", "example.com/v1 Widget saved/x", loss.Covered, kubectl),
	it("in a backup that failed", "v1 ConfigMap half/mine", loss.Lost, kubectl),
	it("in a stale backup", "v1 ConfigMap stale/mine", loss.Lost, kubectl),
	it("in a backup within the cluster", "v1 ConfigMap inside/mine", loss.Lost, kubectl),
	it("not labelled as the backup wants", "v1 ConfigMap chosen/mine", loss.Lost, kubectl),
	it("labelled as the backup wants", "v1 ConfigMap chosen/yours", loss.Covered, kubectl, label("backup", "yes")),
	it("record of a backup", velero+"Backup velero/fresh", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		content(`{spec: {storageLocation: s3, includedNamespaces: [saved]}, status: {phase: Completed, startTimestamp: "2026-06-02T10:00:00Z", volumeSnapshotsAttempted: 1, volumeSnapshotsCompleted: 1}}`)),
	it("record of a failed backup", velero+"Backup velero/half", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		content(`{spec: {storageLocation: s3, includedNamespaces: [half]}, status: {phase: PartiallyFailed, startTimestamp: "2026-06-02T10:00:00Z"}}`)),
	it("record of a stale backup", velero+"Backup velero/stale", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		content(`{spec: {storageLocation: s3, includedNamespaces: [stale]}, status: {phase: Completed, startTimestamp: "2026-06-01T13:00:00Z"}}`)),
	it("record of a backup within", velero+"Backup velero/inside", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		content(`{spec: {storageLocation: minio, includedNamespaces: [inside]}, status: {phase: Completed, startTimestamp: "2026-06-02T10:00:00Z"}}`)),
	it("record of a backup by label", velero+"Backup velero/chosen", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		content(`{spec: {storageLocation: s3, includedNamespaces: [chosen], labelSelector: {matchLabels: {backup: "yes"}}}, status: {phase: Completed, startTimestamp: "2026-06-02T10:00:00Z"}}`)),
	it("record of a backup of files", velero+"Backup velero/files", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		content(`{spec: {storageLocation: s3, includedNamespaces: [files], snapshotVolumes: false}, status: {phase: Completed, startTimestamp: "2026-06-02T10:00:00Z"}}`)),
	it("schedule by hand", velero+"Schedule velero/nightly", loss.Lost, by("kubectl", `{"f:spec":{}}`)),
	it("location by hand", velero+"BackupStorageLocation velero/s3", loss.Lost, by("kubectl", `{"f:spec":{}}`),
		content(`{spec: {config: {s3Url: "https://s3.example.com"}}, status: {phase: Available}}`)),
	it("location within", velero+"BackupStorageLocation velero/minio", loss.Lost, by("kubectl", `{"f:spec":{}}`),
		content(`{spec: {config: {s3Url: "http://minio.velero.svc:9000"}}, status: {phase: Available}}`)),

	it("claim in Git", pvc+"shop/data", loss.InGit, bound).holding(loss.Lost),
	it("claim by hand", pvc+"shop/own", loss.Lost, bound, by("kubectl-create", `{"f:spec":{}}`)).holding(loss.Lost),
	it("claim of a StatefulSet", pvc+"shop/data-db-0", loss.Derived, bound, by("kube-controller-manager", `{"f:spec":{}}`)).holding(loss.Lost),
	it("claim that is not bound", pvc+"shop/data-db-1", loss.Derived, content("status: {phase: Pending}")),
	it("claim whose volume nobody sees", pvc+"shop/data-db-2", loss.Derived, bound).holding(loss.Lost),
	it("claim with Retain", pvc+"shop/data-db-3", loss.Derived, bound).holding(loss.Retained),
	it("claim with Retain on a node", pvc+"shop/data-db-4", loss.Derived, bound).holding(loss.Lost),
	it("claim with Retain in the cluster's own storage", pvc+"shop/data-db-5", loss.Derived, bound).holding(loss.Lost),
	it("disposable claim", pvc+"shop/data-db-6", loss.Derived, bound, annotation("refloat.dev/disposable", "a cache")).holding(loss.Disposable),
	it("claim of a pod", pvc+"shop/pod-scratch", loss.Derived, bound, by("kube-controller-manager", `{"f:spec":{}}`), content("metadata: {ownerReferences: [{apiVersion: v1, kind: Pod, name: web-x, uid: u, controller: true}]}")).holding(loss.Derived),
	it("claim in a disposable namespace", pvc+"preview/data", loss.Disposable, bound, by("kubectl-create", `{"f:spec":{}}`)).holding(loss.Disposable),
	it("claim with a snapshot", pvc+"shop/data-db-7", loss.Derived, bound).holding(loss.Covered),
	it("claim with a stale snapshot", pvc+"shop/data-db-8", loss.Derived, bound).holding(loss.Lost),
	it("claim with a snapshot that failed", pvc+"shop/data-db-9", loss.Derived, bound).holding(loss.Lost),
	it("claim in a backup with snapshots", pvc+"saved/data", loss.Covered, bound, by("kubectl-create", `{"f:spec":{}}`)).holding(loss.Covered),
	it("claim in a backup of files", pvc+"files/copied", loss.Covered, bound, by("kubectl-create", `{"f:spec":{}}`)).holding(loss.Covered),
	it("claim in a backup, not copied", pvc+"files/skipped", loss.Covered, bound, by("kubectl-create", `{"f:spec":{}}`)).holding(loss.Lost),
	it("record of the copy", velero+"PodVolumeBackup velero/files-1", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		label("velero.io/backup-name", "files"), label("velero.io/pvc-uid", "uid-of-"+pvc+"files/copied"), content("status: {phase: Completed}")),
	it("record of a copy that failed", velero+"PodVolumeBackup velero/files-2", loss.Derived, by("velero-server", `{"f:spec":{}}`),
		label("velero.io/backup-name", "files"), label("velero.io/pvc-uid", "uid-of-"+pvc+"files/skipped"), content("status: {phase: Failed}")),
	it("snapshot by hand", snap+"VolumeSnapshot shop/s7", loss.Lost, by("kubectl", `{"f:spec":{}}`),
		content(`{spec: {source: {persistentVolumeClaimName: data-db-7}}, status: {readyToUse: true, creationTime: "2026-06-02T10:00:00Z", boundVolumeSnapshotContentName: c7}}`)),
	it("its content", snap+"VolumeSnapshotContent c7", loss.Lost, by("kubectl", `{"f:spec":{}}`),
		content(`{spec: {driver: csi.example.com, deletionPolicy: Retain}, status: {snapshotHandle: snap-7}}`)),
	it("stale snapshot by hand", snap+"VolumeSnapshot shop/s8", loss.Lost, by("kubectl", `{"f:spec":{}}`),
		content(`{spec: {source: {persistentVolumeClaimName: data-db-8}}, status: {readyToUse: true, creationTime: "2026-06-01T13:00:00Z", boundVolumeSnapshotContentName: c7}}`)),
	it("failed snapshot by hand", snap+"VolumeSnapshot shop/s9", loss.Lost, by("kubectl", `{"f:spec":{}}`),
		content(`{spec: {source: {persistentVolumeClaimName: data-db-9}}, status: {readyToUse: false}}`)),
	it("volume by hand that nobody used", "v1 PersistentVolume spare", loss.Lost, by("kubectl-create", `{"f:spec":{}}`), content("{spec: "+deleted+", status: {phase: Available}}")),
	it("volume whose claim is gone", "v1 PersistentVolume released", loss.Derived, by("kube-controller-manager", `{"f:spec":{}}`),
		annotation("pv.kubernetes.io/provisioned-by", "csi.example.com"),
		content("{spec: {claimRef: {namespace: shop, name: gone, uid: z}}, status: {phase: Released}}"), content("spec: "+retained)).holding(loss.Retained),
}

// volumes behind the claims of the corpus.
func volumes() []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for claim, spec := range map[string]string{
		"shop/data": deleted, "shop/own": deleted, "shop/data-db-0": deleted, "shop/data-db-3": retained, "shop/data-db-4": onNode,
		"shop/data-db-5": longhorn, "shop/data-db-6": deleted, "shop/pod-scratch": deleted, "preview/data": deleted, "shop/data-db-7": deleted,
		"shop/data-db-8": deleted, "shop/data-db-9": deleted, "saved/data": deleted, "files/copied": deleted, "files/skipped": deleted,
	} {
		out = append(out, volumeOf(claim, spec))
	}
	return out
}

// rendered are the objects of the corpus's repository.
func rendered() []manifests.Object {
	var out []manifests.Object
	for _, o := range []string{"v1 Namespace shop", "v1 ConfigMap shop/in-git", "apps/v1 Deployment shop/web", "apps/v1 StatefulSet shop/db", pvc + "shop/data"} {
		out = append(out, manifests.Object{Unstructured: thing(o)})
	}
	return out
}

func idOf(u *unstructured.Unstructured) manifests.ID { return manifests.IDOf(u) }

// contents of the corpus, classified by package verify as a live cluster's are.
func contents(live []*unstructured.Unstructured) loss.Contents {
	c := loss.Contents{ClusterID: "cluster", Managers: []string{"refloat", "kustomize-controller"}}
	expected := []manifests.ID{{Kind: "Secret", Namespace: "shop", Name: "seed"}, {Kind: "Secret", Namespace: "shop", Name: "seed-2"}}
	verify.Classify(live, rendered(), expected, verify.Inventory{
		Whole: func(schema.GroupKind) bool { return true }, Each: func(l verify.Live) { c.Live = append(c.Live, l) },
	})
	return c
}

// TestCorpus judges every situation at once, as on one cluster: each class is right, and
// of what is lost nothing is missed and nothing is made up.
func TestCorpus(t *testing.T) {
	if len(corpus) < 40 {
		t.Fatalf("the corpus holds %d situations", len(corpus))
	}
	live := volumes()
	for _, s := range corpus {
		live = append(live, s.live)
	}
	for _, u := range live {
		if why, bad := u.Object[broken]; bad {
			t.Fatalf("%s: %v", idOf(u), why)
		}
	}
	p := loss.Judge(contents(live), loss.Rules{Now: now, MaxBackupAge: 12 * time.Hour})
	lost, kept := map[string]loss.Item{}, map[string]loss.Item{}
	for _, i := range p.Lost {
		lost[string(i.What)+" "+i.ID.String()] = i
	}
	for _, i := range p.Volumes {
		kept[i.ID.String()] = i
	}
	for _, s := range corpus {
		id := idOf(s.live).String()
		what := s.what
		if what == "" {
			what = loss.Object
		}
		item, isLost := lost[string(what)+" "+id]
		if isLost != (s.want == loss.Lost) {
			t.Errorf("%s: %s is lost: %t, want %s (%s)", s.name, id, isLost, s.want, item.Reason)
		}
		delete(lost, string(what)+" "+id)
		if s.data == loss.Lost {
			if _, ok := lost["Data "+id]; !ok {
				t.Errorf("%s: the data of %s is not lost: %+v", s.name, id, kept[id])
			}
			delete(lost, "Data "+id)
		} else if kept[id].Class != s.data {
			t.Errorf("%s: the data of %s is %s, want %s (%s)", s.name, id, kept[id].Class, s.data, kept[id].Reason)
		}
	}
	for id, item := range lost {
		t.Errorf("made up: %s: %s", id, item.Reason)
	}
	t.Logf("%d situations, %d live objects, %d lost", len(corpus), p.Live, len(p.Lost))
}

// TestCorpusClasses checks the class of what is not lost, one situation at a time.
func TestCorpusClasses(t *testing.T) {
	everything := volumes()
	for _, s := range corpus {
		everything = append(everything, s.live)
	}
	p := loss.Judge(contents(everything), loss.Rules{Now: now, MaxBackupAge: 12 * time.Hour})
	counts := map[loss.Class]int{}
	for _, g := range p.Groups {
		counts[g.Class] += g.Count
	}
	want := map[loss.Class]int{loss.Derived: len(volumes())}
	for _, s := range corpus {
		want[s.want]++
		if s.data != "" {
			want[s.data]++
		}
	}
	for class, n := range want {
		if counts[class] != n {
			t.Errorf("%s: %d, want %d: %+v", class, counts[class], n, p.Groups)
		}
	}
}
