package recovery

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

func scheduled(schedule, name string, limit, priority int32, due int, started bool) v1alpha1.RecoveryRun {
	at := metav1.NewMicroTime(time.Unix(int64(due), 0))
	run := v1alpha1.RecoveryRun{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec: v1alpha1.RecoveryRunSpec{Schedule: &v1alpha1.ScheduledTime{
			Name: schedule, UID: types.UID(schedule), Concurrency: limit, Priority: priority, Due: at,
		}},
	}
	if started {
		run.Status.StartedAt = &at
	}
	return run
}

func TestQueue(t *testing.T) {
	manual := scheduled("", "manual", 0, 0, 0, true)
	manual.Spec.Schedule = nil
	stopped := scheduled("s", "stopped", 1, 9, 0, false)
	stopped.Spec.Suspend = true
	drill := scheduled("s", "drill", 1, 9, 0, false)
	drill.Spec.Operation = v1alpha1.OperationDrill
	const aws, azure = "AWSCluster.infrastructure.cluster.x-k8s.io", "AzureCluster.infrastructure.cluster.x-k8s.io"
	perProvider := QueueLimits{PerProvider: map[string]int{aws: 1, "AzureCluster": 1}}
	by := func(provider string, run v1alpha1.RecoveryRun) v1alpha1.RecoveryRun {
		run.Spec.Schedule.Infrastructure = provider
		return run
	}
	pinned := by(azure, scheduled("o", "x", 0, 0, 0, true))
	pinned.Status.Pinned = &v1alpha1.PinnedInputs{Infrastructure: aws}
	for name, test := range map[string]struct {
		others []v1alpha1.RecoveryRun
		run    v1alpha1.RecoveryRun
		taken  string
		limits QueueLimits
		says   string
	}{
		"alone":                   {run: scheduled("s", "a", 1, 0, 1, false)},
		"no limit":                {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 0, 0, 0, true)}, run: scheduled("s", "a", 0, 0, 1, false)},
		"one works":               {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 0, true)}, run: scheduled("s", "a", 1, 0, 1, false), says: "1 of 1 in the queue of schedule s, of which 1 runs work"},
		"room for two":            {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 2, 0, 0, true)}, run: scheduled("s", "a", 2, 0, 1, false)},
		"another was due earlier": {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 0, false)}, run: scheduled("s", "a", 1, 0, 1, false), says: "2 of 2"},
		"another was due later":   {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 2, false)}, run: scheduled("s", "a", 1, 0, 1, false)},
		"another is urgent":       {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 5, 2, false)}, run: scheduled("s", "a", 1, 0, 1, false), says: "2 of 2"},
		"a drill goes last":       {others: []v1alpha1.RecoveryRun{drill}, run: scheduled("s", "a", 1, 0, 1, false)},
		"a drill waits":           {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 2, false)}, run: drill, says: "2 of 2"},
		"another may start":       {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 2, false)}, run: scheduled("s", "a", 1, 0, 1, false), taken: "x", says: "1 of 1"},
		"it may start":            {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 0, true)}, run: scheduled("s", "a", 1, 0, 1, false), taken: "a"},
		"another schedule":        {others: []v1alpha1.RecoveryRun{scheduled("o", "x", 1, 0, 0, true)}, run: scheduled("s", "a", 1, 0, 1, false)},
		"behind one that stands":  {others: []v1alpha1.RecoveryRun{stopped}, run: scheduled("s", "a", 1, 0, 1, false)},
		"the controller's limit":  {others: []v1alpha1.RecoveryRun{manual}, run: scheduled("s", "a", 0, 0, 1, false), limits: QueueLimits{Active: 1}, says: "1 of 1 in the queue of the controller"},
		"the provider's limit":    {others: []v1alpha1.RecoveryRun{by(aws, scheduled("o", "x", 0, 0, 0, true))}, run: by(aws, scheduled("s", "a", 0, 0, 1, false)), limits: perProvider, says: "1 of 1 in the queue of provider AWSCluster.infrastructure.cluster.x-k8s.io, for which 1 runs work"},
		"its kind alone":          {others: []v1alpha1.RecoveryRun{by(azure, scheduled("o", "x", 0, 0, 0, true))}, run: by(azure, scheduled("s", "a", 0, 0, 1, false)), limits: perProvider, says: "1 of 1 in the queue of provider AzureCluster"},
		"another provider":        {others: []v1alpha1.RecoveryRun{by(azure, scheduled("o", "x", 0, 0, 0, true))}, run: by(aws, scheduled("s", "a", 0, 0, 1, false)), limits: perProvider},
		"a provider of no limit":  {others: []v1alpha1.RecoveryRun{by("Other.x", scheduled("o", "x", 0, 0, 0, true))}, run: by("Other.x", scheduled("s", "a", 0, 0, 1, false)), limits: perProvider},
		"a provider not known":    {others: []v1alpha1.RecoveryRun{scheduled("o", "x", 0, 0, 0, true)}, run: scheduled("s", "a", 0, 0, 1, false), limits: perProvider},
		"as its inputs say":       {others: []v1alpha1.RecoveryRun{pinned}, run: by(aws, scheduled("s", "a", 0, 0, 1, false)), limits: perProvider, says: "1 of 1 in the queue of provider"},
		"people wait for nobody":  {others: []v1alpha1.RecoveryRun{scheduled("s", "x", 1, 0, 0, true)}, run: manual, limits: QueueLimits{Active: 1}},
	} {
		got := Behind(&test.run, append(test.others, test.run), map[types.UID]bool{types.UID(test.taken): true}, test.limits)
		if (got == "") != (test.says == "") || !strings.Contains(got, test.says) {
			t.Errorf("%s: %q, want %q", name, got, test.says)
		}
	}
}

// TestNext finds few among many: that one run ends must not wake up all that wait.
func TestNext(t *testing.T) {
	var all []v1alpha1.RecoveryRun
	for i := range 100 {
		all = append(all, scheduled("s", fmt.Sprintf("s-%03d", 99-i), 3, 0, 99-i, false), scheduled("o", fmt.Sprintf("o-%03d", i), 2, 0, i, i < 2))
	}
	manual := scheduled("", "manual", 0, 0, 0, false)
	manual.Spec.Schedule = nil
	var names []string
	found := map[string]bool{}
	for _, run := range Next(append(all, manual)) {
		names = append(names, run.Name)
		found[run.Name] = true
	}
	if len(names) != 6 || !found["s-000"] || !found["s-001"] || !found["s-002"] || !found["o-002"] || !found["o-003"] || !found["manual"] {
		t.Errorf("%v", names)
	}
}
