package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/refloat-dev/refloat/providers/local/controlplane"
)

// authorityFile names, next to the directory of a plane, the certificate
// authority that the data in it belongs to. It is what tells a plane that is to
// be adopted from the leftover of an earlier cluster with the same name: the
// authority is in a Secret that lives and dies with the control plane object.
const authorityFile = "authority"

// servedFile says that the plane next to it served requests once: from then on
// its data must be there.
const servedFile = "served"

// maxNamePart is how much of the cluster's name a directory shows; what makes it
// unique is the hash behind it.
const maxNamePart = 24

func (f *Fleet) directory(key types.NamespacedName) string {
	sum := sha256.Sum256([]byte(key.String()))
	name := key.Name[:min(len(key.Name), maxNamePart)]
	return filepath.Join(f.options.StateDir, "clusters", name+"-"+hex.EncodeToString(sum[:5]))
}

func (f *Fleet) planeDirectory(key types.NamespacedName) string {
	return filepath.Join(f.directory(key), "plane")
}

func (f *Fleet) makeDirectory(key types.NamespacedName) error {
	if err := os.MkdirAll(f.directory(key), 0o700); err != nil {
		return fmt.Errorf("make the directory of cluster %s: %w", key, err)
	}
	return nil
}

func (f *Fleet) removeDirectory(key types.NamespacedName) error {
	if err := os.RemoveAll(f.directory(key)); err != nil {
		return fmt.Errorf("remove the directory of cluster %s: %w", key, err)
	}
	return nil
}

// claim writes whose data the directory holds before there is any, and refuses
// a directory that holds the data of another cluster.
func (f *Fleet) claim(key types.NamespacedName, authorities *controlplane.Authorities) error {
	if err := f.makeDirectory(key); err != nil {
		return err
	}
	sum := sha256.Sum256(authorities.CA.Cert)
	want := hex.EncodeToString(sum[:])
	path := filepath.Join(f.directory(key), authorityFile)
	have, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writeFile(path, want+"\n")
	case err != nil:
		return fmt.Errorf("read whose data the directory of cluster %s holds: %w", key, err)
	case strings.TrimSpace(string(have)) != want:
		return fmt.Errorf("%w: stop what runs in %s and remove it, or restore the Secret with the authority that it was made with",
			ErrForeignState, f.directory(key))
	}
	return nil
}

// checkData refuses to start a plane whose data was there and is there no more.
func (f *Fleet) checkData(key types.NamespacedName) error {
	if !f.served(key) {
		return nil
	}
	has, err := f.options.Driver.HasData(f.planeDirectory(key))
	if err == nil && !has {
		return ErrDataLost
	}
	return err
}

func (f *Fleet) served(key types.NamespacedName) bool {
	_, err := os.Stat(filepath.Join(f.directory(key), servedFile))
	return err == nil
}

func (f *Fleet) rememberServed(key types.NamespacedName) error {
	return writeFile(filepath.Join(f.directory(key), servedFile), "")
}

// writeFile replaces a file as a whole or not at all.
func writeFile(path, content string) error {
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", next, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}
