package health

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxMessage bounds what an object's own status can add to a report, in bytes.
const maxMessage = 512

func healthy(format string, args ...any) Assessment {
	return Assessment{Status: Healthy, Message: fmt.Sprintf(format, args...)}
}

func progressing(format string, args ...any) Assessment {
	return Assessment{Status: Progressing, Message: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) Assessment {
	return Assessment{Status: Failed, Message: fmt.Sprintf(format, args...)}
}

func notProvable(format string, args ...any) Assessment {
	return Assessment{Status: NotProvable, Message: fmt.Sprintf(format, args...)}
}

// bounded is the message on one line, cut at maxMessage.
func bounded(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// condition of a status in the form that all of Kubernetes uses.
type condition struct {
	Status, Reason, Message string
}

// why is the message, or the reason when there is no message.
func (c condition) why() string {
	switch {
	case c.Message == "":
		return c.Reason
	case c.Reason == "" || strings.Contains(c.Message, c.Reason):
		return c.Message
	}
	return c.Reason + ": " + c.Message
}

func conditionOf(u *unstructured.Unstructured, kind string) condition {
	list, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "conditions")
	for _, c := range maps(list) {
		if c["type"] == kind {
			return condition{Status: text(c["status"]), Reason: text(c["reason"]), Message: text(c["message"])}
		}
	}
	return condition{}
}

// maps are the objects in a list; anything else yields none.
func maps(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func stringAt(u *unstructured.Unstructured, path ...string) string {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	return text(v)
}

func boolAt(u *unstructured.Unstructured, path ...string) bool {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	b, _ := v.(bool)
	return b
}

// intAt reads a whole number, whichever decoder made it.
func intAt(u *unstructured.Unstructured, or int64, path ...string) int64 {
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	switch n := v.(type) {
	case int64:
		return n
	case int:
		return int64(n)
	case float64:
		return int64(n)
	case string:
		if number, err := strconv.ParseInt(n, 10, 64); err == nil {
			return number
		}
	}
	return or
}

func finalizers(u *unstructured.Unstructured) string {
	if f := u.GetFinalizers(); len(f) > 0 {
		return ", held by " + strings.Join(f, ", ")
	}
	return ""
}

// generationLag is the rule that the status must speak of the latest spec.
func generationLag(u *unstructured.Unstructured) (Assessment, bool) {
	generation, observed := u.GetGeneration(), intAt(u, -1, "status", "observedGeneration")
	if generation == 0 || observed < 0 || observed == generation {
		return Assessment{}, false
	}
	return progressing("its controller has seen generation %d, not yet %d", observed, generation), true
}
