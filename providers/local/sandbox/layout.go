package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/refloat-dev/refloat/providers/local/assets"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// The processes of a sandbox that are not part of a control plane.
const (
	Supervisor     = "supervisor"
	ClusterAPICore = "cluster-api-core"
	Controller     = "controller"
)

// layout gives the places in a sandbox's directory their names.
type layout string

func (l layout) dir() string        { return string(l) }
func (l layout) mark() string       { return filepath.Join(string(l), ".refloat-sandbox") }
func (l layout) lock() string       { return filepath.Join(string(l), "lock") }
func (l layout) settings() string   { return filepath.Join(string(l), "sandbox.json") }
func (l layout) kubeconfig() string { return filepath.Join(string(l), "kubeconfig") }
func (l layout) management() string { return filepath.Join(string(l), "management") }
func (l layout) core() string       { return filepath.Join(string(l), "core") }
func (l layout) coreHealth() string { return filepath.Join(string(l), "core", "health") }
func (l layout) coreHooks() string  { return filepath.Join(string(l), "core", "webhooks") }
func (l layout) controller() string { return filepath.Join(string(l), "controller") }
func (l layout) controllerKubeconfig() string {
	return filepath.Join(string(l), "controller.kubeconfig")
}
func (l layout) planes() string { return filepath.Join(string(l), "clusters", "*", "plane") }

// DefaultDir is where a sandbox lives unless it is told otherwise.
func DefaultDir() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the state directory (set HOME, XDG_STATE_HOME or --dir): %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "refloat", "sandbox"), nil
}

// Kubeconfig is the path of the kubeconfig of the sandbox in dir.
func Kubeconfig(dir string) string { return layout(dir).kubeconfig() }

// ControllerKubeconfig is the path of the kubeconfig with which the controller of the
// sandbox in dir does what it does for its users, with no more rights than it needs.
func ControllerKubeconfig(dir string) string { return layout(dir).controllerKubeconfig() }

// claim marks a directory as a sandbox before anything else is in it. Everything in a
// marked directory may be removed by a purge, so one that holds something else is
// refused.
func (l layout) claim() error {
	if err := os.MkdirAll(l.dir(), 0o700); err != nil {
		return fmt.Errorf("make the directory of the sandbox: %w", err)
	}
	if ours, err := l.marked(); ours || err != nil {
		return err
	}
	entries, err := os.ReadDir(l.dir())
	if err != nil {
		return fmt.Errorf("make the directory of the sandbox: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds %q and is no sandbox: name an empty directory, or one that does not exist yet", l, entries[0].Name())
	}
	return process.WriteFile(l.mark(), []byte("Made by 'refloat sandbox up'; 'refloat sandbox down --purge' removes this directory.\n"))
}

// marked tells whether the directory was made by a sandbox.
func (l layout) marked() (bool, error) {
	_, err := os.Stat(l.mark())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for a sandbox: %w", err)
	}
	return err == nil, nil
}

// settings are what the supervisor needs to know and cannot find out.
type settings struct {
	Binaries assets.Binaries `json:"binaries"`
	// Controller is the argument vector of the controller, its program first. The
	// address of its health endpoint is appended as --health-addr.
	Controller []string `json:"controller"`
	Audit      bool     `json:"audit,omitempty"`
}

// ErrNone means that there is no sandbox in the directory.
var ErrNone = errors.New("there is no sandbox")

func (l layout) readSettings() (settings, error) {
	data, err := os.ReadFile(l.settings())
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, fmt.Errorf("%w in %s; start one with 'refloat sandbox up'", ErrNone, l)
	}
	var s settings
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return settings{}, fmt.Errorf("read how the sandbox was brought up: %s: %w", l.settings(), err)
	}
	return s, nil
}

func (l layout) writeSettings(s settings) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return process.WriteFile(l.settings(), append(data, '\n'))
}
