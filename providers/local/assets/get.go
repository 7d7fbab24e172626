package assets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/refloat-dev/refloat/providers/local/filelock"
)

// EnvDir names the environment variable that holds a directory with prebuilt
// programs.
const EnvDir = "REFLOAT_ASSETS"

// Options say where programs come from.
type Options struct {
	// Dir holds prebuilt programs, each under its Name. Empty means the directory
	// that REFLOAT_ASSETS names, and without that the programs are built.
	Dir string
	// Cache is where built programs are kept; empty means the user's cache directory.
	Cache string
	// Only lists what is wanted; empty means everything.
	Only []Name
	// Progress is called with plain lines for people, one call at a time; nil drops them.
	Progress func(line string)
	// Clock defaults to the real one.
	Clock clock.WithTicker
}

func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		o.Dir = os.Getenv(EnvDir)
	}
	if tell := o.Progress; tell == nil {
		o.Progress = func(string) {}
	} else {
		var mu sync.Mutex
		o.Progress = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			tell(line)
		}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Cache == "" && o.Dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("find the cache directory for built programs: %w", err)
		}
		o.Cache = filepath.Join(cache, "refloat", "assets")
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(all, func(r recipe) bool { return r.name == name }) {
			return o, fmt.Errorf("there is no program called %q", name)
		}
	}
	return o, nil
}

// wanted lists the recipes of what is asked for.
func (o Options) wanted() []recipe {
	return slices.DeleteFunc(slices.Clone(all), func(r recipe) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, r.name)
	})
}

// Get returns the programs that are asked for: from a directory of prebuilt ones,
// from the cache, or built now, which takes minutes. Each is verified before it is
// returned. Two processes that want the same program at the same time build it
// once; whatever interrupts a build leaves nothing in the cache.
func Get(ctx context.Context, o Options) (Binaries, error) {
	o, err := o.complete()
	if err != nil {
		return Binaries{}, err
	}
	find := func(ctx context.Context, r recipe) (string, error) { return prebuilt(ctx, o.Dir, r) }
	if o.Dir == "" {
		g, err := findGo(o)
		if err != nil {
			return Binaries{}, err
		}
		if err := os.MkdirAll(o.Cache, 0o700); err != nil {
			return Binaries{}, fmt.Errorf("make the cache for built programs: %w", err)
		}
		toolchain, err := g.toolchain(ctx, o.Cache)
		if err != nil {
			return Binaries{}, err
		}
		find = func(ctx context.Context, r recipe) (string, error) { return cached(ctx, o, g, r, toolchain) }
	}
	return findAll(ctx, o.wanted(), find)
}

// findAll looks for all programs at the same time: while one is downloaded or linked,
// which keeps one processor busy at most, the others are compiled.
func findAll(ctx context.Context, wanted []recipe, find func(context.Context, recipe) (string, error)) (Binaries, error) {
	paths := make([]string, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range wanted {
		group.Go(func() (err error) {
			paths[i], err = find(ctx, r)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Binaries{}, err
	}
	var b Binaries
	for i, r := range wanted {
		switch r.name {
		case Kubernetes:
			b.Kubernetes = paths[i]
		case ClusterAPICore:
			b.ClusterAPICore = paths[i]
		case Kwok:
			b.Kwok = paths[i]
		}
	}
	return b, nil
}

func prebuilt(ctx context.Context, dir string, r recipe) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, string(r.name)))
	if err != nil {
		return "", err
	}
	if err := checkVersion(ctx, r, path); err != nil {
		return "", fmt.Errorf("prebuilt programs in %s: %w", dir, err)
	}
	return path, nil
}

// cached returns the program of the recipe from the cache and builds it if need be.
func cached(ctx context.Context, o Options, g *goCommand, r recipe, toolchain string) (string, error) {
	final := filepath.Join(o.Cache, string(r.name)+"-"+r.key(toolchain))
	program := filepath.Join(final, string(r.name))
	if checkSealed(final, r) == nil {
		return program, nil
	}
	lock, err := filelock.Acquire(ctx, final+".lock", func() {
		o.Progress(fmt.Sprintf("Waiting for another process that builds %s", r.name))
	})
	if err != nil {
		return "", fmt.Errorf("wait for another process that builds %s: %w", r.name, err)
	}
	defer lock.Release()
	err = checkSealed(final, r)
	if err == nil {
		return program, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		o.Progress(fmt.Sprintf("The cached %s cannot be used and is built again: %v", r.name, err))
	}
	if err := clear(final); err != nil {
		return "", err
	}
	if err := g.buildInto(ctx, r, final); err != nil {
		return "", err
	}
	return program, checkSealed(final, r)
}

// clear removes a damaged entry, and what builds left that were killed. The caller
// has the entry's lock, so nobody builds it.
func clear(final string) error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(final), workPrefix(final)+"*"))
	if err != nil {
		return err
	}
	for _, path := range append(left, final) {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("clear the cache for built programs: %w", err)
		}
	}
	return nil
}
