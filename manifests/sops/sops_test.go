package sops_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	upstream "github.com/getsops/sops/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/manifests/sops"
)

const secret = `apiVersion: v1
kind: Secret
metadata:
  name: db
  generation: 9007199254740993
stringData:
  password: ` + canary + `
`

func parsed(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := sigsyaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: content}
}

// quiet fails when an error shows a secret value or a private key.
func quiet(t *testing.T, err error, people ...person) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		if strings.Contains(text, canary) || strings.Contains(strings.ReplaceAll(text, "AGE-SECRET-KEY-1…", ""), "AGE-SECRET-KEY") || strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("the error shows a secret: %s", text)
		}
		for _, p := range people {
			for _, line := range strings.Split(string(p.private), "\n") {
				if len(line) > 20 && !strings.HasPrefix(line, "#") && strings.Contains(text, line) {
					t.Errorf("the error shows a private key: %s", text)
				}
			}
		}
	}
}

func TestObject(t *testing.T) {
	a, p := agePerson(t), pgpPerson(t)
	for name, who := range map[string]person{"age": a, "OpenPGP": p} {
		t.Run(name, func(t *testing.T) {
			u := parsed(t, encrypt(t, "yaml", secret, how{regex: "^(data|stringData)$", people: []person{a, p}}))
			if !sops.Encrypted(u) {
				t.Fatal("not recognised")
			}
			// A build moves objects and labels them, which a code would not survive.
			u.SetNamespace("shop")
			u.SetLabels(map[string]string{"team": "a"})
			changed, err := who.keys(t).Object(u)
			if err != nil || !changed {
				t.Fatalf("changed %v, %v", changed, err)
			}
			want := parsed(t, secret)
			want.SetNamespace("shop")
			want.SetLabels(map[string]string{"team": "a"})
			if !reflect.DeepEqual(u.Object, want.Object) {
				t.Errorf("got %v, want %v", u.Object, want.Object)
			}
			if sops.Encrypted(u) {
				t.Error("still encrypted")
			}
			if changed, err := who.keys(t).Object(u); changed || err != nil {
				t.Errorf("a plain object: changed %v, %v", changed, err)
			}
		})
	}
}

func TestTypesSurvive(t *testing.T) {
	a := agePerson(t)
	text := "kind: Thing\nspec:\n  number: 9007199254740993\n  f: 1.5\n  b: true\n  empty: \"\"\n  none: null\n  list: [1, x, {inner: " + canary + "}]\n"
	u := parsed(t, encrypt(t, "yaml", text, how{regex: "^spec$", people: []person{a}}))
	if _, err := a.keys(t).Object(u); err != nil {
		t.Fatal(err)
	}
	if want := parsed(t, text); !reflect.DeepEqual(u.Object, want.Object) {
		t.Errorf("got %#v, want %#v", u.Object, want.Object)
	}
}

func TestNoKey(t *testing.T) {
	a, other, p := agePerson(t), agePerson(t), pgpPerson(t)
	open := func(k *sops.Keys, h how) error {
		t.Helper()
		u := parsed(t, encrypt(t, "yaml", secret, h))
		before := u.DeepCopy()
		changed, err := k.Object(u)
		if changed || !reflect.DeepEqual(u, before) {
			t.Error("the object was changed without a key")
		}
		quiet(t, err, a, other, p)
		return err
	}
	both := how{regex: "^stringData$", people: []person{a, p}}
	var missing *sops.MissingKeyError
	for name, k := range map[string]*sops.Keys{"none": nil, "zero": {}, "another": other.keys(t)} {
		err := open(k, both)
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), a.name) || !strings.Contains(err.Error(), p.name) ||
			!strings.Contains(err.Error(), "add the Secret with it to the plan's seeds") {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := open(other.keys(t), how{regex: "^stringData$", groups: []upstream.KeyGroup{cloudKey()}})
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "AWS KMS key arn:aws:kms:eu-west-1:1:key/x") || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("cloud only: %v", err)
	}
}

func TestSharedBetweenGroups(t *testing.T) {
	a, p := agePerson(t), pgpPerson(t)
	h := how{regex: "^stringData$", groups: []upstream.KeyGroup{}, people: []person{a, p}}
	text := encrypt(t, "yaml", secret, h)
	if _, err := sops.Join(a.keys(t), nil, p.keys(t)).Object(parsed(t, text)); err != nil {
		t.Errorf("both groups: %v", err)
	}
	_, err := a.keys(t).Object(parsed(t, text))
	quiet(t, err, a, p)
	if !strings.Contains(err.Error(), p.name) {
		t.Errorf("one group: %v", err)
	}
}

func TestDamagedObject(t *testing.T) {
	a := agePerson(t)
	text := encrypt(t, "yaml", secret, how{regex: "^(data|stringData)$", people: []person{a}})
	for name, c := range map[string]struct {
		change func(*unstructured.Unstructured)
		say    string
	}{
		"a value was replaced by plain text": {func(u *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(u.Object, canary, "stringData", "password")
		}, "stringData:password, which is not encrypted"},
		"a value was moved": {func(u *unstructured.Unstructured) {
			v, _, _ := unstructured.NestedString(u.Object, "stringData", "password")
			_ = unstructured.SetNestedField(u.Object, v, "stringData", "other")
		}, "stringData:other"},
		"the key of another document": {func(u *unstructured.Unstructured) {
			other := parsed(t, encrypt(t, "yaml", secret, how{people: []person{a}}))
			list, _, _ := unstructured.NestedSlice(other.Object, "sops", "age")
			_ = unstructured.SetNestedSlice(u.Object, list, "sops", "age")
		}, "cannot be decrypted: stringData:password"},
		"garbage for a data key": {func(u *unstructured.Unstructured) {
			_ = unstructured.SetNestedSlice(u.Object, []any{map[string]any{"recipient": a.name, "enc": "garbage"}}, "sops", "age")
		}, "cannot be opened with that key"},
		"a rule that is no pattern": {func(u *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(u.Object, "^(", "sops", "encrypted_regex")
		}, "not a regular expression"},
		"a rule that explodes": {func(u *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(u.Object, "x{1000}", "sops", "encrypted_regex")
		}, "too complex"},
		"metadata of another form": {func(u *unstructured.Unstructured) {
			_ = unstructured.SetNestedField(u.Object, "yesterday", "sops", "lastmodified")
		}, "sops field cannot be read"},
		"bytes, on which the library panics": {func(u *unstructured.Unstructured) {
			v, _, _ := unstructured.NestedString(u.Object, "stringData", "password")
			_ = unstructured.SetNestedField(u.Object, strings.Replace(v, "type:str", "type:bytes", 1), "stringData", "password")
		}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			u := parsed(t, text)
			c.change(u)
			_, err := a.keys(t).Object(u)
			quiet(t, err, a)
			if !strings.Contains(err.Error(), c.say) {
				t.Errorf("%v does not say %q", err, c.say)
			}
		})
	}
	u := parsed(t, text)
	_ = unstructured.SetNestedField(u.Object, "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]", "sops", "mac")
	if _, err := a.keys(t).Object(u); err != nil {
		t.Errorf("the code of an object is not checked: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	a := agePerson(t)
	u := parsed(t, encrypt(t, "yaml", secret, how{regex: "^stringData$", people: []person{a}}))
	deep := map[string]any{}
	for range 150 {
		deep = map[string]any{"x": deep}
	}
	u.Object["spec"] = deep
	_, err := a.keys(t).Object(u)
	if !errors.Is(err, sops.ErrTooLarge) {
		t.Errorf("deep: %v", err)
	}
	u.Object["spec"] = make([]any, 200_000)
	if _, err = a.keys(t).Object(u); !errors.Is(err, sops.ErrTooLarge) {
		t.Errorf("long: %v", err)
	}
}

var documents = map[string]struct{ name, format, plain string }{
	"dotenv":             {"db.env", "dotenv", "USER=me\nPASSWORD=" + canary + "\n"},
	"dotenv, other name": {"credentials", "dotenv", "PASSWORD=" + canary + "\n"},
	"json":               {"c.json", "json", "{\n\t\"password\": \"" + canary + "\"\n}\n"},
	"json, one field":    {"c.json", "json", "{\n\t\"data\": \"" + canary + "\"\n}\n"},
	"yaml":               {"c.yaml", "yaml", "password: " + canary + "\nlist:\n    - 1\n    - x\n"},
	"ini":                {"c.ini", "ini", "[db]\npassword = " + canary + "\n"},
	"binary":             {"tls.key", "binary", "-----BEGIN\x00" + canary},
}

func TestFile(t *testing.T) {
	a := agePerson(t)
	for name, d := range documents {
		t.Run(name, func(t *testing.T) {
			sealed := encrypt(t, d.format, d.plain, how{people: []person{a}})
			got, changed, err := a.keys(t).File("dir/"+d.name, []byte(sealed))
			if err != nil || !changed {
				t.Fatalf("changed %v, %v", changed, err)
			}
			if strings.Join(strings.Fields(string(got)), " ") != strings.Join(strings.Fields(d.plain), " ") {
				t.Errorf("got %q, want %q", got, d.plain)
			}
			_, _, err = agePerson(t).keys(t).File(d.name, []byte(sealed))
			quiet(t, err, a)
			var missing *sops.MissingKeyError
			if !errors.As(err, &missing) {
				t.Errorf("wrong key: %v", err)
			}
		})
	}
	for _, plain := range []string{"", "PASSWORD=x", "about sops and its mac", "{\"sops\": 1, \"mac\": 2}", "{sops mac"} {
		got, changed, err := a.keys(t).File("x.json", []byte(plain))
		if changed || err != nil || string(got) != plain {
			t.Errorf("%q: %q, %v, %v", plain, got, changed, err)
		}
	}
}

func TestEmbeddedValues(t *testing.T) {
	a := agePerson(t)
	u := parsed(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {plain: "+base64.StdEncoding.EncodeToString([]byte("sops? mac!"))+"}\n")
	data := u.Object["data"].(map[string]any)
	for name, d := range documents {
		key := strings.ReplaceAll(name, ", ", "-") + "-" + d.name
		data[key] = base64.StdEncoding.EncodeToString([]byte(encrypt(t, d.format, d.plain, how{people: []person{a}})))
	}
	registry := encrypt(t, "yaml", "auths:\n    r.example.com:\n        auth: "+canary+"\n", how{people: []person{a}})
	data[".dockerconfigjson"] = base64.StdEncoding.EncodeToString([]byte(registry))
	if !sops.Encrypted(u) {
		t.Fatal("not recognised")
	}
	_, err := (&sops.Keys{}).Object(u.DeepCopy())
	quiet(t, err)
	if !strings.Contains(err.Error(), "data[.dockerconfigjson] is encrypted with SOPS") {
		t.Errorf("no key: %v", err)
	}
	if changed, err := a.keys(t).Object(u); err != nil || !changed {
		t.Fatalf("changed %v, %v", changed, err)
	}
	for key, v := range data {
		plain, _ := base64.StdEncoding.DecodeString(v.(string))
		if strings.Contains(string(plain), "ENC[") || key != "plain" && !strings.Contains(string(plain), canary) {
			t.Errorf("%s is %q", key, plain)
		}
		if key == ".dockerconfigjson" && !strings.HasPrefix(string(plain), "{") {
			t.Errorf("registry credentials are not JSON: %q", plain)
		}
	}
	u.SetAnnotations(map[string]string{"kustomize.toolkit.fluxcd.io/decrypt": "Disabled"})
	data[".dockerconfigjson"] = base64.StdEncoding.EncodeToString([]byte(registry))
	if changed, err := (&sops.Keys{}).Object(u); changed || err != nil {
		t.Errorf("spared: changed %v, %v", changed, err)
	}
}

func TestFileIsChecked(t *testing.T) {
	a := agePerson(t)
	plain := "password: " + canary + "\nhost_unencrypted: db.example.com\n"
	sealed := encrypt(t, "yaml", plain, how{people: []person{a}})
	_, _, err := a.keys(t).File("c.yaml", []byte(strings.Replace(sealed, "db.example.com", "evil.example.com", 1)))
	quiet(t, err, a)
	if !errors.Is(err, sops.ErrDamaged) || !strings.Contains(err.Error(), "message authentication code") {
		t.Errorf("changed plain value: %v", err)
	}
	only := encrypt(t, "yaml", plain, how{people: []person{a}, macOnly: true})
	if _, _, err = a.keys(t).File("c.yaml", []byte(strings.Replace(only, "db.example.com", "new.example.com", 1))); err != nil {
		t.Errorf("a code over encrypted values only: %v", err)
	}
	_, _, err = a.keys(t).File("c.yaml", []byte("a: &a [x]\nb: *a\n"+sealed))
	if !errors.Is(err, sops.ErrDamaged) || !strings.Contains(err.Error(), "alias") {
		t.Errorf("alias: %v", err)
	}
	_, _, err = a.keys(t).File("c.json", []byte(`{"sops":{"mac":"x"},"a":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+"}"))
	if !errors.Is(err, sops.ErrTooLarge) {
		t.Errorf("deep: %v", err)
	}
}

func TestReadKeys(t *testing.T) {
	a, p := agePerson(t), pgpPerson(t)
	k, err := sops.ReadKeys(map[string][]byte{
		"x.agekey": a.private, "y.asc": p.private, "password": []byte("x"), "sops.aws-kms": []byte(canary),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Names(), []string{p.name, a.name}; !reflect.DeepEqual(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		quiet(t, fmt.Errorf(format, k), a, p)
		quiet(t, fmt.Errorf(format, *k), a, p)
	}
	_, err = k.Object(parsed(t, encrypt(t, "yaml", secret, how{people: []person{agePerson(t)}})))
	quiet(t, err, a, p)
	if !strings.Contains(err.Error(), "sops.aws-kms holds credentials of AWS KMS, which is not supported") {
		t.Errorf("notes: %v", err)
	}
	for name, data := range map[string]map[string][]byte{
		"x.agekey, line 2": {"x.agekey": []byte("# key\nAGE-SECRET-KEY-1" + canary)},
		"x.agekey: holds":  {"x.agekey": []byte("# nothing")},
		"x.asc: is not":    {"x.asc": []byte(canary)},
	} {
		_, err := sops.ReadKeys(data)
		quiet(t, err)
		if !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%v, want it to begin with %q", err, name)
		}
	}
}
