package assets

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

const (
	progressEvery = 15 * time.Second
	// stopDelay is how long the Go command may take to end when it is interrupted.
	stopDelay = 10 * time.Second
	// maxOutput bounds how much of the Go command's complaint is shown.
	maxOutput = 4 << 10
)

// goCommand runs the Go command that is found in PATH.
type goCommand struct {
	path     string
	clock    clock.WithTicker
	progress func(string)
}

func findGo(o Options) (*goCommand, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return nil, fmt.Errorf("the Go command is needed to build Kubernetes, Cluster API and kwok the first time: install Go 1.26, or name a directory with prebuilt programs by --assets or REFLOAT_ASSETS: %w", err)
	}
	return &goCommand{path: path, clock: o.Clock, progress: o.Progress}, nil
}

// environment is the user's, without what would change the versions that a module
// file pins or the machine that is built for. Without cgo, as Refloat itself is built,
// all share what they have in common in the compiler's cache. Compilers that collect
// their garbage half as often save a tenth of their time.
func (g *goCommand) environment() []string {
	environment := append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "GOEXPERIMENT=", "CGO_ENABLED=0",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if os.Getenv("GOGC") == "" {
		environment = append(environment, "GOGC=200")
	}
	return environment
}

// toolchain describes everything outside the recipe that the result depends on.
func (g *goCommand) toolchain(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, g.path, "env", "-json", "GOVERSION", "GOOS", "GOARCH", "CGO_ENABLED", "GOAMD64", "GOARM64")
	cmd.Dir, cmd.Env = dir, g.environment()
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", g.path, err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", g.path, err)
	}
	var b strings.Builder
	for _, name := range sortedKeys(env) {
		fmt.Fprintf(&b, "%s=%s\n", name, env[name])
	}
	return b.String(), nil
}

// build compiles the recipe in dir, which holds its files, into output.
func (g *goCommand) build(ctx context.Context, r recipe, dir, output string) error {
	if err := g.applyEdits(ctx, r, dir); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, g.path, "build", "-mod=readonly", "-trimpath", "-v",
		"-ldflags", r.ldflags(), "-o", output, r.target)
	cmd.Dir, cmd.Env = dir, g.environment()
	cmd.WaitDelay = stopDelay
	inGroup(cmd)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	var compiled atomic.Int64
	stop := g.report(r, &compiled)
	defer stop()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", r.name, err)
	}
	complaint := readOutput(stderr, &compiled)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build %s: %w", r.name, context.Cause(ctx))
		}
		return fmt.Errorf("build %s: %w: %s", r.name, err, complaint)
	}
	return nil
}

// readOutput counts the packages that are compiled and keeps everything else. It
// reads to the end, so that the Go command never waits for us.
func readOutput(output io.Reader, compiled *atomic.Int64) string {
	var complaint strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
		case !strings.ContainsAny(line, " \t:"):
			compiled.Add(1) // With -v a package path is printed alone on a line.
		case complaint.Len()+len(line) < maxOutput:
			complaint.WriteString(line + "\n")
		}
	}
	// A line that is too long ends the scan, not the output.
	_, _ = io.Copy(io.Discard, output)
	return strings.TrimSpace(complaint.String())
}

// report says now and then how far the build is.
func (g *goCommand) report(r recipe, compiled *atomic.Int64) (stop func()) {
	began := g.clock.Now()
	ticker := g.clock.NewTicker(progressEvery)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C():
				g.progress(fmt.Sprintf("Building %s: %s so far, %d packages compiled",
					r.name, g.clock.Since(began).Round(time.Second), compiled.Load()))
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-ended
	}
}

// buildInto builds the recipe in a new directory beside final, checks the result
// and moves it into place in one step.
func (g *goCommand) buildInto(ctx context.Context, r recipe, final string) (err error) {
	began := g.clock.Now()
	g.progress(fmt.Sprintf("Building %s %s from source, the first time only; this takes about %s on two cores", r.name, r.version, r.cost))
	dir, err := os.MkdirTemp(filepath.Dir(final), workPrefix(final))
	if err != nil {
		return fmt.Errorf("make a directory to build in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source, result := filepath.Join(dir, "source"), filepath.Join(dir, "result")
	for _, d := range []string{source, result} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	if err := r.unpack(source); err != nil {
		return err
	}
	program := filepath.Join(result, string(r.name))
	if err := g.build(ctx, r, source, program); err != nil {
		return err
	}
	if err := checkVersion(ctx, r, program); err != nil {
		return err
	}
	if err := seal(result, r); err != nil {
		return err
	}
	if err := os.Rename(result, final); err != nil {
		return fmt.Errorf("move %s into the cache: %w", r.name, err)
	}
	g.progress(fmt.Sprintf("Built %s in %s", r.name, g.clock.Since(began).Round(time.Second)))
	return nil
}

// workPrefix marks the directories in which a cache entry is built.
func workPrefix(final string) string { return ".build-" + filepath.Base(final) + "-" }
