package render

import (
	"context"
	"testing"
)

func FuzzPlainYAML(f *testing.F) {
	for _, seed := range []string{
		cm("a"), "---\n...\n--- #\n", "a: &a [*a]", "{\"a\":1}{\"b\":2}", "\t", "%YAML 1.2\n---\n" + cm("a"),
		"apiVersion: v1\nkind: List\nitems: [1, {}, null]", "? a\n: b", "<<: *x", "- - - -", "{[", "!!binary x", "\xef\xbb\xbf",
		"apiVersion: v1\nkind: X\nmetadata: {name: \"\\u0000\"}", "a: !!float .inf", "kind: &k v\napiVersion: *k\nmetadata: *k",
	} {
		f.Add(seed)
	}
	limits := Limits{Nodes: 10_000, FileBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, text string) {
		snap := files{"f.yaml": text}.snapshot()
		res, err := Render(context.Background(), snap, nil, Options{Limits: limits})
		if err != nil {
			return
		}
		for _, o := range res.Objects {
			if o.GetName() == "" || o.GetKind() == "" || o.Origin.Line < 1 {
				t.Errorf("object %s at %s", o.ID(), o.Origin)
			}
		}
	})
}
