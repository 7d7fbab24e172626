package cron

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1/crds"
)

// TestAPIRepeatsPattern: the API imports nothing of ours, so the rule repeats Pattern.
func TestAPIRepeatsPattern(t *testing.T) {
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range all {
		if definition.Spec.Names.Kind != "RecoverySchedule" {
			continue
		}
		spec := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties
		for name, field := range map[string]apiextensionsv1.JSONSchemaProps{
			"teardown.cron": spec["teardown"].Properties["cron"], "rebuild.cron": spec["rebuild"].Properties["cron"], "rebuild.readyBy": spec["rebuild"].Properties["readyBy"],
		} {
			if !slices.ContainsFunc(field.XValidations, func(r apiextensionsv1.ValidationRule) bool {
				return strings.HasSuffix(r.Rule, "self.matches('"+Pattern+"')")
			}) {
				t.Errorf("no rule of %s matches Pattern; repeat it at CronExpression, and run make generate", name)
			}
		}
		return
	}
	t.Error("there is no RecoverySchedule")
}
