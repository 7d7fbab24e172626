package flux

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/render"
)

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: x}
spec:
  replicas: 1
  template: {spec: {containers: [{name: web, image: "example.com/web:1"}]}}
`

// app is a repository with one Deployment.
func app() files {
	return files{
		"app/web.yaml":              web,
		"part/kustomization.yaml":   "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: {part: here}\n",
		"clusters/a/unrelated.yaml": "not: an object\n",
	}
}

func TestFieldsOfAKustomization(t *testing.T) {
	image := func(x *Expansion) any {
		return at(x.Objects[0], "spec", "template", "spec", "containers").([]any)[0].(map[string]any)["image"]
	}
	for field, check := range map[string]func(x *Expansion) bool{
		"targetNamespace: other": func(x *Expansion) bool { return x.Objects[0].GetNamespace() == "other" },
		"namePrefix: a-":         func(x *Expansion) bool { return x.Objects[0].GetName() == "a-web" },
		"nameSuffix: -z":         func(x *Expansion) bool { return x.Objects[0].GetName() == "web-z" },
		"images: [{name: example.com/web, newTag: '7'}]":       func(x *Expansion) bool { return image(x) == "example.com/web:7" },
		"components: [../part]":                                func(x *Expansion) bool { return x.Objects[0].GetAnnotations()["part"] == "here" },
		"{components: [../no], ignoreMissingComponents: true}": func(x *Expansion) bool { return len(x.Objects) == 1 },
		"commonMetadata: {labels: {l: '1'}, annotations: {a: '2'}}": func(x *Expansion) bool {
			return x.Objects[0].GetLabels()["l"] == "1" && x.Objects[0].GetAnnotations()["a"] == "2"
		},
		`patches: [{patch: '[{"op": "replace", "path": "/spec/replicas", "value": 3}]', target: {kind: Deployment}}]`: func(x *Expansion) bool {
			return at(x.Objects[0], "spec", "replicas") == int64(3)
		},
		"patchesStrategicMerge: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: x}, spec: {paused: true}}]": func(x *Expansion) bool {
			return at(x.Objects[0], "spec", "paused") == true
		},
		"patchesJson6902: [{patch: [{op: add, path: /spec/paused, value: true}], target: {kind: Deployment, name: web}}]": func(x *Expansion) bool {
			return at(x.Objects[0], "spec", "paused") == true
		},
		"wait: true": func(x *Expansion) bool { return x.Unit.Ready.All },
		"healthChecks: [{apiVersion: apps/v1, kind: Deployment, name: web, namespace: x}]": func(x *Expansion) bool {
			return reflect.DeepEqual(x.Unit.Ready.Objects, []manifests.ID{{Group: "apps", Kind: "Deployment", Namespace: "x", Name: "web"}})
		},
		"healthCheckExprs: [{apiVersion: apps/v1, kind: Deployment, current: 'true', failed: 'false'}]": func(x *Expansion) bool {
			h := x.Objects[0].Rules.Health
			return h != nil && h.Current == "true" && h.Failed == "false" && strings.Contains(h.From, "s/k.yaml:1")
		},
		"ignore: [{paths: [/spec/replicas], target: {kind: Deploy.*}}]": func(x *Expansion) bool {
			i := x.Objects[0].Rules.Ignore
			return len(i) == 1 && slices.Equal(i[0].Pointers, []string{"/spec/replicas"})
		},
		"ignore: [{paths: [/spec/replicas], target: {kind: Deploy}}]": func(x *Expansion) bool { return x.Objects[0].Rules.Ignore == nil },
		"timeout: 1m":  func(x *Expansion) bool { return x.Objects[0].Rules.Timeout == 0 },
		"timeout: 30m": func(x *Expansion) bool { return x.Objects[0].Rules.Timeout == 30*time.Minute },
		"dependsOn: [{name: a}, {name: b, namespace: other, readyExpr: 'true'}]": func(x *Expansion) bool {
			return reflect.DeepEqual(x.Unit.After, []manifests.Dependency{
				{Unit: "Kustomization flux-system/a", Reason: "spec.dependsOn"}, {Unit: "Kustomization other/b", Reason: "spec.dependsOn"},
			}) && strings.Contains(strings.Join(x.Warnings, ""), "readyExpr")
		},
		"force: true": func(x *Expansion) bool { return len(x.Warnings) == 0 },
		"newField: {a: b}": func(x *Expansion) bool {
			return strings.Contains(strings.Join(x.Warnings, ""), "spec.newField is not supported")
		},
		"suspend: false": func(x *Expansion) bool { return x.Unit.Definition.Kind == "Kustomization" },
		"retryInterval: 2m0s": func(x *Expansion) bool {
			o := x.Objects[0]
			return o.GetLabels()["kustomize.toolkit.fluxcd.io/name"] == "app" && o.GetLabels()["kustomize.toolkit.fluxcd.io/namespace"] == "flux-system" &&
				o.Rules.Manager == "kustomize-controller" && o.Origin == manifests.Origin{Unit: "Kustomization flux-system/app", File: "app/web.yaml", Line: 1}
		},
	} {
		t.Run(field, func(t *testing.T) {
			fields := []string{field}
			if inner, ok := strings.CutPrefix(field, "{"); ok {
				fields = strings.Split(strings.TrimSuffix(inner, "}"), ", ")
			}
			x := expands(t, expander(app()), ks(append(fields, "path: ./app")...))
			if len(x.Objects) != 1 || !check(x) {
				t.Errorf("gives %+v, objects %v, %+v", x.Unit, x.Objects, x.Warnings)
			}
		})
	}
}

func TestFaultsOfAKustomization(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"wrong type":   {ks("wait: often"), []string{"s/k.yaml:1: Kustomization flux-system/app: spec cannot be read"}},
		"time-out":     {ks("timeout: soon"), []string{"spec cannot be read"}},
		"path":         {ks("path: ./apps"), []string{"spec.path is wrong", `path "apps" does not exist in this repository; the root holds: app,`}},
		"outside":      {ks("path: ../x"), []string{"leaves the repository"}},
		"component":    {ks("path: app", "components: [../no]"), []string{"components names", "no"}},
		"far away":     {ks("path: app", "components: ['https://example.com/x']"), []string{"components names the remote"}},
		"kind":         {define("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "path: app"), []string{"spec.sourceRef has no kind"}},
		"expression":   {ks("path: app", "healthCheckExprs: [{apiVersion: apps/v1, kind: Deployment}]"), []string{"spec.healthCheckExprs has no current expression"}},
		"selector":     {ks("path: app", "ignore: [{paths: [/a], target: {kind: '('}}]"), []string{"spec.ignore has a target that cannot be read"}},
		"provider":     {ks("path: app", "decryption: {provider: rot13}"), []string{"spec.decryption.provider"}},
		"bad manifest": {ks("path: clusters"), []string{"clusters/a/unrelated.yaml:1: has neither apiVersion nor kind"}},
	} {
		t.Run(name, func(t *testing.T) { fails(t, expander(app()), c.text, c.wants...) })
	}
}

func TestWriteRulesOfObjects(t *testing.T) {
	for metadata, want := range map[string]manifests.WriteRule{
		"annotations: {kustomize.toolkit.fluxcd.io/ssa: Ignore}":         manifests.WriteNever,
		"labels: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}":        manifests.WriteCreate,
		"annotations: {kustomize.toolkit.fluxcd.io/ssa: merge}":          manifests.WriteApply,
		"annotations: {kustomize.toolkit.fluxcd.io/reconcile: disabled}": manifests.WriteNever,
		"labels: {kustomize.toolkit.fluxcd.io/reconcile: enabled}":       manifests.WriteApply,
	} {
		repo := files{"app/web.yaml": strings.Replace(web, "{name: web, namespace: x}", "{name: web, "+metadata+"}", 1)}
		x := expands(t, expander(repo), ks("path: app"))
		if got := x.Objects[0].Rules.Write; got != want {
			t.Errorf("%s gives %q, want %q", metadata, got, want)
		}
	}
}

const configs = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: vars, namespace: flux-system}
data: {TAG: five, HOST: "a\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: vars, namespace: flux-system}
stringData: {TAG: canary-5up3r}
`

func TestPostBuild(t *testing.T) {
	repo := files{"app/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  tag: \"${TAG}\"\n  host: ${HOST:=none}\n"}
	for spec, want := range map[string]string{
		"{substitute: {TAG: one}}":                                                             "one none",
		"{substituteFrom: [{kind: ConfigMap, name: vars}]}":                                    "five a",
		"{substituteFrom: [{kind: ConfigMap, name: vars}, {kind: Secret, name: vars}]}":        canary + " a",
		"{substitute: {TAG: last}, substituteFrom: [{kind: ConfigMap, name: vars}]}":           "last a",
		"{substituteFrom: [{kind: ConfigMap, name: none, optional: true}]}":                    "${TAG} ${HOST:=none}",
		"{substitute: {TAG: x}, substituteFrom: [{kind: Secret, name: none, optional: true}]}": "x none",
	} {
		x := expands(t, expander(repo), ks("path: app", "postBuild: "+spec)+configs)
		if got := at(x.Objects[0], "data", "tag").(string) + " " + at(x.Objects[0], "data", "host").(string); got != want {
			t.Errorf("%s gives %q, want %q", spec, got, want)
		}
	}
	fails(t, expander(repo), ks("path: app", "postBuild: {substitute: {OTHER: x}}"),
		"s/k.yaml:1: Kustomization flux-system/app: spec.postBuild cannot be applied to ConfigMap c at app/c.yaml:1: it uses the variable TAG, which has no value")
	fails(t, expander(repo), ks("path: app", "postBuild: {substituteStrategy: Always}"), "uses the variable TAG")
	fails(t, expander(repo), ks("path: app", "postBuild: {substitute: {'a-b': x}}"), `the variable name "a-b" is not valid`)
	fails(t, expander(repo), ks("path: app", "postBuild: {substituteFrom: [{kind: Pod, name: x}]}"), "only ConfigMap and Secret hold values")
	err := fails(t, expander(repo), ks("path: app", "postBuild: {substituteFrom: [{kind: Secret, name: none}]}")+configs,
		"spec.postBuild.substituteFrom[0] needs Secret flux-system/none", "add it to the seeds")
	if missing := (*NotYetError)(nil); !errors.As(err, &missing) || missing.Optional || missing.Theirs {
		t.Errorf("error %#v", err)
	}
	w := parsed(t, ks("path: app", "postBuild: {substituteFrom: [{kind: Secret, name: none, optional: true}]}"))
	_, err = expander(repo).Expand(context.Background(), w[0], w[1:], true)
	if missing := (*NotYetError)(nil); !errors.As(err, &missing) || !missing.Optional {
		t.Errorf("while patient: %v", err)
	}
}

// keys is a decryption that opens what was sealed with its key.
type keys map[string][]byte

func (keys) Decrypter(_ string, data map[string][]byte) (render.Decrypter, error) {
	if data != nil && data["age.agekey"] == nil {
		return nil, errors.New("holds no key")
	}
	return keys(data), nil
}

func (keys) File(_ string, content []byte) ([]byte, bool, error) { return content, false, nil }

func (keys) Object(u *unstructured.Unstructured) (bool, error) {
	delete(u.Object, "sops")
	return true, nil
}

func TestDecryption(t *testing.T) {
	sealed := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nsops: {mac: ENC}\n"
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: flux-system}\nstringData: {age.agekey: " + canary + "}\n"
	definition := ks("path: app", "decryption: {provider: sops, secretRef: {name: keys}}")
	e := expander(files{"app/s.yaml": sealed})
	e.Decryption = keys{}
	if x := expands(t, e, definition+secret); x.Objects[0].Object["sops"] != nil {
		t.Errorf("not decrypted: %v", x.Objects[0].Object)
	}
	fails(t, e, definition, "app/s.yaml:1: is encrypted and cannot be decrypted: its keys are in Secret flux-system/keys, which nothing in the state makes: add it to the seeds")
	fails(t, e, definition+strings.Replace(secret, "age.agekey", "other", 1), "spec.decryption cannot be used: holds no key")
	fails(t, e, ks("path: app"), "is encrypted with SOPS")
	e.Decryption = nil
	fails(t, e, definition+secret, "nothing here can decrypt it")

	e = expander(files{"app/s.yaml": strings.Replace(sealed, "{name: s}", "{name: s, annotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}}", 1)})
	e.Decryption = keys{}
	if x, err := expand(t, e, definition+secret); err == nil && x.Objects[0].Object["sops"] == nil {
		t.Error("an object that says no was decrypted")
	}
	e = expander(files{"app/kustomization.yaml": "secretGenerator: [{name: g, files: [f]}]\n", "app/f": "x: ENC[AES256_GCM,data:abc]\n"})
	fails(t, e, definition+secret, "app/f: is encrypted and cannot be decrypted")
	if x := expands(t, expander(app()), definition); len(x.Objects) != 1 {
		t.Error("a definition with keys that nothing needs does not expand")
	}
}
