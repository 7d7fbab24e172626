package chart

import (
	"net/url"
	"testing"
)

func TestArchivesOfACopiedIndexAreAskedOfTheMirror(t *testing.T) {
	mirror, err := url.Parse("https://mirror.example.com/copy")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ original, says, want string }{
		{"https://charts.example.com/stable", "https://charts.example.com/stable/a/web-1.tgz", "https://mirror.example.com/copy/a/web-1.tgz"},
		{"https://charts.example.com/stable/", "https://charts.example.com/stable/web-1.tgz", "https://mirror.example.com/copy/web-1.tgz"},
		{"https://charts.example.com/stable", "web-1.tgz", "https://mirror.example.com/copy/web-1.tgz"},
		{"https://charts.example.com/stable", "https://charts.example.com/stable2/web-1.tgz", "https://charts.example.com/stable2/web-1.tgz"},
		{"", "https://charts.example.com/stable/web-1.tgz", "https://charts.example.com/stable/web-1.tgz"},
		{"", "/web-1.tgz", "https://mirror.example.com/web-1.tgz"},
	} {
		r := &address{url: mirror, ref: Ref{Original: c.original}}
		got, err := r.archiveURL(indexEntry{URLs: []string{c.says}})
		if err != nil || got.String() != c.want {
			t.Errorf("%s of a mirror of %q is asked for at %v (%v), want %s", c.says, c.original, got, err, c.want)
		}
	}
}
