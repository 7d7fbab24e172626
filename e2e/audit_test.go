package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/internal/witness"
)

// auditEvent is one line of an API server's audit log: the history that does not
// depend on what Refloat believes.
type auditEvent struct{ witness.Event }

// object names what the request was about.
func (e auditEvent) object() string {
	r := e.ObjectRef
	return strings.Join([]string{r.APIGroup, r.Resource, r.Namespace, r.Name}, "/")
}

// readAudit returns the completed requests, and the watches that began, of every audit log below dir.
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
			if e.Stage == "ResponseComplete" || e.Stage == "ResponseStarted" && e.Verb == "watch" {
				events = append(events, e)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

// writesBy counts, for each object, the requests with which a field manager wrote it for
// good. A write whose client was killed meanwhile is noted as a time-out, whether it took
// effect or not; such objects are there with 0 unless they were written again.
func writesBy(events []auditEvent, manager string) map[string]int {
	writes := map[string]int{}
	for _, e := range events {
		uri, err := url.Parse(e.RequestURI)
		if err != nil || e.ObjectRef.Subresource != "" || e.Verb != "patch" && e.Verb != "create" {
			continue
		}
		if q := uri.Query(); q.Get("fieldManager") != manager || q.Get("dryRun") != "" {
			continue
		}
		switch {
		case e.ResponseStatus.Code < 300:
			writes[e.object()]++
		case e.ResponseStatus.Code == http.StatusGatewayTimeout:
			writes[e.object()] += 0
		}
	}
	return writes
}

// deletionsOf counts the deletions of Cluster objects of that name that took effect, or
// may have: when the client is killed meanwhile, the server notes a time-out.
func deletionsOf(events []auditEvent, cluster string) int {
	n := 0
	for _, e := range events {
		if e.Verb == "delete" && e.ObjectRef.Resource == "clusters" && e.ObjectRef.Name == cluster &&
			(e.ResponseStatus.Code < 300 || e.ResponseStatus.Code == http.StatusGatewayTimeout) {
			n++
		}
	}
	return n
}
