package sarif_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/lint"
	"github.com/refloat-dev/refloat/manifests/lint/sarif"
)

// The log has what readers of SARIF 2.1.0 rely on: rules that results point to,
// addresses relative to the repository's root, lines from 1 and stable fingerprints.
func TestLog(t *testing.T) {
	report := &lint.Report{
		Findings: []lint.Finding{
			{Rule: "missing-secret", Severity: lint.Warning, Object: manifests.ID{Kind: "Pod", Namespace: "a", Name: "b"},
				Origin: manifests.Origin{File: "dir with space/a%b.yaml", Line: 7}, Message: "m", Why: "w.", Fix: "f.", Fingerprint: "abc"},
			{Rule: "invalid-manifest", Severity: lint.Error, Origin: manifests.Origin{File: "a.yaml"}, Message: "m", Fingerprint: "def"},
			{Rule: "order-fault", Severity: lint.Error, Message: "m", Fingerprint: "ghi"},
		},
		Ignored: []lint.Finding{{Rule: "mutable-image", Severity: lint.Note, Origin: manifests.Origin{File: "a.yaml", Line: 1}, Message: "m", Fingerprint: "jkl"}},
	}
	var out bytes.Buffer
	if err := sarif.Write(&out, report, "v1"); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string `json:"version"`
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string `json:"name"`
					Rules []struct {
						ID string `json:"id"`
					} `json:"rules"`
				} `json:"driver"`
			} `json:"tool"`
			Results []map[string]any `json:"results"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name != "refloat" || len(log.Runs[0].Results) != 4 {
		t.Fatalf("the log is %s", out.String())
	}
	rules := log.Runs[0].Tool.Driver.Rules
	for _, r := range log.Runs[0].Results {
		if at := int(r["ruleIndex"].(float64)); rules[at].ID != r["ruleId"] {
			t.Errorf("result %v points to rule %s", r["ruleId"], rules[at].ID)
		}
		if prints := r["partialFingerprints"].(map[string]any); prints["refloat/v1"] == "" {
			t.Errorf("result %v has no fingerprint", r["ruleId"])
		}
	}
	first := log.Runs[0].Results[0]["locations"].([]any)[0].(map[string]any)["physicalLocation"].(map[string]any)
	if uri := first["artifactLocation"].(map[string]any)["uri"]; uri != "dir%20with%20space/a%25b.yaml" {
		t.Errorf("the address is %v", uri)
	}
	if line := first["region"].(map[string]any)["startLine"]; line != 7.0 {
		t.Errorf("the line is %v", line)
	}
	second := log.Runs[0].Results[1]["locations"].([]any)[0].(map[string]any)["physicalLocation"].(map[string]any)
	if _, ok := second["region"]; ok {
		t.Error("a place without line has a region")
	}
	if _, ok := log.Runs[0].Results[2]["locations"]; ok {
		t.Error("a finding without place has a location")
	}
	if _, ok := log.Runs[0].Results[3]["suppressions"]; !ok {
		t.Error("an ignored finding is not suppressed")
	}
}
