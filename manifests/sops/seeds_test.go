package sops_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refloat-dev/refloat/manifests/expand"
	"github.com/refloat-dev/refloat/manifests/render"
	"github.com/refloat-dev/refloat/manifests/source"
)

// TestPlainPathsAreOpenedWithTheSeeds: a state path that no definition of Flux stands for is
// opened with the keys of all Secrets among the seeds, whatever else they hold.
func TestPlainPathsAreOpenedWithTheSeeds(t *testing.T) {
	a, b, other := agePerson(t), pgpPerson(t), agePerson(t)
	regex := func(p person) how { return how{regex: "^(data|stringData)$", people: []person{p}} }
	seed := func(name string, data map[string][]byte) expand.Seed {
		return expand.Seed{Kind: "Secret", Namespace: "flux-system", Name: name, Data: data}
	}
	expanded := func(content string, seeds ...expand.Seed) (*expand.Result, error) {
		snap := &source.Snapshot{FS: fstest.MapFS{"state/s.yaml": {Data: []byte(content), Mode: 0o644}}, URL: "test", Commit: strings.Repeat("c", 40)}
		return expand.Expand(t.Context(), snap, []string{"state"}, expand.Options{Seeds: seeds})
	}
	broken := seed("broken", map[string][]byte{"x.agekey": []byte("no key")})
	for _, p := range []person{a, b} {
		res, err := expanded(encrypt(t, "yaml", secret, regex(p)), broken, seed("registry", map[string][]byte{"token": []byte("x")}),
			seed("one", map[string][]byte{a.file: a.private}), seed("two", map[string][]byte{b.file: b.private}))
		if err != nil {
			t.Fatal(err)
		}
		text, err := res.Objects[0].MarshalJSON()
		if err != nil || strings.Contains(string(text), "ENC[") || !strings.Contains(string(text), canary) {
			t.Errorf("rendered %s, %v", text, err)
		}
	}
	_, err := expanded(encrypt(t, "yaml", secret, regex(a)), broken, seed("other", map[string][]byte{other.file: other.private}))
	if !errors.Is(err, render.ErrEncrypted) || !strings.Contains(err.Error(), "no key is given that opens it") {
		t.Errorf("another key: %v", err)
	}
	quiet(t, err, a)
}
