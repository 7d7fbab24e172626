package sops_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/sops"
	"github.com/refloat-dev/refloat/manifests/source"
)

func rendered(files map[string]string, d render.Decrypter) (*render.Result, error) {
	tree := fstest.MapFS{}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	snap := &source.Snapshot{FS: tree, URL: "test", Commit: strings.Repeat("c", 40)}
	return render.Render(context.Background(), snap, nil, render.Options{Decrypt: d})
}

// TestRepository opens secrets everywhere in a repository: plain files, resources,
// generators and patches of a kustomization.
func TestRepository(t *testing.T) {
	a := agePerson(t)
	regex := how{regex: "^(data|stringData)$", people: []person{a}}
	all := how{people: []person{a}}
	for name, files := range map[string]map[string]string{
		"plain directory": {"s.yaml": encrypt(t, "yaml", secret, regex)},
		"all of it":       {"s.yaml": encrypt(t, "yaml", secret, all)},
		"resource of a kustomization": {
			"kustomization.yaml": "namespace: shop\nnameSuffix: -a\nresources: [s.yaml]\n", "s.yaml": encrypt(t, "yaml", secret, regex),
		},
		"generator": {
			"kustomization.yaml": "generatorOptions: {disableNameSuffixHash: true}\nsecretGenerator: [{name: g, files: [k=f.bin], envs: [e.env]}]\n",
			"f.bin":              encrypt(t, "binary", canary+"\x01", all), "e.env": encrypt(t, "dotenv", "PASSWORD="+canary+"\n", all),
		},
		"patch": {
			"kustomization.yaml": "resources: [s.yaml]\npatches: [{path: p.yaml}]\n",
			"s.yaml":             "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n",
			"p.yaml":             encrypt(t, "yaml", secret, regex),
		},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := rendered(files, a.keys(t))
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Objects) != 1 {
				t.Fatalf("%d objects", len(res.Objects))
			}
			text, _ := res.Objects[0].MarshalJSON()
			encoded := base64.StdEncoding.EncodeToString([]byte(canary))
			if s := string(text); strings.Contains(s, "ENC[") || strings.Contains(s, `"sops"`) ||
				!strings.Contains(s, canary) && !strings.Contains(s, encoded[:len(encoded)-4]) {
				t.Errorf("rendered %s", s)
			}
			_, err = rendered(files, agePerson(t).keys(t))
			quiet(t, err, a)
			var missing *sops.MissingKeyError
			if !errors.As(err, &missing) || !strings.Contains(err.Error(), a.name) {
				t.Errorf("another key: %v", err)
			}
		})
	}
	_, err := rendered(map[string]string{"s.yaml": encrypt(t, "yaml", secret, regex)}, nil)
	if !errors.Is(err, render.ErrEncrypted) || !strings.HasPrefix(err.Error(), "s.yaml:1: ") {
		t.Errorf("no decrypter: %v", err)
	}
}
