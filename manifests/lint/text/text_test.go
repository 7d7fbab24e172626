package text_test

import (
	"bytes"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/lint/text"
)

func TestFindingsAreSentences(t *testing.T) {
	var out bytes.Buffer
	err := text.Write(&out, &lint.Report{Objects: 1, Findings: []lint.Finding{{
		Rule: "missing-secret", Severity: lint.Error, Object: manifests.ID{Kind: "Pod", Namespace: "a", Name: "b"},
		Origin: manifests.Origin{File: "a.yaml", Line: 7}, Message: "its pods\x1b[2J need it", Why: "Why.", Fix: "Fix.", Also: []manifests.ID{{Kind: "Pod", Name: "c"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	want := `a.yaml:7: error missing-secret: Pod a/b and 1 more
  what  Its pods?[2J need it.
  why   Why.
  fix   Fix.

1 object: 1 error, 0 warnings, 0 notes
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
