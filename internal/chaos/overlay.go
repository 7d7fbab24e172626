package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Bug is a deliberate mistake: patches of the product's source, which rules have to catch
// it, and the points that show it.
type Bug struct {
	Name, What string
	Rules      []string
	Points     []Point
	edits      []edit
}

// edit replaces a piece of a file that is there exactly once.
type edit struct{ file, old, new string }

// bugsDir and others are relative to the top of the repository.
const (
	bugsDir    = "internal/chaos/testdata/bugs"
	seededPath = "github.com/refloat-dev/refloat/internal/chaos/seeded"
	command    = "./internal/chaos/cmd"
)

// Bugs reads those of a repository.
func Bugs(root string) ([]Bug, error) {
	names, err := filepath.Glob(filepath.Join(root, bugsDir, "*.txtar"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no seeded bugs in %s: %w", filepath.Join(root, bugsDir), err)
	}
	var bugs []Bug
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		b, err := parseBug(strings.TrimSuffix(filepath.Base(name), ".txtar"), raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		bugs = append(bugs, b)
	}
	return bugs, nil
}

func parseBug(name string, raw []byte) (Bug, error) {
	b := Bug{Name: name}
	archive := txtar.Parse(raw)
	for _, line := range strings.Split(strings.TrimSpace(string(archive.Comment)), "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "#":
			b.What = value
		case "rules:":
			b.Rules = strings.Split(strings.ReplaceAll(value, " ", ""), ",")
		case "points:":
			for _, text := range strings.Split(value, ",") {
				p, err := ParsePoint(text)
				if err != nil {
					return b, err
				}
				p.Bug = name
				b.Points = append(b.Points, p)
			}
		}
	}
	if len(archive.Files)%2 != 0 || len(archive.Files) == 0 || len(b.Points) == 0 || len(b.Rules) == 0 {
		return b, fmt.Errorf("want rules, points, and pairs of old and new")
	}
	for i := 0; i < len(archive.Files); i += 2 {
		from, to := archive.Files[i], archive.Files[i+1]
		file, isOld := strings.CutSuffix(from.Name, ": old")
		if same, isNew := strings.CutSuffix(to.Name, ": new"); !isOld || !isNew || same != file {
			return b, fmt.Errorf("%s is not followed by its new form", from.Name)
		}
		b.edits = append(b.edits, edit{file, strings.TrimSuffix(string(from.Data), "\n"), strings.TrimSuffix(string(to.Data), "\n")})
	}
	return b, nil
}

var packageClause = regexp.MustCompile(`(?m)^package \w+$`)

// mutate returns the files that the bugs change, with all of them in it, each switched by
// its name. A patch that does not fit any more is an error.
func mutate(root string, bugs []Bug) (map[string][]byte, error) {
	changed := map[string][]byte{}
	for _, b := range bugs {
		for _, e := range b.edits {
			text, ok := changed[e.file]
			if !ok {
				var err error
				if text, err = os.ReadFile(filepath.Join(root, e.file)); err != nil {
					return nil, fmt.Errorf("bug %s: %w", b.Name, err)
				}
				at := packageClause.FindIndex(text)
				if at == nil {
					return nil, fmt.Errorf("bug %s: %s has no package clause", b.Name, e.file)
				}
				text = slices.Insert(text, at[1], []byte("\n\nimport \""+seededPath+"\"\n")...)
			}
			if n := bytes.Count(text, []byte(e.old)); n != 1 {
				return nil, fmt.Errorf("bug %s: the piece that it replaces is %d times in %s, want once; bring the patch up to date:\n%s", b.Name, n, e.file, e.old)
			}
			changed[e.file] = bytes.Replace(text, []byte(e.old), []byte(e.new), 1)
		}
	}
	changed["internal/chaos/seeded/built.go"] = []byte("package seeded\n\nfunc init() { Built = true }\n")
	return changed, nil
}

// BuildSeeded builds this command with all bugs in it.
func BuildSeeded(ctx context.Context, root, dir string) (program string, err error) {
	bugs, err := Bugs(root)
	if err != nil {
		return "", err
	}
	changed, err := mutate(root, bugs)
	if err != nil {
		return "", err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range changed {
		file := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, name)] = file
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, raw, 0o600); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "chaos-seeded")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-overlay", overlay, "-o", program, command)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build with the seeded bugs: %w\n%s", err, out)
	}
	return program, nil
}
