package chaos

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refloat-dev/refloat/api/v1alpha1"
	"github.com/refloat-dev/refloat/internal/witness"
)

// TestTable counts a point that passed, one that failed, and one whose write never came.
func TestTable(t *testing.T) {
	point := func(text string) Point {
		p, err := ParsePoint(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var out strings.Builder
	done := newTable(nil)
	done.add(Result{Point: point("Rebuild:409:1"), Hit: "POST leases", Resumed: time.Second})
	done.add(Result{Point: point("Rebuild:409:2"), Hit: "POST leases", Breaches: []witness.Breach{{Rule: "created-once", What: "x"}}})
	done.add(Result{Point: point("Drill:409:99")})
	done.print(&out, time.Minute)
	for _, want := range []string{"409     1, 1 FAILED   0          0 (1 missed)   0          0", "created-once: 1 times", "1 points were missed", "1s (median)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if !strings.HasSuffix(out.String(), "\n1 passed, 1 failed\n") {
		t.Errorf("the last line is not the sum:\n%s", out.String())
	}
}

// TestMaskLeavesWhatCounts compares ends that differ by chance, and ends that differ.
func TestMaskLeavesWhatCounts(t *testing.T) {
	end := func(namespace, drill, uid, value string) *outcome {
		run := &v1alpha1.RecoveryRun{Spec: v1alpha1.RecoveryRunSpec{Operation: v1alpha1.OperationDrill},
			Status: v1alpha1.RecoveryRunStatus{Target: &v1alpha1.Incarnation{Name: drill}}}
		u := &unstructured.Unstructured{Object: map[string]any{"kind": "ConfigMap", "data": map[string]any{"value": value, "of": drill + " in " + namespace, "at": "2026-01-01T00:00:0" + uid[:1] + "Z"}}}
		u.SetUID("01234567-89ab-cdef-0123-4567890abcd" + "1")
		u.SetOwnerReferences([]metav1.OwnerReference{{UID: "01234567-89ab-cdef-0123-4567890abcd2", Name: drill}})
		content, err := newMask(run, namespace).of(u)
		if err != nil {
			t.Fatal(err)
		}
		return &outcome{result: "Succeeded", objects: map[string]any{"ConfigMap": content}}
	}
	a := end("chaos-1-x", "dev-drill-111111", "1", "same")
	if d := a.differences(end("chaos-2-x", "dev-drill-222222", "2", "same")); len(d) > 0 {
		t.Errorf("equal ends differ: %v", d)
	}
	if d := a.differences(end("chaos-2-x", "dev-drill-222222", "2", "other")); len(d) != 1 {
		t.Errorf("%d differences, want 1: %v", len(d), d)
	}
	other := end("chaos-2-x", "dev-drill-222222", "2", "same")
	other.result, other.objects["Lease"] = "Failed", "x"
	delete(other.objects, "ConfigMap")
	if d := a.differences(other); len(d) != 3 {
		t.Errorf("%d differences, want 3: %v", len(d), d)
	}
}
