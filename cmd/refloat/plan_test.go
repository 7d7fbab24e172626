package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/manifests/source"
)

// TestNoSuchRef says what a reference may be, and of other errors what they say.
func TestNoSuchRef(t *testing.T) {
	dir, err := os.Stat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	denied := &source.UnreachableError{URL: "https://git.example.com/a.git", Reason: "401", Why: source.Denied}
	absent := &source.UnreachableError{URL: "file:///srv/a", Reason: "no repository", Why: source.Absent}
	for name, test := range map[string]struct {
		err  error
		dir  os.FileInfo
		says string
	}{
		"neither branch nor tag": {&source.RefNotFoundError{URL: "file:///srv/a", Ref: "branch nope", Near: []string{"node"}}, dir, "has no branch and no tag of that name, and a commit is given in full, with all its 40 or 64 digits; did you mean node?"},
		"a plain directory":      {absent, dir, "is a plain directory and no Git repository: leave out --ref"},
		"no directory":           {absent, nil, absent.Error()},
		"no access":              {denied, nil, denied.Error()},
		"anything else":          {errors.New("disk full"), dir, "disk full"},
	} {
		if got := noSuchRef(test.err, "nope", test.dir).Error(); !strings.Contains(got, test.says) || strings.Contains(test.says, "--ref") && !strings.HasPrefix(got, "--ref nope: ") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
