package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// bootID names the time since the last boot; process ids and start times mean
// nothing outside it.
func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// startTicks returns when a live process started. A process that ended and was
// not yet collected by its parent counts as gone.
func startTicks(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	return parseStat(data)
}

// parseStat reads field 22 of a stat file. The second field is the name of the
// program in parentheses and may hold anything, parentheses included.
func parseStat(data []byte) (uint64, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, errors.New("process state: no program name")
	}
	fields := strings.Fields(string(data[end+1:]))
	const state, starttime = 0, 19 // Counted from the field after the name.
	if len(fields) <= starttime {
		return 0, errors.New("process state: too few fields")
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return 0, fmt.Errorf("process ended: %w", os.ErrProcessDone)
	}
	return strconv.ParseUint(fields[starttime], 10, 64)
}

// environment returns those variables of a process that mark it as ours.
func environment(pid int) (map[string]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil, fmt.Errorf("read the environment of process %d: %w", pid, err)
	}
	marks := map[string]string{}
	for _, entry := range bytes.Split(data, []byte{0}) {
		name, value, _ := strings.Cut(string(entry), "=")
		switch name {
		case envDir, envName, envToken:
			marks[name] = value
		}
	}
	return marks, nil
}

// marked returns every live process that was started for dir, whether or not a
// record names it, by any process of this user.
func marked(dir string) ([]Record, error) {
	return markedWhere(func(d string) bool { return d == dir })
}

// markedWhere returns every live process whose directory is chosen.
func markedWhere(chosen func(dir string) bool) ([]Record, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	var found []Record
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// A process that ends meanwhile, or is somebody else's, cannot be read.
		marks, err := environment(pid)
		if err != nil || marks[envToken] == "" || !chosen(marks[envDir]) {
			continue
		}
		ticks, err := startTicks(pid)
		if err != nil {
			continue
		}
		found = append(found, Record{
			Name: marks[envName], Token: marks[envToken],
			PID: pid, StartTicks: ticks, BootID: boot, Dir: marks[envDir],
		})
	}
	return found, nil
}
