package assets

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// manifestFile is beside a cached program and says what it must be.
const manifestFile = "manifest.json"

type manifest struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// verified remembers programs whose digest was checked by this process, by path.
// A file that changed in size or time is checked again.
var verified sync.Map

type fingerprint struct {
	size    int64
	modTime time.Time
}

// errDamaged means that a cached program is not what was built.
var errDamaged = errors.New("not what was built")

// seal records the digest of the program in dir, and syncs both.
func seal(dir string, r recipe) error {
	path := filepath.Join(dir, string(r.name))
	sum, size, err := digestFile(path)
	if err != nil {
		return err
	}
	data, err := json.Marshal(manifest{SHA256: sum, Size: size})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), data, 0o600); err != nil {
		return fmt.Errorf("record the digest of %s: %w", r.name, err)
	}
	for _, name := range []string{string(r.name), manifestFile, "."} {
		if err := syncFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkSealed compares the program in dir with its record.
func checkSealed(dir string, r recipe) error {
	path := filepath.Join(dir, string(r.name))
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	now := fingerprint{info.Size(), info.ModTime()}
	if seen, ok := verified.Load(path); ok && seen == now {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return err
	}
	var want manifest
	if err := json.Unmarshal(data, &want); err != nil {
		return fmt.Errorf("%s: its record is not valid: %w", path, errDamaged)
	}
	sum, size, err := digestFile(path)
	if err != nil {
		return err
	}
	if sum != want.SHA256 || size != want.Size {
		return fmt.Errorf("%s: %w", path, errDamaged)
	}
	verified.Store(path, now)
	return nil
}

func digestFile(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), n, nil
}

// checkVersion says whether a program was built from the module and version of the
// recipe.
func checkVersion(ctx context.Context, r recipe, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o100 == 0 {
		return fmt.Errorf("%s: %s is not an executable file", r.name, path)
	}
	build, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %s does not say what it was built from: %w", r.name, path, err)
	}
	found := ""
	if build.Main.Path == r.module {
		found = build.Main.Version
	}
	for _, d := range build.Deps {
		if d.Path == r.module {
			found = d.Version
		}
	}
	if found != r.version {
		return fmt.Errorf("%s: %s holds %s %s, but %s is needed", r.name, path, r.module, cmp.Or(found, "of no version"), r.version)
	}
	if len(r.stamps) == 0 {
		return nil
	}
	return checkStamp(ctx, r, path)
}

// stampTimeout limits how long a program may take to say its version.
const stampTimeout = 30 * time.Second

// checkStamp asks the API server for its version, as Cluster API core will. The
// component is chosen by the name that the program is run under, which any build
// that holds the component understands.
func checkStamp(ctx context.Context, r recipe, path string) error {
	ctx, cancel := context.WithTimeout(ctx, stampTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Args[0] = "kube-apiserver"
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: ask %s for its version: %w", r.name, path, err)
	}
	if got, want := string(bytes.TrimSpace(out)), "Kubernetes "+r.version; got != want {
		return fmt.Errorf("%s: %s says %q, but %q is needed; build it with the version stamped", r.name, path, got, want)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
