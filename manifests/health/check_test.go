package health_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/refloat-dev/refloat/manifests"
	"github.com/refloat-dev/refloat/manifests/health"
)

// by is an environment in which one check holds for every object.
func by(c manifests.HealthCheck) health.Environment {
	return health.Environment{Check: func(manifests.ID) *manifests.HealthCheck { return &c }}
}

const conditions = "status: {conditions: [{type: Ready, status: 'False', reason: Busy, message: at work}, {type: Done, status: 'True'}]}"

func TestCEL(t *testing.T) {
	w := head("example.com/v1", "Widget")
	flux := manifests.HealthCheck{
		From:       "Kustomization apps",
		Current:    "status.phase == 'Up' && status.replicas >= spec.replicas",
		InProgress: "has(status.busy) && status.busy",
		Failed:     "status.phase == 'Broken'",
	}
	sim := by(flux)
	sim.Simulated = true
	check(t, map[string]sample{
		"current":     {object: w + "spec: {replicas: 2}\nstatus: {phase: Up, replicas: 2}", env: by(flux), status: health.Healthy},
		"not current": {object: w + "spec: {replicas: 2}\nstatus: {phase: Up, replicas: 1}", env: by(flux), status: health.Progressing, message: "its health check (Kustomization apps) does not say yet that it is current"},
		"in progress comes first": {
			object: w + "status: {phase: Broken, busy: true}", env: by(flux), status: health.Progressing,
			message: "its health check (Kustomization apps) says that it is in progress",
		},
		"failed comes second": {
			object: w + "status: {phase: Broken, conditions: [{type: Ready, status: 'False', message: no power}]}", env: by(flux), status: health.Failed,
			message: "its health check (Kustomization apps) says that it failed: no power",
		},
		"generation comes before": {
			object: "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: x, generation: 2}\nspec: {replicas: 1}\nstatus: {phase: Up, replicas: 1, observedGeneration: 1}",
			env:    by(flux), status: health.Progressing, message: "its controller has seen generation 1, not yet 2",
		},
		"deletion comes before": {
			object: "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: x, deletionTimestamp: '2020-01-01T00:00:00Z'}\nspec: {replicas: 1}\nstatus: {phase: Up, replicas: 1}",
			env:    by(flux), status: health.Progressing, message: "it is being deleted",
		},
		"instead of Ready": {object: w + conditions, env: by(manifests.HealthCheck{
			Current: "status.conditions.filter(e, e.type == 'Done').all(e, e.status == 'True')"}), status: health.Healthy},
		"simulated without a status": {
			object: w, env: sim, status: health.NotProvable,
			message: "its health check (Kustomization apps) reads a status that an operator writes, which does not run on a simulated cluster",
		},
		"simulated, built in": {
			object: head("v1", "ConfigMap") + "data: {a: b}",
			env:    health.Environment{Simulated: true, Check: by(manifests.HealthCheck{Current: "data.a == 'b'"}).Check}, status: health.Healthy,
		},
	})
	for name, c := range map[string]struct {
		text, say string
		status    health.Status
	}{
		"no status yet":  {"status.phase == 'Up'", "could not be evaluated: no such attribute", health.Progressing},
		"no condition":   {"1 + 1", "it gives no true or false", health.Progressing},
		"syntax":         {"status.(", "is not valid: ", health.Failed},
		"no expressions": {"", "does not say yet", health.Progressing},
		"swelling":       {"metadata.name.replace('', metadata.name) == ''", "replace is not supported", health.Failed},
		"too long":       {strings.Repeat(" ", 70_000), "is longer than", health.Failed},
		"endless": {"[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, " +
			"[1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, [1,2,3,4,5,6,7,8,9].all(g, [1,2,3,4,5,6,7,8,9].all(h, true))))))))",
			"was stopped: make it simpler", health.Progressing},
	} {
		t.Run(name, func(t *testing.T) { stops(t, w, manifests.HealthCheck{Current: c.text}, c.status, c.say) })
	}
}

// stops assesses by a check that is at fault: in time, and never as healthy.
func stops(t *testing.T, object string, c manifests.HealthCheck, want health.Status, say string) {
	t.Helper()
	begun := time.Now()
	a := health.Assess(live(t, object), by(c))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	if a.Status != want || !strings.Contains(a.Message, say) {
		t.Errorf("got %s %q, want %s and %q", a.Status, a.Message, want, say)
	}
}

// argo is a script in the manner of Argo CD's own.
const argo = `
hs = {}
hs.status = "Progressing"
hs.message = "waiting"
if obj.status ~= nil and obj.status.conditions ~= nil then
  for i, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" then
      local what = string.lower(condition.reason or "") .. ", " .. (condition.message or "") .. " " .. #obj.status.conditions
      if condition.status == "True" then hs.status = "Healthy" else hs.status = "Degraded" end
      hs.message = what
    end
  end
end
return hs`

func TestLua(t *testing.T) {
	w := head("example.com/v1", "Widget")
	env := by(manifests.HealthCheck{From: "argocd-cm", Lua: argo})
	returns := func(status string) health.Environment {
		return by(manifests.HealthCheck{Lua: `return {status = "` + status + `", message = "as told"}`})
	}
	check(t, map[string]sample{
		"healthy":    {object: w + "status: {conditions: [{type: Ready, status: 'True'}]}", env: env, status: health.Healthy},
		"degraded":   {object: w + conditions, env: env, status: health.Failed, message: "its health check (argocd-cm) says that it is degraded: busy, at work 2"},
		"no status":  {object: w, env: env, status: health.Progressing, message: "its health check (argocd-cm) says that it is progressing: waiting"},
		"suspended":  {object: w, env: returns("Suspended"), status: health.Healthy, message: "its health check says that it is suspended: as told"},
		"missing":    {object: w, env: returns("Missing"), status: health.Progressing, message: "its health check says that it is missing: as told"},
		"unknown":    {object: w, env: returns("Unknown"), status: health.Progressing, message: "its health check says that it is unknown: as told"},
		"made up":    {object: w, env: returns("Splendid"), status: health.Progressing, message: `its health check gives the status "Splendid", which does not exist`},
		"of nothing": {object: w, env: by(manifests.HealthCheck{Lua: "return {}"}), status: health.Progressing, message: "its health check gives no status"},
	})
}

func TestLuaSandbox(t *testing.T) {
	w := head("example.com/v1", "Widget")
	good := "\nreturn {status = 'Healthy'}"
	const stopped, progressing = "was stopped: make it simpler", health.Progressing
	for name, c := range map[string]struct {
		text, say string
		status    health.Status
	}{
		"loop":               {"while true do end" + good, stopped, progressing},
		"loop that catches":  {"while true do pcall(function() while true do end end) end" + good, stopped, progressing},
		"recursion":          {"local function f() return 1 + f() end f()" + good, "stack overflow", progressing},
		"doubling":           {"local s = 'xxxxxxxxxxxxxxxx' for i = 1, 60 do s = s .. s end" + good, stopped, progressing},
		"doubling, by field": {"local t = {s = 'xxxxxxxxxxxxxxxx'} for i = 1, 60 do t = {s = t.s .. t.s} end" + good, stopped, progressing},
		"repeating":          {"local s = string.rep('x', 2000000000)" + good, stopped, progressing},
		"joining":            {"local t, s = {}, string.rep('x', 1000000) for i = 1, 1000 do t[i] = s end s = table.concat(t)" + good, stopped, progressing},
		"wide":               {"local s = string.format('%1000000d', 1)" + good, "width", progressing},
		"replacing":          {"local s = string.rep('x', 100000) s = s:gsub('x', s)" + good, stopped, progressing},
		"searching":          {"local s = string.rep('a', 1000) s:find('.*.*.*.*.*b')" + good, "too costly", progressing},
		"searching on":       {"for m in string.gmatch(string.rep('a', 9000), '.-.-b') do end" + good, "too costly", progressing},
		"one high index":     {"local t = {} for i = 1, 5000 do t[i] = {} t[i][60000000] = 1 end" + good, "", health.Healthy},
		"growing":            {"local t = {} while true do t[#t + 1] = {} end" + good, stopped, progressing},
		"io":                 {"io.open('/etc/passwd')" + good, "nil", progressing},
		"os":                 {"os.exit(1)" + good, "nil", progressing},
		"require":            {"require('os')" + good, "non-function", progressing},
		"load":               {"load('return 1')()" + good, "non-function", progressing},
		"loadstring":         {"loadstring('return 1')()" + good, "non-function", progressing},
		"dofile":             {"dofile('/etc/passwd')" + good, "non-function", progressing},
		"print":              {"print('x')" + good, "non-function", progressing},
		"debug":              {"debug.traceback()" + good, "nil", progressing},
		"coroutine":          {"coroutine.create(print)" + good, "nil", progressing},
		"syntax":             {"return {", "is not valid: ", health.Failed},
		"no table":           {"return 1", "returns no table", progressing},
		"nil field":          {"return {status = obj.status.phase}", "nil", progressing},
		"its own error":      {"error('the moon is full')", "the moon is full", progressing},
		"patterns":           {"if string.match('v1.22.3', '^v(%d+)%.(%d+)') == '1' and ('a-b'):gsub('-', '+') == 'a+b' then" + good + " end", "", health.Healthy},
		"iterating":          {"local n = 0 for w in string.gmatch('a b c', '%a') do n = n + 1 end if n == 3 then" + good + " end", "", health.Healthy},
	} {
		t.Run(name, func(t *testing.T) { stops(t, w, manifests.HealthCheck{Lua: c.text}, c.status, c.say) })
	}
}

func TestChecksOfSecretsQuoteNothing(t *testing.T) {
	s := head("v1", "Secret") + "data: {password: Y2FuYXJ5}"
	for _, c := range []manifests.HealthCheck{
		{Current: "int(data.password) == 1"},
		{Lua: "error(obj.data.password)"},
		{Lua: "return {status = 'Degraded', message = obj.data.password}"},
	} {
		if a := health.Assess(live(t, s), by(c)); a.Status == health.Healthy || strings.Contains(a.Message, "Y2FuYXJ5") {
			t.Errorf("%+v: %s %q", c, a.Status, a.Message)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, good := range []manifests.HealthCheck{{Lua: argo}, {Current: "true", Failed: "status.x == 1"}} {
		if err := health.Validate(&good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []manifests.HealthCheck{{}, {Lua: "return {"}, {Current: "true", InProgress: "(("}, {Failed: "true"}} {
		bad.From = "argocd-cm"
		if err := health.Validate(&bad); err == nil || !strings.Contains(err.Error(), "(argocd-cm) is not valid: ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestSettling(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	object := "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: x, creationTimestamp: '2026-01-02T03:04:05Z'}\n"
	reported := health.Environment{StatusSubresource: func(schema.GroupVersionKind) bool { return true }}
	broken := by(manifests.HealthCheck{Failed: "true"})
	degraded := by(manifests.HealthCheck{Lua: "return {status = 'Degraded'}"})
	for name, c := range map[string]struct {
		env   health.Environment
		after time.Duration
		now   health.Status
		then  health.Status
		in    time.Duration
	}{
		"unreported, new":                   {reported, time.Second, health.Progressing, health.Healthy, 29 * time.Second},
		"unreported, old":                   {reported, 30 * time.Second, health.Healthy, "", 0},
		"unreported, by a clock far behind": {reported, -time.Hour, health.Progressing, health.Healthy, 30 * time.Second},
		"failed by CEL, new":                {broken, time.Second, health.Progressing, health.Failed, 29 * time.Second},
		"failed by CEL, old":                {broken, time.Minute, health.Failed, "", 0},
		"degraded by Lua, new":              {degraded, time.Second, health.Progressing, health.Failed, 29 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c.env.Now = created.Add(c.after)
			a := health.Assess(live(t, object), c.env)
			if a.Status != c.now {
				t.Errorf("now %s %q, want %s", a.Status, a.Message, c.now)
			}
			if c.then == "" && a.Settles == nil {
				return
			}
			if a.Settles == nil || a.Settles.Status != c.then || !a.Settles.At.Equal(c.env.Now.Add(c.in)) || a.Settles.Message != a.Message {
				t.Errorf("settles to %+v", a.Settles)
			}
		})
	}
	reported.Now, reported.Settle = created.Add(2*time.Second), time.Second
	if a := health.Assess(live(t, object), reported); a.Status != health.Healthy || a.Message != "no operator has reported on it yet" {
		t.Errorf("a shorter time to settle: %s %q", a.Status, a.Message)
	}
}

func TestKnownKinds(t *testing.T) {
	gateway := head("gateway.networking.k8s.io/v1", "Gateway")
	route := head("gateway.networking.k8s.io/v1", "HTTPRoute")
	app := head("argoproj.io/v1alpha1", "Application")
	roll := head("argoproj.io/v1alpha1", "Rollout")
	sealed := head("bitnami.com/v1alpha1", "SealedSecret")
	check(t, map[string]sample{
		"gateway": {object: gateway + "status: {conditions: [{type: Accepted, status: 'True'}, {type: Programmed, status: 'True'}]}", status: health.Healthy},
		"gateway, not programmed": {
			object: gateway + "status: {conditions: [{type: Accepted, status: 'True'}, {type: Programmed, status: 'False', reason: AddressNotAssigned, message: no address}]}",
			status: health.Progressing, message: "it is not Programmed: AddressNotAssigned: no address",
		},
		"gateway, silent about it": {
			object: gateway + "status: {conditions: [{type: Accepted, status: 'True'}]}",
			status: health.Progressing, message: "its operator does not say yet that it is Programmed",
		},
		"route": {object: route + "status: {parents: [{parentRef: {name: g}, conditions: [{type: Accepted, status: 'True'}]}]}", status: health.Healthy},
		"route, refused": {
			object: route + "status: {parents: [{parentRef: {name: g}, conditions: [{type: Accepted, status: 'False', reason: NotAllowedByListeners}]}]}",
			status: health.Progressing, message: "Gateway g does not accept it: NotAllowedByListeners",
		},
		"route, not seen": {object: route + "status: {parents: []}", status: health.Progressing, message: "no Gateway has looked at it yet"},
		"application":     {object: app + "status: {health: {status: Healthy}, sync: {status: Synced}}", status: health.Healthy},
		"application, out of sync": {
			object: app + "status: {health: {status: Healthy}, sync: {status: OutOfSync}, operationState: {message: one failed}}",
			status: health.Progressing, message: `the application is "OutOfSync", not Synced: one failed`,
		},
		"application, degraded": {
			object: app + "status: {health: {status: Degraded}, sync: {status: Synced}}",
			status: health.Progressing, message: `the application is "Degraded", not Healthy`,
		},
		"rollout": {object: roll + "status: {phase: Healthy}", status: health.Healthy},
		// Its controller writes the generation as text.
		"rollout, degraded, generation as text": {object: roll + "status: {phase: Degraded, message: deadline, observedGeneration: \"2\"}", status: health.Progressing, message: `the rollout is "Degraded", not Healthy: deadline`},
		"rollout, generation as text":           {object: roll + "status: {phase: Healthy, observedGeneration: \"2\"}", status: health.Healthy},
		"rollout, paused":                       {object: roll + "status: {phase: Paused, message: CanaryPauseStep}", status: health.Healthy, message: "paused: CanaryPauseStep"},
		"rollout, degraded":                     {object: roll + "status: {phase: Degraded, message: deadline}", status: health.Progressing, message: `the rollout is "Degraded", not Healthy: deadline`},
		"sealed secret":                         {object: sealed + "status: {conditions: [{type: Synced, status: 'True'}]}", status: health.Healthy},
		"sealed secret, wrong key": {
			object: sealed + "status: {conditions: [{type: Synced, status: 'False', message: no key could decrypt secret}]}",
			status: health.Progressing, message: "it is not Synced: no key could decrypt secret",
		},
		"provider": {
			object: head("pkg.crossplane.io/v1", "Provider") + "status: {conditions: [{type: Installed, status: 'True'}, {type: Healthy, status: 'Unknown', reason: Unhealthy}]}",
			status: health.Progressing, message: "it is not Healthy: Unhealthy",
		},
		"prometheus": {
			object: head("monitoring.coreos.com/v1", "Prometheus") + "status: {conditions: [{type: Available, status: 'True'}, {type: Reconciled, status: 'True'}]}", status: health.Healthy,
		},
		"snapshot": {
			object: head("snapshot.storage.k8s.io/v1", "VolumeSnapshot") + "status: {readyToUse: false, error: {message: no driver}}",
			status: health.Progressing, message: "the snapshot is not ready to use: no driver",
		},
		"storage location": {
			object: head("velero.io/v1", "BackupStorageLocation") + "status: {phase: Unavailable, message: no bucket}",
			status: health.Progressing, message: `its phase is "Unavailable", not Available: no bucket`,
		},
		"restore under way": {
			object: head("velero.io/v1", "Restore") + "status: {phase: InProgress}",
			status: health.Progressing, message: `the restore is "InProgress", not Completed`,
		},
		"restore that nobody took up": {object: head("velero.io/v1", "Restore"), status: health.Progressing, message: "Velero has not taken the restore up yet"},
		"restore in a simulation": {
			object: head("velero.io/v1", "Restore"), env: simulated, status: health.NotProvable, message: "Velero, which restores, does not run on a simulated cluster",
		},
		"restore": {object: head("velero.io/v1", "Restore") + "status: {phase: Completed}", status: health.Healthy},
		"restore of half": {
			object: head("velero.io/v1", "Restore") + "status: {phase: PartiallyFailed, failureReason: no volume}",
			status: health.Failed, message: "the restore is PartiallyFailed: no volume",
		},
		"restore of nothing": {
			object: head("velero.io/v1", "Restore") + "status: {phase: FailedValidation, validationErrors: [no such backup]}",
			status: health.Failed, message: "the restore is FailedValidation: no such backup",
		},
	})
}
