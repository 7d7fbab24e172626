package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/refloat-dev/refloat/providers/local/filelock"
	"github.com/refloat-dev/refloat/providers/local/process"
)

// Ports of planes lie below those that the kernel gives to outgoing connections
// (32768 and up unless it is told otherwise), so that none is taken by chance
// between two runs of a plane.
const (
	firstPort = 20000
	lastPort  = 29999
)

// reservation is the content of a file in the registry; the file is named by the
// port.
type reservation struct {
	Dir string `json:"dir"`
}

// registry keeps the ports of all planes of one user, so that two planes that are
// made at the same time, or one of which does not run now, never share a port.
type registry struct{ dir string }

// openRegistry finds the registry in the user's state directory.
func openRegistry() (registry, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return registry{}, fmt.Errorf("find the state directory (set HOME or XDG_STATE_HOME): %w", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	r := registry{filepath.Join(state, "refloat", "ports")}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return registry{}, fmt.Errorf("make the registry of ports: %w", err)
	}
	return r, nil
}

// Reserve chooses the port of the plane in dir and keeps it for that directory
// until Purge. It makes dir, and may be called any number of times.
func Reserve(ctx context.Context, dir string) (Endpoint, error) {
	dir, err := makeDir(dir)
	if err != nil {
		return Endpoint{}, err
	}
	r, err := openRegistry()
	if err != nil {
		return Endpoint{}, err
	}
	var had int
	if s, err := readState(dir); err == nil {
		had = s.Endpoint.Port
	}
	port, err := r.reserve(ctx, dir, had, PortFree)
	if err != nil {
		return Endpoint{}, err
	}
	return Endpoint{Host: loopback, Port: port}, nil
}

// ReservePort does the same for a server other than an API server, whose files are
// in dir.
func ReservePort(ctx context.Context, dir string) (int, error) {
	e, err := Reserve(ctx, dir)
	return e.Port, err
}

// ReleasePort gives back what was reserved for dir.
func ReleasePort(ctx context.Context, dir string) error {
	dir, err := process.Canonical(dir)
	if err != nil {
		return err
	}
	r, err := openRegistry()
	if err != nil {
		return err
	}
	return r.release(ctx, dir)
}

// PortFree says whether nobody listens on a loopback port.
func PortFree(port int) bool {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (r registry) lock(ctx context.Context) (*filelock.Lock, error) {
	for {
		l, err := filelock.Acquire(ctx, filepath.Join(r.dir, "lock"), nil)
		if errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			// Who gave back the last port took the registry away.
			if err := os.MkdirAll(r.dir, 0o700); err != nil {
				return nil, fmt.Errorf("make the registry of ports: %w", err)
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait for the registry of ports: %w", err)
		}
		return l, nil
	}
}

// reserve returns the port of dir. had is the port by which clients know the plane
// already, should the registry have been lost; zero if there is none.
func (r registry) reserve(ctx context.Context, dir string, had int, free func(int) bool) (int, error) {
	lock, err := r.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer lock.Release()
	taken, err := r.read()
	if err != nil {
		return 0, err
	}
	if err := r.forget(taken); err != nil {
		return 0, err
	}
	for port, owner := range taken {
		if owner == dir {
			return port, nil
		}
	}
	port := had
	if _, ok := taken[had]; ok || had == 0 {
		if port, err = choosePort(dir, taken, free); err != nil {
			return 0, err
		}
	}
	data, err := json.Marshal(reservation{Dir: dir})
	if err != nil {
		return 0, err
	}
	return port, process.WriteFile(r.file(port), data)
}

func (r registry) release(ctx context.Context, dir string) error {
	lock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	taken, err := r.read()
	if err != nil {
		return err
	}
	for port, owner := range taken {
		if owner != dir {
			continue
		}
		if err := os.Remove(r.file(port)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("release port %d: %w", port, err)
		}
		delete(taken, port)
	}
	if len(taken) > 0 {
		return nil
	}
	// Nothing is left behind when nothing is reserved. Whoever waits for the lock finds
	// its file gone and makes the registry anew.
	return os.RemoveAll(r.dir)
}

// forget drops the reservations of directories that were removed by hand.
func (r registry) forget(taken map[int]string) error {
	for port, owner := range taken {
		if _, err := os.Stat(owner); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.Remove(r.file(port)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("release port %d: %w", port, err)
		}
		delete(taken, port)
	}
	return nil
}

func (r registry) file(port int) string { return filepath.Join(r.dir, strconv.Itoa(port)) }

// read returns the directories that ports are reserved for.
func (r registry) read() (map[int]string, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("read the registry of ports: %w", err)
	}
	taken := map[int]string{}
	for _, e := range entries {
		port, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile(r.file(port))
		if err != nil {
			return nil, fmt.Errorf("read the registry of ports: %w", err)
		}
		var held reservation
		if json.Unmarshal(data, &held) != nil {
			continue
		}
		taken[port] = held.Dir
	}
	return taken, nil
}

// choosePort looks from a place that depends on dir, so that planes of different
// users, who do not see each other's registry, seldom look at the same port.
func choosePort(dir string, taken map[int]string, free func(int) bool) (int, error) {
	h := fnv.New32a()
	h.Write([]byte(dir))
	const count = lastPort - firstPort + 1
	from := int(h.Sum32() % count)
	for i := range count {
		port := firstPort + (from+i)%count
		if _, ok := taken[port]; !ok && free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free on %s; remove planes that are not needed", firstPort, lastPort, loopback)
}
