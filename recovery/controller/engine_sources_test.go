package controller

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/gittest"
	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/source"
)

// TestEngineFetchesWhatAStateNames renders a plan whose state is in two repositories on a
// server with credentials, and again by what was pinned when the other one has moved on.
func TestEngineFetchesWhatAStateNames(t *testing.T) {
	lib, fleet := gittest.NewRepo(t), gittest.NewRepo(t)
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: default}\n"
	commit := lib.Commit(map[string]string{"deploy/cm.yaml": configMap})
	server := gittest.NewServer(t, map[string]*gittest.Repo{"lib.git": lib, "fleet.git": fleet})
	server.RequireBasic("reader", "canary")
	fleet.Commit(map[string]string{
		"capi/cluster.yaml": "apiVersion: cluster.x-k8s.io/v1beta2\nkind: Cluster\nmetadata: {name: dev}\n",
		"state/all.yaml": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: lib, namespace: flux-system}\n" +
			"spec: {path: deploy, prune: true, interval: 1h, sourceRef: {kind: GitRepository, name: lib}}\n---\n" +
			"apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: lib, namespace: flux-system}\n" +
			"spec: {interval: 1m, url: '" + server.URL("lib.git") + "', secretRef: {name: lib}, ref: {branch: main}}\n",
	})
	request := RenderRequest{
		Source:      v1alpha1.GitSource{URL: server.URL("fleet.git")},
		Access:      Access{Auth: source.Auth{Username: "reader", Password: "canary", CABundle: server.CA()}},
		ClusterPath: "capi", ClusterName: "dev", Namespace: "fleet", StatePaths: []string{"state"},
		Seeds: []expand.Seed{{Kind: "Secret", Namespace: "flux-system", Name: "lib", Data: map[string][]byte{
			"username": []byte("reader"), "password": []byte("canary"), "ca.crt": server.CA()}}},
	}
	cache := t.TempDir()
	e := NewEngine(EngineOptions{CacheDir: cache})
	first, err := e.Render(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	want := []expand.SourcePin{{URL: server.URL("lib.git"), Requested: "branch main", Revision: commit}}
	if !slices.Equal(first.Sources, want) || len(first.State) != 1 {
		t.Fatalf("sources %+v, %d objects", first.Sources, len(first.State))
	}
	packs, err := filepath.Glob(filepath.Join(cache, "fleet", "*", commit+".pack"))
	if err != nil || len(packs) != 1 {
		t.Errorf("the cache of the namespace holds %v, %v", packs, err)
	}
	lib.Commit(map[string]string{"deploy/cm.yaml": configMap + "data: {a: b}\n"})
	server.Hang() // from here on, everything is in the cache
	request.Commit, request.Sources = first.Commit, first.Sources
	again, err := e.Render(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest != first.Digest || !slices.Equal(again.Sources, want) {
		t.Errorf("digest %s, want %s; sources %+v", again.Digest, first.Digest, again.Sources)
	}
}
