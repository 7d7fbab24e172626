package argocd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refloat-dev/refloat/manifests"
)

func annotated(t *testing.T, annotations ...string) manifests.Object {
	t.Helper()
	text := "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  namespace: shop\n  annotations:\n    a: b\n"
	for _, a := range annotations {
		text += "    " + a + "\n"
	}
	return object(t, text)
}

func TestRulesOf(t *testing.T) {
	hook := func(phase manifests.Phase, h manifests.Hook) *manifests.Rules {
		return &manifests.Rules{Phase: phase, Hook: &h}
	}
	never := &manifests.Rules{Write: manifests.WriteNever}
	for name, test := range map[string]struct {
		annotations []string
		want        *manifests.Rules
		warning     string
	}{
		"nothing":                 {nil, nil, ""},
		"wave":                    {[]string{`argocd.argoproj.io/sync-wave: "-5"`}, &manifests.Rules{Wave: -5}, ""},
		"wave 0":                  {[]string{`argocd.argoproj.io/sync-wave: "0"`}, nil, ""},
		"wave is no number":       {[]string{`argocd.argoproj.io/sync-wave: soon`}, nil, "sync-wave is not a whole number"},
		"weight of a hook":        {[]string{`helm.sh/hook-weight: "3"`}, &manifests.Rules{Wave: 3}, ""},
		"wave before weight":      {[]string{`argocd.argoproj.io/sync-wave: "1"`, `helm.sh/hook-weight: "3"`}, &manifests.Rules{Wave: 1}, ""},
		"weight after bad wave":   {[]string{`argocd.argoproj.io/sync-wave: x`, `helm.sh/hook-weight: "3"`}, &manifests.Rules{Wave: 3}, "not a whole number"},
		"PreSync":                 {[]string{`argocd.argoproj.io/hook: PreSync`}, hook(manifests.PhaseBefore, manifests.Hook{}), ""},
		"Sync":                    {[]string{`argocd.argoproj.io/hook: Sync`}, hook(manifests.PhaseMain, manifests.Hook{}), ""},
		"PostSync":                {[]string{`argocd.argoproj.io/hook: PostSync`}, hook(manifests.PhaseAfter, manifests.Hook{}), ""},
		"two phases":              {[]string{`argocd.argoproj.io/hook: "PostSync, PreSync"`}, hook(manifests.PhaseBefore, manifests.Hook{}), "PreSync and PostSync: it runs once, in PreSync"},
		"PostSync and SyncFail":   {[]string{`argocd.argoproj.io/hook: PostSync,SyncFail`}, hook(manifests.PhaseAfter, manifests.Hook{}), ""},
		"SyncFail":                {[]string{`argocd.argoproj.io/hook: SyncFail`}, never, "failed syncs"},
		"PreDelete":               {[]string{`argocd.argoproj.io/hook: PreDelete`}, never, "deletions"},
		"PostDelete":              {[]string{`argocd.argoproj.io/hook: PostDelete`}, never, "deletions"},
		"Skip":                    {[]string{`argocd.argoproj.io/hook: Skip`}, never, ""},
		"Skip among others":       {[]string{`argocd.argoproj.io/hook: Skip,PreSync`}, hook(manifests.PhaseBefore, manifests.Hook{}), ""},
		"unknown hook":            {[]string{`argocd.argoproj.io/hook: BeforeLunch`}, never, "does not know"},
		"helm pre-install":        {[]string{`helm.sh/hook: "pre-install,pre-upgrade"`}, hook(manifests.PhaseBefore, manifests.Hook{}), ""},
		"helm post-upgrade":       {[]string{`helm.sh/hook: post-upgrade`}, hook(manifests.PhaseAfter, manifests.Hook{}), ""},
		"helm pre-delete":         {[]string{`helm.sh/hook: pre-delete`}, never, "deletions"},
		"helm test":               {[]string{`helm.sh/hook: test`}, never, ""},
		"helm rollback":           {[]string{`helm.sh/hook: pre-rollback`}, never, ""},
		"helm crd-install":        {[]string{`helm.sh/hook: crd-install`}, nil, ""},
		"own hook beats helm's":   {[]string{`helm.sh/hook: pre-install`, `argocd.argoproj.io/hook: PostSync`}, hook(manifests.PhaseAfter, manifests.Hook{}), ""},
		"unknown beside helm's":   {[]string{`helm.sh/hook: pre-install`, `argocd.argoproj.io/hook: Other`}, hook(manifests.PhaseBefore, manifests.Hook{}), ""},
		"deleted when succeeded":  {[]string{`argocd.argoproj.io/hook: PreSync`, `argocd.argoproj.io/hook-delete-policy: HookSucceeded`}, hook(manifests.PhaseBefore, manifests.Hook{DeleteSucceeded: true}), ""},
		"deleted always":          {[]string{`argocd.argoproj.io/hook: PreSync`, `argocd.argoproj.io/hook-delete-policy: "HookSucceeded, HookFailed"`}, hook(manifests.PhaseBefore, manifests.Hook{DeleteSucceeded: true, DeleteFailed: true}), ""},
		"helm's delete policy":    {[]string{`helm.sh/hook: pre-install`, `helm.sh/hook-delete-policy: "before-hook-creation,hook-failed"`}, hook(manifests.PhaseBefore, manifests.Hook{DeleteFailed: true}), ""},
		"not applied by server":   {[]string{`argocd.argoproj.io/sync-options: ServerSideApply=false`}, &manifests.Rules{Write: manifests.WriteCreate}, ""},
		"not validated":           {[]string{`argocd.argoproj.io/sync-options: "Prune=false,Validate=false"`}, &manifests.Rules{Write: manifests.WriteCreate}, ""},
		"skip stays skip":         {[]string{`argocd.argoproj.io/hook: Skip`, `argocd.argoproj.io/sync-options: Validate=false`}, never, ""},
		"options without effect":  {[]string{`argocd.argoproj.io/sync-options: "Prune=false,Delete=false,Replace=true,Force=true,SkipDryRunOnMissingResource=true,ServerSideApply=true,PruneLast=true"`}, nil, ""},
		"unknown option":          {[]string{`argocd.argoproj.io/sync-options: Prnue=false`}, nil, `"Prnue=false" is not known`},
		"health ignored":          {[]string{`argocd.argoproj.io/ignore-healthcheck: "true"`}, &manifests.Rules{HealthIgnored: true}, ""},
		"health not ignored":      {[]string{`argocd.argoproj.io/ignore-healthcheck: "false"`}, nil, ""},
		"extraneous says nothing": {[]string{`argocd.argoproj.io/compare-options: IgnoreExtraneous`}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings := RulesOf(annotated(t, test.annotations...))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if test.warning == "" && len(warnings) > 0 {
				t.Errorf("warnings %q", warnings)
			}
			if test.warning != "" {
				contains(t, warnings, test.warning, "Job.batch shop/migrate (apps.yaml:1)")
			}
		})
	}
}

func TestDefinitionsAreNotWaitedFor(t *testing.T) {
	if rules, _ := RulesOf(app(t, here)); rules == nil || !rules.HealthIgnored {
		t.Errorf("rules %+v", rules)
	}
}

func TestNameHook(t *testing.T) {
	o := object(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: Migrate-, annotations: {argocd.argoproj.io/hook: PostSync}}\n")
	rules, _ := RulesOf(o)
	if !NameHook(o, rules, commit) || o.GetName() != "migrate-0123456-postsync" || o.GetGenerateName() != "" {
		t.Errorf("named %q, generateName %q", o.GetName(), o.GetGenerateName())
	}
	if plain := annotated(t); NameHook(plain, nil, commit) || plain.GetName() != "migrate" {
		t.Error("named what is no hook")
	}
}

func FuzzRulesOf(f *testing.F) {
	f.Add("PreSync", "1", "HookSucceeded", "Validate=false", "pre-install")
	f.Add(",", "99999999999999999999", ",,", "=", "crd-install,,")
	f.Fuzz(func(t *testing.T, hook, wave, policy, options, helm string) {
		o := annotated(t)
		o.SetAnnotations(map[string]string{
			annotationHook: hook, annotationWave: wave, annotationHookDelete: policy, annotationSyncOptions: options, annotationHelmHook: helm,
		})
		first, warnings := RulesOf(o)
		second, _ := RulesOf(o)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Error(diff)
		}
		for _, w := range warnings {
			if !strings.HasPrefix(w, "Job.batch") {
				t.Errorf("warning %q names no object", w)
			}
		}
	})
}
