package crds

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestFailoverOfPlanValidation holds what a plan says of its failovers against the rules that
// the API server enforces.
func TestFailoverOfPlanValidation(t *testing.T) {
	refused := planRules(t)
	hook := func(url string) *v1alpha1.Hook { return &v1alpha1.Hook{URL: url} }
	hour := &metav1.Duration{Duration: time.Hour}
	good := hook("https://power.example.com/off")
	released := v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: good, Release: good}
	back := v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: hour}
	by := func(h *v1alpha1.Hook) v1alpha1.PlanFailover {
		return v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: h}}
	}
	secret := &v1alpha1.LocalSecretReference{Name: "hook"}
	for name, test := range map[string]struct {
		failover v1alpha1.PlanFailover
		refused  bool
	}{
		"nothing said":                     {v1alpha1.PlanFailover{}, false},
		"deleted":                          {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceDelete}}, false},
		"by a hook":                        {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: good, Release: good}}, false},
		"by no hook":                       {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook}}, true},
		"by both, without a hook":          {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceDeleteAfterHook}}, true},
		"by prayer":                        {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: "Pray"}}, true},
		"no URL":                           {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: hook("")}}, true},
		"another scheme":                   {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: hook("file:///etc/passwd")}}, true},
		"a password in the URL":            {by(hook("https://ada:secret@power.example.com/off")), true},
		"a user in the URL":                {by(hook("https://ada@power.example.com")), true},
		"an @ in the path":                 {by(hook("https://power.example.com:8443/off/@dev?to=a@b")), false},
		"a host alone":                     {by(hook("http://[::1]:8080")), false},
		"http without a Secret":            {by(hook("http://power.example.com/off")), false},
		"http with a Secret":               {by(&v1alpha1.Hook{URL: "http://power.example.com/off", SecretRef: secret}), true},
		"https with a Secret":              {by(&v1alpha1.Hook{URL: good.URL, SecretRef: secret}), false},
		"switch by http with a Secret":     {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: "http://dns", SecretRef: secret}}}, true},
		"switch by https with a Secret":    {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: "https://dns", SecretRef: secret}}}, false},
		"switch with a password":           {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: "https://a:b@dns"}}}, true},
		"two lines":                        {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: hook("https://a\nb")}}, true},
		"too long a hook":                  {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: "https://dns", Timeout: metav1.Duration{Duration: 2 * time.Hour}}}}, true},
		"switch hooks":                     {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: good.URL, Rollback: good}, {Name: "lb", URL: good.URL}}}, false},
		"a directory":                      {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", Apply: &v1alpha1.SwitchDirectory{Path: "dns"}}}}, false},
		"a directory and a hook":           {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: good.URL, Apply: &v1alpha1.SwitchDirectory{Path: "dns"}}}}, true},
		"a directory with a rollback":      {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns", Rollback: good, Apply: &v1alpha1.SwitchDirectory{Path: "dns"}}}}, true},
		"a switch that does nothing":       {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "dns"}}}, true},
		"a switch hook without a name":     {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{URL: good.URL}}}, true},
		"a name that is a path":            {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "../dns", URL: good.URL}}}, true},
		"seventeen switch hooks":           {v1alpha1.PlanFailover{Switch: make([]v1alpha1.SwitchHook, 17)}, true},
		"commit by hand":                   {v1alpha1.PlanFailover{Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitManual}}, false},
		"commit after some time":           {v1alpha1.PlanFailover{Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitAfter, After: hour}}, false},
		"commit after no time":             {v1alpha1.PlanFailover{Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitAfter}}, true},
		"roll back without release":        {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceHook, Hook: good}, Commit: back}, true},
		"roll back all":                    {v1alpha1.PlanFailover{Fence: released, Commit: back, Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: good.URL, Rollback: good}, {Name: "records", Apply: &v1alpha1.SwitchDirectory{Path: "dns"}}}}, false},
		"roll back a half":                 {v1alpha1.PlanFailover{Fence: released, Commit: back, Switch: []v1alpha1.SwitchHook{{Name: "dns", URL: good.URL, Rollback: good}, {Name: "lb", URL: good.URL}}}, true},
		"commit by hand without rollback":  {v1alpha1.PlanFailover{Switch: []v1alpha1.SwitchHook{{Name: "lb", URL: good.URL}}, Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitManual}}, false},
		"roll back":                        {v1alpha1.PlanFailover{Fence: released, Commit: back}, false},
		"roll back to what was deleted":    {v1alpha1.PlanFailover{Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: hour}}, true},
		"roll back to what was deleted, 2": {v1alpha1.PlanFailover{Fence: v1alpha1.FencePolicy{Method: v1alpha1.FenceDelete}, Commit: v1alpha1.CommitRule{Policy: v1alpha1.CommitRollBackAfter, After: hour}}, true},
	} {
		spec := v1alpha1.RecoveryPlanSpec{
			Source: v1alpha1.GitSource{URL: "https://git.example.com/a.git"}, Cluster: v1alpha1.ClusterTemplate{Name: "dev", Path: "capi"},
			State: []v1alpha1.StatePath{{Path: "state"}}, Failover: &test.failover,
		}
		if errs := refused(spec); (len(errs) > 0) != test.refused {
			t.Errorf("%s: refused for %v, want refused %t", name, errs, test.refused)
		}
	}
}

// TestRecoveryPointValidation bounds how old a backup may be.
func TestRecoveryPointValidation(t *testing.T) {
	refused := planRules(t)
	for age, no := range map[time.Duration]bool{0: true, -time.Hour: true, time.Second: false, 8760 * time.Hour: false, 8761 * time.Hour: true} {
		spec := v1alpha1.RecoveryPlanSpec{
			Source: v1alpha1.GitSource{URL: "https://git.example.com/a.git"}, Cluster: v1alpha1.ClusterTemplate{Name: "dev", Path: "capi"},
			State: []v1alpha1.StatePath{{Path: "state"}}, Objective: v1alpha1.Objective{RecoveryPoint: &metav1.Duration{Duration: age}},
		}
		if errs := refused(spec); (len(errs) > 0) != no {
			t.Errorf("%s: refused for %v, want refused %t", age, errs, no)
		}
	}
}

// TestFailoverOrderValidation: a failover says who takes over, nothing else does, and later
// on only its commit can be decided.
func TestFailoverOrderValidation(t *testing.T) {
	refused := rulesOf(t, "RecoveryRun")
	to := func(plan string) *v1alpha1.FailoverOrder {
		return &v1alpha1.FailoverOrder{To: v1alpha1.PlanReference{Name: plan}}
	}
	order := func(operation v1alpha1.Operation, failover *v1alpha1.FailoverOrder) v1alpha1.RecoveryRunSpec {
		return v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: operation, Failover: failover}
	}
	decided := func(s v1alpha1.RecoveryRunSpec, d v1alpha1.CommitDecision) v1alpha1.RecoveryRunSpec {
		s.Commit = d
		return s
	}
	graceful := order("Failover", to("other"))
	graceful.Failover.Mode = v1alpha1.FailoverGraceful
	for name, test := range map[string]struct {
		is, was v1alpha1.RecoveryRunSpec // was is the same when it has no operation
		refused bool
	}{
		"failover":                {is: order("Failover", to("other"))},
		"failback":                {is: order("Failback", to("dev"))},
		"failover to nobody":      {is: order("Failover", nil), refused: true},
		"failover to itself":      {is: order("Failover", to("dev")), refused: true},
		"failback to another":     {is: order("Failback", to("other")), refused: true},
		"rebuild that fails over": {is: order("Rebuild", to("other")), refused: true},
		"committed":               {is: decided(order("Failover", to("other")), "Commit"), was: order("Failover", to("other"))},
		"rolled back":             {is: decided(order("Failover", to("other")), "RollBack"), was: order("Failover", to("other"))},
		"decided otherwise":       {is: decided(order("Failover", to("other")), "Maybe"), refused: true},
		"a rebuild committed":     {is: decided(order("Rebuild", nil), "Commit"), refused: true},
		"to another one":          {is: order("Failover", to("third")), was: order("Failover", to("other")), refused: true},
		"another mode":            {is: graceful, was: order("Failover", to("other")), refused: true},
	} {
		was := test.was
		if was.Operation == "" {
			was = test.is
		}
		if errs := refused(test.is, was); (len(errs) > 0) != test.refused {
			t.Errorf("%s: refused for %v, want refused %t", name, errs, test.refused)
		}
	}
}

// TestUnfencedNeedsReason: who lets a run go on unfenced says why it is safe.
func TestUnfencedNeedsReason(t *testing.T) {
	refused := rulesOf(t, "RunApproval")
	given := v1alpha1.RunApprovalSpec{RunRef: v1alpha1.RunReference{Name: "dev-1"}, Digest: "sha256:0", TargetUID: "uid", ApprovedBy: "grace", Unfenced: true}
	if len(refused(given, given)) == 0 {
		t.Error("no reason is accepted")
	}
	given.Reason = "unplugged"
	if errs := refused(given, given); len(errs) > 0 {
		t.Errorf("a reason is refused: %v", errs)
	}
}
