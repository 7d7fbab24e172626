package health

import (
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fromKstatus translates the library's answer. A status that it cannot read is one
// that never becomes good, so it is a failure for the kinds of Kubernetes itself.
func fromKstatus(u *unstructured.Unstructured) Assessment {
	r, err := compute(u)
	if err != nil {
		return failed("its status cannot be read: %v", err)
	}
	return translate(r)
}

func translate(r *status.Result) Assessment {
	switch r.Status {
	case status.CurrentStatus:
		return healthy("")
	case status.FailedStatus:
		return failed("%s", explain(r))
	default:
		return progressing("%s", explain(r))
	}
}

// explain prefers the condition, which carries the controller's own words.
func explain(r *status.Result) string {
	for _, c := range r.Conditions {
		if c.Message != "" && c.Message != r.Message {
			return c.Reason + ": " + c.Message
		}
	}
	if r.Message == "" {
		return "it does not say why"
	}
	return r.Message
}

// compute guards against the library's type assertions, which a malformed status
// would make panic.
func compute(u *unstructured.Unstructured) (r *status.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	return status.Compute(u)
}

// custom assesses a kind that Kubernetes does not know. Without any known condition
// kstatus takes such an object for current; the message then says how little that is.
func custom(u *unstructured.Unstructured, env Environment) Assessment {
	if silent(u) {
		return unreported(u, env)
	}
	rule, ok := known[u.GroupVersionKind().GroupKind()]
	r, err := compute(u)
	switch {
	case err != nil && ok: // Argo Rollouts writes observedGeneration as text
		return rule(u)
	case err != nil:
		return healthy("its status has an unusual form and says nothing about readiness")
	}
	if a := translate(r); !ok || a.Status != Healthy {
		return a
	}
	return rule(u)
}

// silent tells whether nobody has written a status.
func silent(u *unstructured.Unstructured) bool {
	reported, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status")
	content, ok := reported.(map[string]any)
	return reported == nil || ok && len(content) == 0
}

func unreported(u *unstructured.Unstructured, env Environment) Assessment {
	if u.GroupVersionKind().GroupKind() == restores {
		// Its kind has no subresource for the status, and what it is for has not begun.
		if env.Simulated {
			return notProvable("Velero, which restores, does not run on a simulated cluster")
		}
		return progressing("Velero has not taken the restore up yet")
	}
	if env.StatusSubresource == nil || !env.StatusSubresource(u.GroupVersionKind()) {
		return healthy("")
	}
	if env.Simulated {
		return notProvable("its status is written by an operator, which does not run on a simulated cluster")
	}
	return env.settling(u, healthy("no operator has reported on it yet"))
}
