package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	reports "github.com/refloat-dev/refloat/recovery/report"
)

// TestReports looks at what two drills leave behind: every form of a report, the trend, and a
// chain in which an edit and a removal show.
func TestReports(t *testing.T) {
	const name = "reported"
	repo := newRepository(t, map[string]string{"state/a.yaml": aNamespace})
	out := t.TempDir()
	box.must(t, "drill", "-f", repo.plan(t, name, "", "state"), "--reason", `<script>alert("monthly")</script>`, "--report-dir", out)
	box.must(t, "drill", name, "-n", "default")

	pages, err := filepath.Glob(filepath.Join(out, "*.html"))
	if err != nil || len(pages) != 1 {
		t.Fatalf("pages %v, %v", pages, err)
	}
	first := strings.TrimSuffix(filepath.Base(pages[0]), ".html")
	for _, extension := range []string{".json", ".txt", ".md", ".junit.xml"} {
		if about, err := os.Stat(filepath.Join(out, first+extension)); err != nil || about.Size() == 0 {
			t.Errorf("%s: %v", extension, err)
		}
	}
	t.Run("in a browser", func(t *testing.T) { opensInBrowser(t, pages[0]) })

	if trend := box.must(t, "report", "--trend", name, "-n", "default").stdout; !strings.Contains(trend, "2 measured") || !strings.Contains(trend, "against "+first) {
		t.Errorf("the trend:\n%s", trend)
	}
	chain := func(code int, want string, more ...string) {
		t.Helper()
		r := box.run(t, append([]string{"report", "--chain", name, "-n", "default"}, more...)...)
		if r.code != code || !strings.Contains(r.stdout, want) {
			t.Errorf("exit code %d, want %d and %q:\n%s%s", r.code, code, want, r.stdout, r.stderr)
		}
	}
	chain(0, "intact: 2 reports, 2 of them are there and proven")

	admin, err := client.New(box.management(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	held := &corev1.ConfigMap{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: first + "-report"}, held); err != nil {
		t.Fatal(err)
	}
	back := held.DeepCopy()
	back.UID, back.ResourceVersion = "", ""
	edited, err := reports.FromConfigMap(held)
	if err != nil {
		t.Fatal(err)
	}
	edited.Reason = "nothing happened"
	raw, err := edited.Compress()
	if err != nil {
		t.Fatal(err)
	}
	held.BinaryData[reports.ConfigMapKey] = raw
	if err := admin.Update(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	chain(1, fmt.Sprintf("the report of run %s was edited", first))
	if err := admin.Delete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	chain(1, "was removed; the run is still there")
	chain(0, "2 of them are there and proven", "--file", filepath.Join(out, first+".json"))
	if err := admin.Create(t.Context(), back); err != nil { // other tests read all reports
		t.Fatal(err)
	}
	chain(0, "2 of them are there and proven")
}

// opensInBrowser loads a page in Chromium, from which nothing leads to a network.
func opensInBrowser(t *testing.T, page string) {
	var browser string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium is installed: apt-get install chromium")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	picture := filepath.Join(t.TempDir(), "page.png")
	profile := t.TempDir()
	chromium := func(what string) string {
		var said, log bytes.Buffer
		cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--user-data-dir="+profile,
			"--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--enable-logging=stderr", what, "file://"+page)
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &log, time.Second
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, log.String())
		}
		for _, bad := range []string{"CONSOLE", "Refused to", "violates the following"} {
			if strings.Contains(log.String(), bad) {
				t.Errorf("the browser complains:\n%s", log.String())
			}
		}
		return said.String()
	}
	dom := chromium("--dump-dom")
	for _, want := range []string{"<svg", "recovered ", "Critical path", `&lt;script&gt;alert("monthly")&lt;/script&gt;`} {
		if !strings.Contains(dom, want) {
			t.Errorf("the browser does not show %q", want)
		}
	}
	if strings.Contains(dom, "<script") {
		t.Error("the browser found a script")
	}
	chromium("--screenshot=" + picture)
	if about, err := os.Stat(picture); err != nil || about.Size() < 10_000 {
		t.Errorf("the picture: %v, %v", about, err)
	}
}
