package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/refloat-dev/refloat/internal/charttest"
	"github.com/refloat-dev/refloat/internal/gittest"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: x}\n"

// TestSources runs the real command against a Git server by https and a registry, both on
// the loopback interface.
func TestSources(t *testing.T) {
	repo := gittest.NewRepo(t)
	repo.Commit(map[string]string{"deploy/cm.yaml": fmt.Sprintf(configMap, "lib")})
	git := gittest.NewServer(t, map[string]*gittest.Repo{"lib.git": repo})
	git.RequireBasic("reader", "canary")
	registry := charttest.New(t)
	registry.Put(charttest.Artifact{Name: "team/app", Tag: "1.2.0", Layers: []charttest.Layer{{
		MediaType: charttest.FluxLayer, Data: charttest.PackFiles(map[string]string{"deploy/cm.yaml": fmt.Sprintf(configMap, "app")})}}})

	kustomization := func(name, kind string) string {
		return "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: " + name + ", namespace: flux-system}\n" +
			"spec: {path: deploy, prune: true, interval: 1h, sourceRef: {kind: " + kind + ", name: " + name + "}}\n---\n"
	}
	object := func(kind, name, spec string) string {
		return "apiVersion: source.toolkit.fluxcd.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: flux-system}\nspec: {interval: 1m, " + spec + "}\n---\n"
	}
	lib := func(branch string) string {
		return kustomization("lib", "GitRepository") + object("GitRepository", "lib", "url: '"+git.URL("lib.git")+"', secretRef: {name: lib}, ref: {branch: "+branch+"}")
	}
	files := map[string]string{
		"repo/clusters/dev/all.yaml": lib("main") + kustomization("app", "OCIRepository") +
			object("OCIRepository", "app", "url: 'oci://registry.example.com/team/app', ref: {semver: 1.x}"),
		"repo/clusters/dev/own.yaml":   fmt.Sprintf(configMap, "own") + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n",
		"repo/clusters/wrong/all.yaml": lib("mein"),
		"seeds.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: lib, namespace: flux-system}\ndata:\n  username: " + encoded("reader") +
			"\n  password: " + encoded("canary") + "\n  ca.crt: " + encoded(string(git.CA())) + "\n",
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/sources",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", env.WorkDir+"/cache")
			env.Setenv("KUBECONFIG", env.WorkDir+"/no-such-kubeconfig")
			env.Setenv("MIRROR", "oci://"+registry.Host())
			for name, text := range files {
				full := filepath.Join(env.WorkDir, name)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
