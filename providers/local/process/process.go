// Package process runs child processes that outlive the process that started
// them, and finds them again.
//
// A child is described by a record in the directory that it belongs to. The record
// is trusted only as far as the kernel confirms it: a child is known by process
// id, start time and boot, and by a token in its environment, and it is signalled
// only through a pidfd that was opened before these were checked. A process id
// that now belongs to somebody else is therefore never signalled.
//
// No child is lost when the starter is killed between making the child and
// writing its record. The token is in the environment from the start, so the next
// Start finds the unrecorded child in /proc and ends it. The starter holds a lock
// meanwhile, and a child shares that lock until it executes its program, so nobody
// looks before the token can be seen.
package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// ErrNotRunning means that no process is what the record says.
var ErrNotRunning = errors.New("process is not running")

const (
	recordDir = "run"
	logDir    = "log"

	// These mark a child in its environment.
	envDir   = "REFLOAT_PROCESS_DIR"
	envName  = "REFLOAT_PROCESS_NAME"
	envToken = "REFLOAT_PROCESS_TOKEN" //nolint:gosec // The name of a variable.
)

// nameForm keeps names usable as file names.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Spec says what to run.
type Spec struct {
	// Name is unique among the processes of one directory.
	Name string
	// Path is the program, absolute.
	Path string
	// Args is the argument vector, the name of the program included.
	Args []string
	// Env is the whole environment of the child but for the marks of this package.
	Env []string
	// WorkDir defaults to the directory that the process belongs to.
	WorkDir string
	// Inputs stands for all that the process reads when it starts, such as a
	// digest of its configuration files. When it changes, the process is replaced.
	Inputs string
}

// digest changes whenever a running process no longer is what the spec asks for.
func (s Spec) digest() string {
	h := sha256.New()
	for _, list := range [][]string{{s.Path, s.WorkDir, s.Inputs}, s.Args, s.Env} {
		fmt.Fprintf(h, "%d\n", len(list))
		for _, item := range list {
			fmt.Fprintf(h, "%d:%s", len(item), item)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (s Spec) validate() error {
	if !nameForm.MatchString(s.Name) {
		return fmt.Errorf("process name %q: want lower-case letters, digits and dashes", s.Name)
	}
	if !filepath.IsAbs(s.Path) {
		return fmt.Errorf("process %s: the program %q is not an absolute path", s.Name, s.Path)
	}
	if len(s.Args) == 0 {
		return fmt.Errorf("process %s: the argument vector is empty", s.Name)
	}
	return nil
}

// Record identifies one process for good.
type Record struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// StartTicks is when the process started, in clock ticks since boot.
	StartTicks uint64 `json:"startTicks"`
	BootID     string `json:"bootID"`
	Token      string `json:"token"`
	// Digest is that of the spec.
	Digest    string    `json:"digest"`
	StartedAt time.Time `json:"startedAt"`
	// Dir is the directory that the process belongs to.
	Dir string `json:"dir"`
}

// LogPath is where standard output and standard error of the process go. The log
// of the previous process of that name is beside it, with ".1" appended.
func (r Record) LogPath() string { return LogPath(r.Dir, r.Name) }

// LogPath is the log of the process called name in dir.
func LogPath(dir, name string) string { return filepath.Join(dir, logDir, name+".log") }

func recordPath(dir, name string) string { return filepath.Join(dir, recordDir, name+".json") }
func lockPath(dir, name string) string   { return filepath.Join(dir, recordDir, name+".lock") }

// maxTail bounds what Tail reads.
const maxTail = 2 << 10

// Tail returns the last complete lines of a log, at most 2 KiB of it; nothing when
// it cannot be read.
func Tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	from := max(0, size-maxTail)
	data, err := io.ReadAll(io.NewSectionReader(f, from, maxTail))
	if err != nil {
		return ""
	}
	text := string(data)
	if from > 0 {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.TrimSpace(text)
}

// Canonical is the one name by which a directory is known in environments. The
// directory need not exist any more.
func Canonical(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real, nil
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return filepath.Join(parent, filepath.Base(abs)), nil
	}
	return abs, nil
}
