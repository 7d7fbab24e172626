package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/refloat-dev/refloat/providers/local/filelock"
)

// replaceGrace is how long a process that is to be replaced may take to end.
const replaceGrace = 5 * time.Second

// Start makes sure that the process of the spec runs for dir, and says whether it
// had to start it. A process that runs already and still is what the spec asks for
// is left alone, whoever started it; one that differs is replaced.
//
// The process has a session of its own and survives this one. It reads nothing and
// writes to a log of mode 0600, which begins anew with each process.
func Start(ctx context.Context, dir string, spec Spec, now time.Time) (Record, bool, error) {
	if err := spec.validate(); err != nil {
		return Record{}, false, err
	}
	dir, err := prepare(dir)
	if err != nil {
		return Record{}, false, err
	}
	lock, err := filelock.Acquire(ctx, lockPath(dir, spec.Name), nil)
	if err != nil {
		return Record{}, false, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer lock.Release()

	r, err := readRecord(dir, spec.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, err
	}
	if err == nil && r.Digest == spec.digest() && r.Alive() {
		return r, false, nil
	}
	if err := stopMarked(ctx, dir, replaceGrace, func(m Record) bool { return m.Name == spec.Name }); err != nil {
		return Record{}, false, err
	}
	r, err = launch(dir, spec, now)
	return r, err == nil, err
}

// StopAll stops every process of dir, recorded or not, and forgets it. Processes
// of earlier groups end before those of later ones are asked to; those in no group
// are last. A directory that no longer exists is searched for all the same.
//
// The caller makes sure that nobody starts processes for dir meanwhile.
func StopAll(ctx context.Context, dir string, grace time.Duration, groups ...[]string) error {
	dir, err := Canonical(dir)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := stopMarked(ctx, dir, grace, func(r Record) bool { return slices.Contains(group, r.Name) }); err != nil {
			return err
		}
	}
	if err := stopMarked(ctx, dir, grace, func(Record) bool { return true }); err != nil {
		return err
	}
	records, err := List(dir)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := removeRecord(dir, r.Name); err != nil {
			return fmt.Errorf("forget %s: %w", r.Name, err)
		}
	}
	return nil
}

// StopBelow stops every process of dir and of the directories below it, at once,
// whether or not any of them still exists.
func StopBelow(ctx context.Context, dir string) error {
	dir, err := Canonical(dir)
	if err != nil {
		return err
	}
	records, err := markedWhere(func(d string) bool { return d == dir || strings.HasPrefix(d, dir+"/") })
	if err != nil {
		return err
	}
	return stop(ctx, records, 0)
}

// Running returns every live process that was started for dir, including those
// that no record names.
func Running(dir string) ([]Record, error) {
	dir, err := Canonical(dir)
	if err != nil {
		return nil, err
	}
	return marked(dir)
}

// stopMarked stops, at the same time, the processes of dir that are chosen.
func stopMarked(ctx context.Context, dir string, grace time.Duration, chosen func(Record) bool) error {
	records, err := marked(dir)
	if err != nil {
		return err
	}
	return stop(ctx, slices.DeleteFunc(records, func(r Record) bool { return !chosen(r) }), grace)
}

// stop all of them at the same time.
func stop(ctx context.Context, records []Record, grace time.Duration) error {
	results := make(chan error)
	for _, r := range records {
		go func() { results <- r.Stop(ctx, grace) }()
	}
	var failed []error
	for range records {
		failed = append(failed, <-results)
	}
	return errors.Join(failed...)
}

// launch starts the process and records it. A process that cannot be recorded is
// ended again.
func launch(dir string, spec Spec, now time.Time) (Record, error) {
	log, err := openLog(dir, spec.Name)
	if err != nil {
		return Record{}, err
	}
	defer log.Close()
	r := Record{Name: spec.Name, Token: rand.Text(), Digest: spec.digest(), StartedAt: now.UTC(), Dir: dir}
	if r.BootID, err = bootID(); err != nil {
		return Record{}, err
	}
	cmd := &exec.Cmd{
		Path: spec.Path, Args: spec.Args, Dir: spec.WorkDir,
		Env: append(unmarked(spec.Env), envDir+"="+dir, envName+"="+spec.Name, envToken+"="+r.Token),
		// A file, and not a pipe, so that the child needs nothing of ours.
		Stdout: log, Stderr: log,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if cmd.Dir == "" {
		cmd.Dir = dir
	}
	if err := cmd.Start(); err != nil {
		return Record{}, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	r.PID = cmd.Process.Pid
	// Nobody collects it before Wait is called, so its id is its own until then.
	r.StartTicks, err = startTicks(r.PID)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		err = writeRecord(r)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("record %s (process %d): %w", spec.Name, r.PID, err), cmd.Process.Kill())
	}
	go func() { _ = cmd.Wait() }() // Collects it whenever it ends; its log says why.
	return r, err
}

// unmarked drops marks that were inherited from a process of ours.
func unmarked(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == envDir || name == envName || name == envToken
	})
}

// openLog begins a new log and keeps one old one, so that a process that ends over
// and over does not fill the disk.
func openLog(dir, name string) (*os.File, error) {
	path := LogPath(dir, name)
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("rotate the log of %s: %w", name, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	return f, nil
}

func prepare(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the directory of a process: %w", err)
	}
	dir, err := Canonical(dir)
	if err != nil {
		return "", err
	}
	for _, sub := range []string{recordDir, logDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return "", fmt.Errorf("make the directory of a process: %w", err)
		}
	}
	return dir, nil
}
