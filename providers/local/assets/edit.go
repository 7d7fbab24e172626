package assets

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// edit replaces one passage of a dependency for one build. It is for what a program
// offers no flag for, and fails the build when the dependency is no longer as expected.
type edit struct {
	module, file string
	old, new     string
}

// loopbackWebhooks makes the admission webhook server of controller-runtime listen on
// the loopback interface when it is told no address. The core controller's own program
// has no flag for that address, and without it would listen on every interface of the
// user's machine.
var loopbackWebhooks = edit{
	module: "sigs.k8s.io/controller-runtime", file: "pkg/webhook/server.go",
	old: "	if o.WebhookMux == nil {\n",
	new: "	if o.Host == \"\" {\n		o.Host = \"127.0.0.1\"\n	}\n\n	if o.WebhookMux == nil {\n",
}

// applyEdits copies each module that is to be edited below dir, which holds the
// recipe's module files, edits the copy, and replaces the module by it.
func (g *goCommand) applyEdits(ctx context.Context, r recipe, dir string) error {
	for _, e := range r.edits {
		if err := g.apply(ctx, e, dir); err != nil {
			return fmt.Errorf("edit %s of %s for %s: %w", e.file, e.module, r.name, err)
		}
	}
	return nil
}

func (g *goCommand) apply(ctx context.Context, e edit, dir string) error {
	original, err := g.moduleDir(ctx, e.module, dir)
	if err != nil {
		return err
	}
	name := filepath.Base(e.module)
	replacement := filepath.Join(dir, name)
	if err := os.CopyFS(replacement, os.DirFS(original)); err != nil {
		return err
	}
	file := filepath.Join(replacement, filepath.FromSlash(e.file))
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if n := bytes.Count(content, []byte(e.old)); n != 1 {
		return fmt.Errorf("found %d times what is to be replaced, want once", n)
	}
	// Sources come out of the module cache read-only.
	if err := os.Chmod(file, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(file, bytes.Replace(content, []byte(e.old), []byte(e.new), 1), 0o600); err != nil {
		return err
	}
	return g.run(ctx, dir, "mod", "edit", "-replace="+e.module+"=./"+name)
}

func (g *goCommand) moduleDir(ctx context.Context, module, dir string) (string, error) {
	if err := g.run(ctx, dir, "mod", "download", module); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, g.path, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir, cmd.Env = dir, g.environment()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (g *goCommand) run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir, cmd.Env = dir, g.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
