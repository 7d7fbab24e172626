package e2e

import (
	"bufio"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// auditEvent is one line of an API server's audit log: the history that does not
// depend on what Refloat believes.
type auditEvent struct {
	Stage      string `json:"stage"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	ObjectRef  struct {
		APIGroup, Resource, Namespace, Name, Subresource string
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// object names what the request was about.
func (e auditEvent) object() string {
	r := e.ObjectRef
	return strings.Join([]string{r.APIGroup, r.Resource, r.Namespace, r.Name}, "/")
}

// readAudit returns the completed requests of every audit log below dir.
func readAudit(t *testing.T, dir string) []auditEvent {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "log", "audit*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no audit log in %s (%v)", dir, err)
	}
	var events []auditEvent
	for _, log := range logs {
		f, err := os.Open(log)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e auditEvent
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				continue // the last line may be half written
			}
			if e.Stage == "ResponseComplete" {
				events = append(events, e)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

// writesBy counts, for each object, the requests with which Refloat's field manager
// wrote it for good.
func writesBy(events []auditEvent, manager string) map[string]int {
	writes := map[string]int{}
	for _, e := range events {
		uri, err := url.Parse(e.RequestURI)
		if err != nil || e.ResponseStatus.Code >= 300 || e.ObjectRef.Subresource != "" {
			continue
		}
		q := uri.Query()
		if q.Get("fieldManager") == manager && q.Get("dryRun") == "" && (e.Verb == "patch" || e.Verb == "create") {
			writes[e.object()]++
		}
	}
	return writes
}

// deletionsOf counts the accepted deletions of Cluster objects of that name.
func deletionsOf(events []auditEvent, cluster string) int {
	n := 0
	for _, e := range events {
		if e.Verb == "delete" && e.ObjectRef.Resource == "clusters" && e.ObjectRef.Name == cluster && e.ResponseStatus.Code < 300 {
			n++
		}
	}
	return n
}
