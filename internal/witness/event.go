package witness

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The servers of a case.
const (
	Management = "management"
	// Live is the cluster that was there before the run; nobody may write to it.
	Live = "live"
	// Workload is the cluster that the run makes.
	Workload = "workload"
	// Receiver of hooks. It has no audit log: its calls are part of the case.
	Receiver = "receiver"
)

// Event is one line of an audit log, as far as rules look at it.
type Event struct {
	// Server whose log it is in.
	Server string `json:"-"`

	Stage      string `json:"stage"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	// As is who the user acts as.
	As struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	ObjectRef struct {
		APIGroup, Resource, Namespace, Name, Subresource string
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject  json.RawMessage  `json:"requestObject"`
	ResponseObject json.RawMessage  `json:"responseObject"`
	Received       metav1.MicroTime `json:"requestReceivedTimestamp"`
	Completed      metav1.MicroTime `json:"stageTimestamp"`
}

// Parse one line of an audit log.
func Parse(server string, line []byte) (Event, error) {
	e := Event{Server: server}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("read a line of the audit log of %s: %w", server, err)
	}
	return e, nil
}

// Wrote tells whether the request changed, or could have changed, something.
func (e Event) Wrote() bool {
	switch e.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
	default:
		return false
	}
	uri, err := url.Parse(e.RequestURI)
	return e.succeeded() && e.ObjectRef.Resource != "" && (err != nil || uri.Query().Get("dryRun") == "") && !strings.HasSuffix(e.ObjectRef.Resource, "reviews")
}

func (e Event) succeeded() bool {
	return e.ResponseStatus.Code >= http.StatusOK && e.ResponseStatus.Code < http.StatusMultipleChoices
}

// is tells whether the request is about a resource, or its subresource after a slash.
func (e Event) is(resource string) bool {
	have := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		have += "/" + e.ObjectRef.Subresource
	}
	return have == resource
}

// name of the object. A request that creates has it in its body only.
func (e Event) name() string {
	if e.ObjectRef.Name != "" {
		return e.ObjectRef.Name
	}
	return e.object().Name
}

// object is the metadata of the answer, else of the request.
func (e Event) object() metav1.ObjectMeta {
	for _, raw := range []json.RawMessage{e.ResponseObject, e.RequestObject} {
		var about metav1.PartialObjectMetadata
		if len(raw) > 0 && json.Unmarshal(raw, &about) == nil && about.Name != "" {
			return about.ObjectMeta
		}
	}
	return metav1.ObjectMeta{Name: e.ObjectRef.Name, Namespace: e.ObjectRef.Namespace}
}

// Key is resource/namespace/name, without an empty namespace.
func (e Event) Key() string {
	parts := []string{e.ObjectRef.Resource}
	if e.ObjectRef.Namespace != "" && e.ObjectRef.Resource != "namespaces" {
		parts = append(parts, e.ObjectRef.Namespace)
	}
	return strings.Join(append(parts, e.name()), "/")
}

// String is how breaches name the request.
func (e Event) String() string {
	resource := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	return fmt.Sprintf("%s of %s %s on %s by %s at %s (%d)", e.Verb, resource, e.name(), e.Server, e.User.Username,
		e.Received.Format("15:04:05.000000"), e.ResponseStatus.Code)
}

// borrowed tells whether the request makes the accounts in a cluster that Refloat borrows,
// or asks for their tokens.
func (e Event) borrowed() bool {
	if e.is("serviceaccounts/token") {
		return true
	}
	uri, err := url.Parse(e.RequestURI)
	return err == nil && uri.Query().Get("fieldManager") == accessManager && strings.HasPrefix(e.name(), "refloat-")
}

// accessManager owns the fields of those accounts.
const accessManager = "refloat-access"

func (e Event) before(other Event) bool { return e.Received.Before(&other.Received) }

func (e Event) after(t time.Time) bool { return e.Received.After(t) }
