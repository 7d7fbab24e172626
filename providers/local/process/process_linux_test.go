package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// limit is for each wait of a test on a busy machine.
const limit = 30 * time.Second

// The test binary plays other programs when this variable says which.
const role = "REFLOAT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		goleak.VerifyTestMain(m)
	case "child":
		fmt.Println("child runs")
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		<-ended
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("deaf runs")
		select {}
	case "failing":
		fmt.Println("cannot go on")
		os.Exit(3)
	case "starter":
		playStarter()
	}
}

// playStarter starts a child in the directory that is its argument, says so, and
// waits to be killed.
func playStarter() {
	r, _, err := Start(context.Background(), os.Args[1], spec("child", "child"), time.Now())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(r.PID)
	select {}
}

func spec(name, plays string) Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Spec{Name: name, Path: self, Args: []string{name}, Env: []string{role + "=" + plays}}
}

// directory is one whose processes are ended after the test.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := Canonical(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := StopAll(context.Background(), dir, 0); err != nil {
			t.Error(err)
		}
		if left, err := Running(dir); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	return dir
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func mustStart(t *testing.T, dir string, s Spec, wantStarted bool) Record {
	t.Helper()
	r, started, err := Start(within(t), dir, s, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if started != wantStarted {
		t.Fatalf("started is %v, want %v", started, wantStarted)
	}
	return r
}

func TestStartAdoptsWhatRuns(t *testing.T) {
	dir := directory(t)
	first := mustStart(t, dir, spec("child", "child"), true)
	if again := mustStart(t, dir, spec("child", "child"), false); again.PID != first.PID {
		t.Fatalf("started %d beside %d", again.PID, first.PID)
	}
	found, err := Find(dir, "child")
	if err != nil || found.PID != first.PID {
		t.Fatalf("found %+v, %v", found, err)
	}
	if _, err := Find(dir, "other"); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("another name: %v", err)
	}
}

func TestStartReplacesWhatDiffers(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"arguments":   func(s *Spec) { s.Args = append(s.Args, "--more") },
		"environment": func(s *Spec) { s.Env = append(s.Env, "MORE=1") },
		"inputs":      func(s *Spec) { s.Inputs = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t)
			first := mustStart(t, dir, spec("child", "child"), true)
			other := spec("child", "child")
			change(&other)
			second := mustStart(t, dir, other, true)
			if second.PID == first.PID || first.Alive() || !second.Alive() {
				t.Fatalf("first %d alive %v, second %d alive %v", first.PID, first.Alive(), second.PID, second.Alive())
			}
		})
	}
}

func TestRecordOfAnotherProcessIsNeverSignalled(t *testing.T) {
	for name, change := range map[string]func(*Record){
		"process id was used again": func(r *Record) { r.StartTicks++ },
		"machine was started anew":  func(r *Record) { r.BootID = "another" },
		"token is another":          func(r *Record) { r.Token = "another" },
		"no process id":             func(r *Record) { r.PID = 0 },
		"process id of init":        func(r *Record) { r.PID = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t)
			// It belongs to another directory, as a stranger with a familiar id would.
			stranger := mustStart(t, directory(t), spec("child", "child"), true)
			stale := stranger
			stale.Dir = dir
			change(&stale)
			if err := os.MkdirAll(filepath.Join(dir, recordDir), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := writeRecord(stale); err != nil {
				t.Fatal(err)
			}
			if stale.Alive() {
				t.Error("the record counts as alive")
			}
			if err := stale.Stop(within(t), 0); err != nil {
				t.Error(err)
			}
			if err := StopAll(within(t), dir, 0); err != nil {
				t.Error(err)
			}
			if !stranger.Alive() {
				t.Fatal("the stranger was killed")
			}
			started := mustStart(t, dir, spec("child", "child"), true)
			if started.PID == stranger.PID {
				t.Fatal("the stranger was adopted")
			}
		})
	}
}

func TestStop(t *testing.T) {
	for name, test := range map[string]struct {
		plays string
		grace time.Duration
	}{
		"ends when asked":  {"child", limit},
		"ignores the plea": {"deaf", 50 * time.Millisecond},
		"at once":          {"child", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t)
			r := mustStart(t, dir, spec("child", test.plays), true)
			awaitLog(t, r, test.plays+" runs")
			if err := r.Stop(within(t), test.grace); err != nil {
				t.Fatal(err)
			}
			if r.Alive() {
				t.Fatal("it still runs")
			}
			if err := r.Stop(within(t), test.grace); err != nil {
				t.Fatalf("a second Stop: %v", err)
			}
		})
	}
}

// awaitLog waits until a child has set up its signals and says so. A file that
// grows has no event that is worth a watch here, so it is read again and again.
func awaitLog(t *testing.T, r Record, text string) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(Tail(r.LogPath()), text) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the log says %q, want %q", Tail(r.LogPath()), text)
		}
	}
}

func TestWait(t *testing.T) {
	dir := directory(t)
	r := mustStart(t, dir, spec("child", "child"), true)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	cancel(reason)
	if err := r.Wait(ctx); !errors.Is(err, reason) {
		t.Fatalf("got %v, want the cause of the context", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- r.Wait(within(t)) }()
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(within(t)); err != nil {
		t.Fatalf("one that ended already: %v", err)
	}
}

func TestLogOfAProcessThatFails(t *testing.T) {
	dir := directory(t)
	r := mustStart(t, dir, spec("failing", "failing"), true)
	if err := r.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := Tail(r.LogPath()); got != "cannot go on" {
		t.Fatalf("the log ends with %q", got)
	}
	mustStart(t, dir, spec("failing", "failing"), true)
	if got := Tail(r.LogPath() + ".1"); got != "cannot go on" {
		t.Fatalf("the log before ends with %q", got)
	}
	info, err := os.Stat(r.LogPath())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the log is %v, %v", info.Mode(), err)
	}
}

// killStarter starts a child by another process, which is then killed, and returns
// the child's process id.
func killStarter(t *testing.T, dir string) int {
	t.Helper()
	s := spec("", "starter")
	cmd := exec.CommandContext(within(t), s.Path, dir)
	cmd.Env = s.Env
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // It was killed.
	var pid int
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatalf("the starter says %q", line)
	}
	return pid
}

func TestChildOutlivesItsKilledStarter(t *testing.T) {
	dir := directory(t)
	pid := killStarter(t, dir)
	if r := mustStart(t, dir, spec("child", "child"), false); r.PID != pid {
		t.Fatalf("adopted %d, want %d", r.PID, pid)
	}
}

func TestUnrecordedChildIsNotLost(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"no record":      os.Remove,
		"broken record":  func(path string) error { return os.WriteFile(path, []byte(`{"pid": `), 0o600) },
		"foreign record": func(path string) error { return os.WriteFile(path, []byte(`{"name": "x", "pid": 7}`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t)
			pid := killStarter(t, dir)
			if err := damage(recordPath(dir, "child")); err != nil {
				t.Fatal(err)
			}
			r := mustStart(t, dir, spec("child", "child"), true)
			running, err := Running(dir)
			if err != nil || len(running) != 1 || running[0].PID != r.PID || r.PID == pid {
				t.Fatalf("%v run, %v; want only %d", running, err, r.PID)
			}
		})
	}
}

func TestStopAllFindsProcessesOfARemovedDirectory(t *testing.T) {
	dir := directory(t)
	r := mustStart(t, dir, spec("child", "child"), true)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := StopAll(within(t), dir, limit); err != nil {
		t.Fatal(err)
	}
	if r.Alive() {
		t.Fatal("it still runs")
	}
}

func TestMarksAreNotInherited(t *testing.T) {
	outer, inner := directory(t), directory(t)
	s := spec("child", "child")
	s.Env = append(s.Env, envDir+"="+outer, envName+"=outer", envToken+"=outer")
	r := mustStart(t, inner, s, true)
	if err := StopAll(within(t), outer, 0); err != nil {
		t.Fatal(err)
	}
	if !r.Alive() {
		t.Fatal("the process was taken for one of the directory that its starter belongs to")
	}
}

func TestConcurrentStartsMakeOneProcess(t *testing.T) {
	dir := directory(t)
	results := make(chan Record, 4)
	for range cap(results) {
		go func() {
			r, _, err := Start(context.Background(), dir, spec("child", "child"), time.Now())
			if err != nil {
				t.Error(err)
			}
			results <- r
		}()
	}
	first := <-results
	for range cap(results) - 1 {
		if r := <-results; r.PID != first.PID {
			t.Errorf("%d was started beside %d", r.PID, first.PID)
		}
	}
}

func TestWriteFileKeepsTheOldOneWhenItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	// A directory cannot be replaced by a file.
	blocked := filepath.Join(dir, "blocked")
	if err := os.MkdirAll(filepath.Join(blocked, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(blocked, []byte("new")); err == nil {
		t.Fatal("want an error")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("a temporary file is left: %v, %v", entries, err)
	}
}

func TestSpecMustBeValid(t *testing.T) {
	for name, s := range map[string]Spec{
		"name leaves the directory": {Name: "../x", Path: "/bin/true", Args: []string{"x"}},
		"program is relative":       {Name: "x", Path: "true", Args: []string{"x"}},
		"no arguments":              {Name: "x", Path: "/bin/true"},
	} {
		if _, _, err := Start(t.Context(), t.TempDir(), s, time.Now()); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestParseStat(t *testing.T) {
	fields := strings.Repeat("0 ", 18) + "4711 0"
	for name, test := range map[string]struct {
		stat string
		want uint64
		err  bool
	}{
		"plain":                {"7 (etcd) S " + fields, 4711, false},
		"name with parenthese": {"7 (a) Z (b) R " + fields, 4711, false},
		"ended":                {"7 (etcd) Z " + fields, 0, true},
		"short":                {"7 (etcd) S 1 2", 0, true},
		"empty":                {"", 0, true},
	} {
		got, err := parseStat([]byte(test.stat))
		if got != test.want || (err != nil) != test.err {
			t.Errorf("%s: got %d, %v", name, got, err)
		}
	}
}

func TestRecordsSurviveJSON(t *testing.T) {
	dir := directory(t)
	r := mustStart(t, dir, spec("child", "child"), true)
	records, err := List(dir)
	if err != nil || len(records) != 1 {
		t.Fatalf("%v, %v", records, err)
	}
	want, _ := json.Marshal(r)
	got, _ := json.Marshal(records[0])
	if string(got) != string(want) {
		t.Fatalf("got %s\nwant %s", got, want)
	}
}
