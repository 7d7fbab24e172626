package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func newRegistry(t *testing.T) registry {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	r, err := openRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newDirs(t *testing.T, n int) []string {
	t.Helper()
	base := t.TempDir()
	dirs := make([]string, n)
	for i := range dirs {
		dirs[i] = filepath.Join(base, fmt.Sprint(i))
		if err := os.Mkdir(dirs[i], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

func anyPort(int) bool { return true }

func reserve(t *testing.T, r registry, dir string, had int) int {
	t.Helper()
	port, err := r.reserve(t.Context(), dir, had, anyPort)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestConcurrentReservationsDiffer(t *testing.T) {
	r := newRegistry(t)
	dirs := newDirs(t, 50)
	ports := make([]int, len(dirs))
	var group sync.WaitGroup
	for i, dir := range dirs {
		group.Go(func() {
			port, err := r.reserve(t.Context(), dir, 0, anyPort)
			if err != nil {
				t.Error(err)
			}
			ports[i] = port
		})
	}
	group.Wait()
	owners := map[int]string{}
	for i, port := range ports {
		if other, ok := owners[port]; ok {
			t.Errorf("%s and %s share port %d", other, dirs[i], port)
		}
		if port < firstPort || port > lastPort {
			t.Errorf("port %d is out of range", port)
		}
		owners[port] = dirs[i]
		if again := reserve(t, r, dirs[i], 0); again != port {
			t.Errorf("%s had port %d and now has %d", dirs[i], port, again)
		}
	}
}

func TestReservation(t *testing.T) {
	r := newRegistry(t)
	dirs := newDirs(t, 3)
	first := reserve(t, r, dirs[0], 0)
	if got := reserve(t, r, dirs[1], first); got == first {
		t.Fatal("a port that another directory has was given away")
	}
	if err := r.release(t.Context(), dirs[0]); err != nil {
		t.Fatal(err)
	}
	if got := reserve(t, r, dirs[2], first); got != first {
		t.Fatalf("the plane had port %d when the registry was lost and now gets %d", first, got)
	}
	if err := os.Remove(dirs[2]); err != nil {
		t.Fatal(err)
	}
	if got := reserve(t, r, dirs[0], first); got != first {
		t.Fatalf("port %d of a removed directory was not reclaimed: got %d", first, got)
	}
}

func TestPortsInUseAreNotChosen(t *testing.T) {
	const only = 23456
	got, err := choosePort("/d", nil, func(port int) bool { return port == only })
	if err != nil || got != only {
		t.Fatalf("got %d, %v; want the only free port", got, err)
	}
	if _, err := choosePort("/d", nil, func(int) bool { return false }); err == nil {
		t.Fatal("want an error when no port is free")
	}
}

func TestReleaseLeavesNothing(t *testing.T) {
	r := registry{filepath.Join(t.TempDir(), "ports")}
	gone, here := filepath.Join(t.TempDir(), "gone"), t.TempDir()
	if err := os.MkdirAll(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{gone, here} {
		if _, err := r.reserve(t.Context(), dir, 0, func(int) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	// A plane's directory is removed before its port is given back.
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{gone, here} {
		if err := r.release(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(r.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the registry is still there: %v", err)
	}
}
