package crds

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// TestPlanValidation holds plans against the rules that the API server enforces.
func TestPlanValidation(t *testing.T) {
	refused := planRules(t)
	within := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	url := func(s string) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) { p.Source.URL = s }
	}
	mirrors := func(urls ...string) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) {
			for _, u := range urls {
				p.Source.Mirrors = append(p.Source.Mirrors, v1alpha1.GitMirror{URL: u})
			}
		}
	}
	charts := func(from, to string) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) {
			p.ChartMirrors = append(p.ChartMirrors, v1alpha1.ChartMirror{From: from, To: to})
		}
	}
	verified := func(mode v1alpha1.GitVerifyMode, ref v1alpha1.GitRef) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) {
			p.Source.Ref = ref
			p.Source.Verify = &v1alpha1.GitVerification{Mode: mode, SecretRef: v1alpha1.LocalSecretReference{Name: "signers"}}
		}
	}
	argo := func(namespace string, clusters ...v1alpha1.ArgoCDCluster) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) {
			p.ArgoCD = &v1alpha1.ArgoCDPolicy{Namespace: namespace, Clusters: clusters}
		}
	}
	settled := func(id, reason string) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) {
			p.Teardown.Drain.Settled = []v1alpha1.SettledLeftover{{ID: id, Reason: reason, Until: metav1.Now()}}
		}
	}
	one := v1alpha1.ObjectPattern{Kind: "Deployment", Name: "agent"}
	drills := func(d v1alpha1.DrillPolicy) func(*v1alpha1.RecoveryPlanSpec) {
		return func(p *v1alpha1.RecoveryPlanSpec) { p.Drill = d }
	}
	for name, test := range map[string]struct {
		change  func(*v1alpha1.RecoveryPlanSpec)
		refused bool
	}{
		"a cluster of Argo CD by name":   {change: argo("gitops", v1alpha1.ArgoCDCluster{Name: "eu-1"})},
		"a cluster of Argo CD by server": {change: argo("", v1alpha1.ArgoCDCluster{Server: "https://eu.example.com"})},
		"a cluster without either":       {argo("", v1alpha1.ArgoCDCluster{}), true},
		"no name of a namespace":         {argo("Git_Ops"), true},
		"charts of a registry":           {change: charts("oci://quay.io", "oci://mirror.example.com:5000/quay")},
		"charts of a repository":         {change: charts("https://charts.example.com/stable", "oci://mirror.example.com")},
		"charts from this machine":       {change: charts("https://charts.example.com", "http://127.0.0.1:8080/charts")},
		"charts from this machine by v6": {change: charts("https://charts.example.com", "http://[::1]:8080/charts")},
		"repositories by ssh":            {change: charts("ssh://git.example.com/team", "https://mirror.example.com/team")},
		"repositories of a user":         {charts("ssh://git@git.example.com/team", "https://mirror.example.com/team"), true},
		"repositories in a registry":     {charts("ssh://git.example.com/team", "oci://mirror.example.com/team"), true},
		"charts in the clear":            {charts("https://charts.example.com", "http://mirror.example.com"), true},
		"charts from a look-alike":       {charts("https://charts.example.com", "http://127.0.0.1.example.com"), true},
		"charts with a login":            {charts("https://charts.example.com", "https://user:word@mirror.example.com"), true},
		"registry from a repository":     {charts("oci://quay.io", "https://mirror.example.com"), true},
		"charts of no address":           {charts("quay.io", "oci://mirror.example.com"), true},
		"a drill as it is":               {change: drills(v1alpha1.DrillPolicy{Profile: v1alpha1.ProfileNone})},
		"a drill as it is, classified":   {drills(v1alpha1.DrillPolicy{Profile: v1alpha1.ProfileNone, Neutralise: []v1alpha1.DrillClass{{ObjectPattern: one, How: "Omit"}}}), true},
		"another profile":                {drills(v1alpha1.DrillPolicy{Profile: "Brave"}), true},
		"classified":                     {change: drills(v1alpha1.DrillPolicy{Neutralise: []v1alpha1.DrillClass{{ObjectPattern: one, How: "ScaleToZero"}}})},
		"classified as something":        {drills(v1alpha1.DrillPolicy{Neutralise: []v1alpha1.DrillClass{{ObjectPattern: one, How: "Watch"}}}), true},
		"everything classified":          {drills(v1alpha1.DrillPolicy{Neutralise: []v1alpha1.DrillClass{{How: "Omit"}}}), true},
		"allowed in a drill":             {change: drills(v1alpha1.DrillPolicy{Allow: []v1alpha1.DrillException{{ObjectPattern: one, Reason: "reads only"}}})},
		"allowed without a reason":       {drills(v1alpha1.DrillPolicy{Allow: []v1alpha1.DrillException{{ObjectPattern: one}}}), true},
		"a destination":                  {change: drills(v1alpha1.DrillPolicy{Egress: &v1alpha1.DrillEgress{Allow: []v1alpha1.DrillDestination{{CIDR: "10.1.0.0/16", Ports: []int32{443}}, {CIDR: "fd00::/8"}}}})},
		"a destination by name":          {drills(v1alpha1.DrillPolicy{Egress: &v1alpha1.DrillEgress{Allow: []v1alpha1.DrillDestination{{CIDR: "git.example.com"}}}}), true},
		"a destination of port 0":        {drills(v1alpha1.DrillPolicy{Egress: &v1alpha1.DrillEgress{Allow: []v1alpha1.DrillDestination{{CIDR: "10.1.0.0/16", Ports: []int32{0}}}}}), true},
		"everywhere and somewhere":       {drills(v1alpha1.DrillPolicy{Egress: &v1alpha1.DrillEgress{Policy: v1alpha1.EgressAllow, Allow: []v1alpha1.DrillDestination{{CIDR: "10.1.0.0/16"}}}}), true},
		"no times":                       {change: func(*v1alpha1.RecoveryPlanSpec) {}},
		"longest times":                  {change: func(p *v1alpha1.RecoveryPlanSpec) { p.Waves.Timeout = *within(168 * time.Hour) }},
		"negative waves":                 {func(p *v1alpha1.RecoveryPlanSpec) { p.Waves.Timeout = *within(-1) }, true},
		"long readiness":                 {func(p *v1alpha1.RecoveryPlanSpec) { p.Cluster.Ready.Timeout = *within(169 * time.Hour) }, true},
		"long teardown":                  {func(p *v1alpha1.RecoveryPlanSpec) { p.Teardown.Timeout = *within(169 * time.Hour) }, true},
		"no objective":                   {func(p *v1alpha1.RecoveryPlanSpec) { p.Objective.RecoveryTime = within(0) }, true},
		"https":                          {change: url("https://git.example.com/a@b.git")},
		"https with token":               {url("https://TOKEN@git.example.com/a.git"), true},
		"https with login":               {url("https://user:word@git.example.com/a.git"), true},
		"ssh":                            {change: url("ssh://git.example.com/a.git")},
		"ssh with user":                  {change: url("ssh://git@git.example.com:22/a.git")},
		"ssh with login":                 {url("ssh://user:word@git.example.com/a.git"), true},
		"user, host, path":               {change: url("git@git.example.com:a.git")},
		"file":                           {change: url("file:///srv/a@b.git")},
		"optional by name":               {change: func(p *v1alpha1.RecoveryPlanSpec) { p.Waves.Optional = []v1alpha1.ObjectPattern{{Name: "preview-*"}} }},
		"optional: all":                  {func(p *v1alpha1.RecoveryPlanSpec) { p.Waves.Optional = []v1alpha1.ObjectPattern{{Group: "apps"}} }, true},
		"mirrors":                        {change: mirrors("https://git.example.com/a.git", "git@git.example.com:a.git", "file:///srv/a.git")},
		"mirror with login":              {mirrors("https://user:word@git.example.com/a.git"), true},
		"mirror elsewhere":               {mirrors("ftp://git.example.com/a.git"), true},
		"many mirrors":                   {mirrors(slices.Repeat([]string{"https://git.example.com/a.git"}, 9)...), true},
		"version range":                  {change: func(p *v1alpha1.RecoveryPlanSpec) { p.Source.Ref.SemVer = ">=1.0.0 <2.0.0" }},
		"range and tag":                  {func(p *v1alpha1.RecoveryPlanSpec) { p.Source.Ref = v1alpha1.GitRef{SemVer: "1.x", Tag: "v1.0.0"} }, true},
		"long range":                     {func(p *v1alpha1.RecoveryPlanSpec) { p.Source.Ref.SemVer = strings.Repeat("1", 129) }, true},
		"verified commit":                {change: verified("Commit", v1alpha1.GitRef{Branch: "main"})},
		"verified tag":                   {change: verified("Tag", v1alpha1.GitRef{Tag: "v1.0.0"})},
		"verified range":                 {change: verified("TagAndCommit", v1alpha1.GitRef{SemVer: "1.x"})},
		"verified no tag":                {verified("Tag", v1alpha1.GitRef{Branch: "main"}), true},
		"verified no ref":                {verified("TagAndCommit", v1alpha1.GitRef{}), true},
		"verified how":                   {verified("HEAD", v1alpha1.GitRef{}), true},
		"settled leftover":               {settled("192.0.2.1", "released"), false},
		"settled without a reason":       {settled("192.0.2.1", ""), true},
		"settled without an ID":          {settled("", "released"), true},
		"evaluated only when asked":      {change: func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.Every = within(0) }},
		"evaluated each minute":          {change: func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.Every = within(time.Minute) }},
		"evaluated all the time":         {func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.Every = within(time.Second) }, true},
		"evaluated backwards":            {func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.Every = within(-time.Hour) }, true},
		"evaluated hardly ever":          {func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.Every = within(169 * time.Hour) }, true},
		"a drill each quarter":           {change: func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.MaxDrillAge = within(90 * 24 * time.Hour) }},
		"a drill each minute":            {func(p *v1alpha1.RecoveryPlanSpec) { p.Evaluate.MaxDrillAge = within(time.Minute) }, true},
		"namespace of seeds":             {func(p *v1alpha1.RecoveryPlanSpec) { p.Seeds[0].Namespace = "Not_one" }, true},
	} {
		spec := v1alpha1.RecoveryPlanSpec{
			Source: v1alpha1.GitSource{URL: "https://git.example.com/a.git"}, Cluster: v1alpha1.ClusterTemplate{Name: "dev", Path: "capi"},
			State: []v1alpha1.StatePath{{Path: "state"}},
			Seeds: []v1alpha1.Seed{{SecretRef: v1alpha1.LocalSecretReference{Name: "age"}, Namespace: "flux-system"}},
		}
		test.change(&spec)
		if errs := refused(spec); (len(errs) > 0) != test.refused {
			t.Errorf("%s: refused for %v, want refused %t", name, errs, test.refused)
		}
	}
}

// TestDefinitionsAreAccepted holds the definitions against the API server's own checks,
// the cost of their rules among them.
func TestDefinitionsAreAccepted(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range all {
		var internal apiextensions.CustomResourceDefinition
		apiextensionsv1.SetDefaults_CustomResourceDefinition(definition)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&definition.Spec)
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(definition, &internal, nil); err != nil {
			t.Fatal(err)
		}
		internal.Status.StoredVersions = []string{"v1alpha1"}
		if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), &internal); len(errs) > 0 {
			t.Errorf("%s: %v", definition.Name, errs)
		}
	}
}

// TestRunIsImmutable changes one field of an order after the other. A run does what was
// ordered; all that can be said later is stop, go on and end.
func TestRunIsImmutable(t *testing.T) {
	refused := rulesOf(t, "RecoveryRun")
	ordered := func() v1alpha1.RecoveryRunSpec {
		return v1alpha1.RecoveryRunSpec{PlanRef: v1alpha1.PlanReference{Name: "dev"}, Operation: "Drill", Reason: "monthly", RequestedBy: "ada", Cluster: "dev"}
	}
	cancelled := ordered()
	cancelled.Cancel = &v1alpha1.Cancellation{Reason: "wrong cluster"}
	for name, test := range map[string]struct {
		from    v1alpha1.RecoveryRunSpec
		change  func(*v1alpha1.RecoveryRunSpec)
		refused bool
	}{
		"nothing":               {ordered(), func(*v1alpha1.RecoveryRunSpec) {}, false},
		"suspended":             {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = true }, false},
		"cancelled":             {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = cancelled.Cancel }, false},
		"cancelled and stopped": {cancelled, func(s *v1alpha1.RecoveryRunSpec) { s.Suspend = true }, false},
		"plan":                  {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.PlanRef.Name = "prod" }, true},
		"operation":             {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Operation = "Teardown" }, true},
		"reason":                {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Reason = "" }, true},
		"requester":             {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.RequestedBy = "grace" }, true},
		"requester taken away":  {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.RequestedBy = "" }, true},
		"cluster":               {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Cluster = "prod" }, true},
		"what is retried":       {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Operation, s.RetryOf = "Rebuild", "dev-1" }, true},
		"holds overridden":      {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.OverrideHolds = true }, true},
		"cancelled no more":     {cancelled, func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = nil }, true},
		"cancelled otherwise":   {cancelled, func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{Reason: "done"} }, true},
		"cancelled, no reason":  {ordered(), func(s *v1alpha1.RecoveryRunSpec) { s.Cancel = &v1alpha1.Cancellation{} }, true},
	} {
		to := test.from
		test.change(&to)
		if errs := refused(to, test.from); (len(errs) > 0) != test.refused {
			t.Errorf("%s: refused for %v, want refused %t", name, errs, test.refused)
		}
	}
}

func TestApprovalIsImmutable(t *testing.T) {
	refused := rulesOf(t, "RunApproval")
	given := v1alpha1.RunApprovalSpec{RunRef: v1alpha1.RunReference{Name: "dev-1"}, Digest: "sha256:0", TargetUID: "uid", ApprovedBy: "grace"}
	if errs := refused(given, given); len(errs) > 0 {
		t.Errorf("as it was: %v", errs)
	}
	for name, change := range map[string]func(*v1alpha1.RunApprovalSpec){
		"run":      func(s *v1alpha1.RunApprovalSpec) { s.RunRef.Name = "dev-2" },
		"digest":   func(s *v1alpha1.RunApprovalSpec) { s.Digest = "sha256:1" },
		"cluster":  func(s *v1alpha1.RunApprovalSpec) { s.TargetUID = "another" },
		"approver": func(s *v1alpha1.RunApprovalSpec) { s.ApprovedBy = "ada" },
		"expiry":   func(s *v1alpha1.RunApprovalSpec) { s.ExpiresAt = &metav1.Time{Time: time.Now()} },
	} {
		changed := given
		change(&changed)
		if len(refused(changed, given)) == 0 {
			t.Errorf("another %s is accepted", name)
		}
	}
}

func TestBudgetValidation(t *testing.T) {
	refused := rulesOf(t, "TeardownBudget")
	hourly := func(n int32) func(*v1alpha1.TeardownBudgetSpec) {
		return func(s *v1alpha1.TeardownBudgetSpec) { s.MaxPerHour = &n }
	}
	down := func(v intstr.IntOrString) func(*v1alpha1.TeardownBudgetSpec) {
		return func(s *v1alpha1.TeardownBudgetSpec) { s.MaxDown = &v }
	}
	waits := func(d time.Duration) func(*v1alpha1.TeardownBudgetSpec) {
		return func(s *v1alpha1.TeardownBudgetSpec) { hourly(1)(s); s.WaitFor = &metav1.Duration{Duration: d} }
	}
	for name, test := range map[string]struct {
		change  func(*v1alpha1.TeardownBudgetSpec)
		refused bool
	}{
		"no limit":         {func(*v1alpha1.TeardownBudgetSpec) {}, true},
		"one an hour":      {hourly(1), false},
		"freeze":           {hourly(0), false},
		"negative":         {hourly(-1), true},
		"too many":         {hourly(501), true},
		"number down":      {down(intstr.FromInt32(3)), false},
		"negative down":    {down(intstr.FromInt32(-3)), true},
		"none down":        {down(intstr.FromString("0%")), false},
		"a third down":     {down(intstr.FromString("33%")), false},
		"all down":         {down(intstr.FromString("100%")), false},
		"more than all":    {down(intstr.FromString("101%")), true},
		"number as string": {down(intstr.FromString("3")), true},
		"fraction":         {down(intstr.FromString("3.5%")), true},
		"fails at once":    {waits(0), false},
		"waits a week":     {waits(168 * time.Hour), false},
		"waits too long":   {waits(169 * time.Hour), true},
	} {
		spec := v1alpha1.TeardownBudgetSpec{PlanSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": "dev"}}}
		test.change(&spec)
		if errs := refused(spec, nil); (len(errs) > 0) != test.refused {
			t.Errorf("%s: refused for %v, want refused %t", name, errs, test.refused)
		}
	}
}

// planRules are those of a plan that is created.
func planRules(t *testing.T) func(v1alpha1.RecoveryPlanSpec) field.ErrorList {
	t.Helper()
	refused := rulesOf(t, "RecoveryPlan")
	return func(spec v1alpha1.RecoveryPlanSpec) field.ErrorList { return refused(spec, nil) }
}

// rulesOf the spec of a generated definition, as the API server evaluates them; old is nil
// for an object that is created.
func rulesOf(t *testing.T, kind string) func(spec, old any) field.ErrorList {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var internal apiextensions.JSONSchemaProps
	for _, definition := range all {
		if definition.Spec.Names.Kind == kind {
			spec := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&spec, &internal, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		t.Fatal(err)
	}
	plain, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		t.Fatal(err)
	}
	rules := cel.NewValidator(structural, false, celconfig.PerCallLimit)
	return func(spec, old any) field.ErrorList {
		content := contentOf(t, spec)
		errs := validation.ValidateCustomResource(nil, content, plain)
		var before any
		if old != nil {
			before = contentOf(t, old)
		}
		broken, _ := rules.Validate(t.Context(), nil, structural, content, before, celconfig.RuntimeCELCostBudget)
		return append(errs, broken...)
	}
}

func contentOf(t *testing.T, spec any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := utiljson.Unmarshal(raw, &content); err != nil {
		t.Fatal(err)
	}
	return content
}
