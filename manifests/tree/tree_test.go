package tree

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func repository() fstest.MapFS {
	return fstest.MapFS{
		"apps/a.yaml": {Data: []byte("a")}, "apps/sub/b.yaml": {Data: []byte("b")},
		"link": {Data: []byte("apps"), Mode: fs.ModeSymlink | 0o777},
	}
}

func TestOverIsAProperTree(t *testing.T) {
	over := Over(repository(), map[string][]byte{"apps/a.yaml": []byte("new"), "gen/x/k.yaml": []byte("k"), "../out": nil, ".": nil})
	if err := fstest.TestFS(Over(fstest.MapFS{"apps/a.yaml": {Data: []byte("a")}, "z": {Data: []byte("z")}},
		map[string][]byte{"apps/c.yaml": []byte("c"), "gen/x/k.yaml": []byte("k")}),
		"apps/a.yaml", "apps/c.yaml", "gen/x/k.yaml", "z"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"apps/a.yaml": "new", "gen/x/k.yaml": "k", "apps/sub/b.yaml": "b"} {
		if got, err := fs.ReadFile(over, name); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
	if over.Len() != 2 {
		t.Errorf("names outside the tree were taken: %v", over.Names())
	}
	if target, err := over.ReadLink("link"); err != nil || target != "apps" {
		t.Errorf("the base's link reads %q, %v", target, err)
	}
}

func TestLinkRemembersWhereFilesCameFrom(t *testing.T) {
	base := repository()
	first := New()
	first.Link("one/a.yaml", base, "apps/a.yaml")
	second := New()
	second.Link("two/c.yaml", first, "one/a.yaml")
	if got := second.Origin("two/c.yaml"); got != "apps/a.yaml" {
		t.Errorf("origin %q", got)
	}
	if got, err := fs.ReadFile(second, "two/c.yaml"); err != nil || string(got) != "a" {
		t.Errorf("content %q, %v", got, err)
	}
	i, err := fs.Stat(second, "two/c.yaml")
	if err != nil || i.Name() != "c.yaml" {
		t.Errorf("stat %v, %v", i, err)
	}
	if second.Link("two", base, "apps/a.yaml") || second.Link("two/c.yaml/d", base, "apps/a.yaml") {
		t.Error("a file took the place of a directory, or lies below a file")
	}
	if _, err := second.Open("three"); err == nil {
		t.Error("a missing file opens")
	}
}
