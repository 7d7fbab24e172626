package integration

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// toItems returns the names of the objects in a list.
func toItems(list client.ObjectList) ([]string, error) {
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range items {
		o, err := meta.Accessor(item)
		if err != nil {
			return nil, err
		}
		names = append(names, o.GetName())
	}
	return names, nil
}

// processIDs returns the processes that run in directories that begin with prefix,
// by the name of their program.
func processIDs(t *testing.T, prefix string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, line := range processesIn(t, prefix) {
		fields := strings.Fields(line)
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(fields[1])] = pid
	}
	return found
}

// awaitProcess waits until a program runs again under another process ID. Nothing
// announces a process that is not our child, hence the polling.
func awaitProcess(ctx context.Context, t *testing.T, prefix, name string, old int) {
	t.Helper()
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, awaitLimit, true, func(context.Context) (bool, error) {
		pid := processIDs(t, prefix)[name]
		return pid != 0 && pid != old, nil
	})
	if err != nil {
		t.Fatalf("%s does not run again: %v", name, err)
	}
}

// processesIn returns, for each process that names a directory in its command line
// or runs in it, its ID, command line and directory.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		line := filepath.Base(filepath.Dir(file)) + " " + string(bytes.ReplaceAll(raw, []byte{0}, []byte(" ")))
		// Processes of a plane run in its directory and name it only relatively.
		if cwd, err := os.Readlink(filepath.Join(filepath.Dir(file), "cwd")); err == nil {
			line += " in " + cwd
		}
		if strings.Contains(line, dir) {
			found = append(found, line)
		}
	}
	return found
}
