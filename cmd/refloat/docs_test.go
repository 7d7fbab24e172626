package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/refloat-dev/refloat/api/v1alpha1"
)

// guides are what users read.
func guides(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no guide: %v", err)
	}
	out := map[string]string{}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = string(text)
	}
	return out
}

var (
	inline = regexp.MustCompile("`(refloat [^`\n]+)`")
	typed  = regexp.MustCompile(`(?m)^(?:\$ )?(refloat [^\n]+)$`)
	flag   = regexp.MustCompile(`^--[a-z][a-z-]*`)
)

// TestGuidesNameCommands: what the guides tell people to type exists, with these options.
func TestGuidesNameCommands(t *testing.T) {
	checked := 0
	for file, text := range guides(t) {
		for _, found := range append(inline.FindAllStringSubmatch(text, -1), typed.FindAllStringSubmatch(text, -1)...) {
			line, _, _ := strings.Cut(found[1], " #")
			words := strings.Fields(line)[1:]
			if strings.ToLower(words[0]) != words[0] && !strings.HasPrefix(words[0], "-") {
				continue // a name of something else
			}
			cmd, _, err := newRootCommand(terminal{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}).Find(words)
			if err != nil || !cmd.HasParent() {
				t.Errorf("%s: %q is no command", file, found[1])
				continue
			}
			checked++
			for _, word := range words {
				if name := flag.FindString(word); name != "" && name != "--help" && cmd.Flag(name[2:]) == nil {
					t.Errorf("%s: %q: %s has no option %s", file, found[1], cmd.CommandPath(), name)
				}
			}
			if strings.Contains(line, "check --now") {
				t.Errorf("%s: %q lacks the plan", file, found[1])
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d commands were found", checked)
	}
}

// TestReadmeNeedsNoNetwork: its example is drilled from the clone.
func TestReadmeNeedsNoNetwork(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	edit := regexp.MustCompile(`sed "s\|(\S+)\|file://\$PWD\|" examples/plan.yaml >(\S+)`).FindSubmatch(readme)
	if edit == nil || !bytes.Contains(readme, append([]byte("refloat drill -f "), edit[2]...)) {
		t.Fatal("the plan that is drilled does not read the clone")
	}
	example, err := os.ReadFile("../../examples/plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan := &v1alpha1.RecoveryPlan{}
	if err := yaml.UnmarshalStrict(regexp.MustCompile(string(edit[1])).ReplaceAll(example, []byte("file:///clone")), plan); err != nil {
		t.Fatal(err)
	}
	if plan.Spec.Source.URL != "file:///clone" {
		t.Errorf("the plan reads %s", plan.Spec.Source.URL)
	}
}

var blocks = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestGuidesNameFields: the objects in the guides have the fields that they show, and the
// notice of a teardown is shown as the object that it is.
func TestGuidesNameFields(t *testing.T) {
	kinds := map[string]func() any{
		"RecoveryPlan":     func() any { return &v1alpha1.RecoveryPlan{} },
		"RecoveryRun":      func() any { return &v1alpha1.RecoveryRun{} },
		"RecoverySchedule": func() any { return &v1alpha1.RecoverySchedule{} },
		"FailoverPolicy":   func() any { return &v1alpha1.FailoverPolicy{} },
	}
	checked, notices := 0, 0
	for file, text := range guides(t) {
		for _, block := range blocks.FindAllStringSubmatch(text, -1) {
			for _, document := range strings.Split(block[1], "\n---\n") {
				var head struct {
					Kind     string
					Teardown *v1alpha1.TeardownTimes
				}
				if err := yaml.Unmarshal([]byte(document), &head); err != nil {
					continue // in words
				}
				if head.Teardown != nil && head.Teardown.Notice.Webhook != nil {
					notices++
				}
				if made := kinds[head.Kind]; made != nil {
					checked++
					if err := yaml.UnmarshalStrict([]byte(document), made()); err != nil {
						t.Errorf("%s: %v\n%s", file, err, document)
					}
				}
			}
		}
	}
	if checked < 4 || notices == 0 {
		t.Errorf("%d objects and %d notices were found", checked, notices)
	}
}
