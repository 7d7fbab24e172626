package cluster

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxMessage bounds a server's message, in bytes; some quote whole objects.
const maxMessage = 2048

// Secret is the kind whose values are never said.
var Secret = schema.GroupKind{Kind: "Secret"}

// Explain the error of a request about an object of a kind, in words. Of a Secret
// only reason and field paths are said, because the server quotes values.
func Explain(err error, kind schema.GroupKind) string {
	message := err.Error()
	if kind == Secret {
		message = withoutValues(err)
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

func withoutValues(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	said := "the API server refused the Secret (" + reasonOf(s) + ")"
	if s.Details == nil {
		return said + "; its answer is not shown, because it may quote the Secret"
	}
	var fields []string
	for _, c := range s.Details.Causes {
		if c.Field != "" {
			fields = append(fields, c.Field+" ("+string(c.Type)+")")
		}
	}
	if len(fields) > 0 {
		said += ": " + strings.Join(fields, ", ")
	}
	return said
}

func reasonOf(s metav1.Status) string {
	if s.Reason != "" && s.Reason != metav1.StatusReasonUnknown {
		return string(s.Reason)
	}
	return fmt.Sprintf("code %d", s.Code)
}
