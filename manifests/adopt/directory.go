package adopt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Write files into a directory, which is made when it is missing. A file that exists is
// left alone, and none is written then, unless force is set. Links do not lead out of it.
func Write(dir string, files []File, force bool) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory for what is adopted: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the directory for what is adopted: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if !force {
		for _, f := range files {
			if _, err := root.Lstat(f.Name); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s exists in %s; nothing was written: remove it, or overwrite it with --force", f.Name, dir)
			}
		}
	}
	for _, f := range files {
		if err := write(root, f, force); err != nil {
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return nil
}

func write(root *os.Root, f File, force bool) (err error) {
	flags, mode := os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(0o644)
	if f.Secret {
		mode = 0o600
	}
	if force {
		if err := root.Remove(f.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	file, err := root.OpenFile(f.Name, flags, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = file.Write(f.Content)
	return err
}

// Kustomization of a directory; empty when it has none.
func Kustomization(names []string) string {
	for _, want := range kustomizations {
		for _, have := range names {
			if have == want {
				return want
			}
		}
	}
	return ""
}

// kustomizations are the names under which kustomize looks for its file.
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
