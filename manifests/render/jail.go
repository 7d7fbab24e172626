package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// jail shows kustomize the repository and nothing else, read-only.
type jail struct {
	ctx context.Context
	r   *renderer
	// overlay replaces files of the repository, by name in it.
	overlay map[string][]byte
}

var _ filesys.FileSystem = (*jail)(nil)

var (
	errOutside  = errors.New("leads out of the repository")
	errReadOnly = errors.New("the repository is read-only")
)

// name of a path in the repository.
func (j *jail) name(p string) (string, error) {
	if !path.IsAbs(p) {
		p = path.Join(jailRoot, p)
	}
	p = path.Clean(p)
	if p == jailRoot {
		return ".", nil
	}
	name, inside := strings.CutPrefix(p, jailRoot+"/")
	if !inside || !fs.ValidPath(name) {
		return "", fmt.Errorf("%s %w", p, errOutside)
	}
	return name, nil
}

// CleanedAbs implements filesys.FileSystem: symbolic links are resolved, so that
// kustomize recognises a directory that it visited already.
func (j *jail) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	name, err := j.name(p)
	if err != nil {
		return "", "", err
	}
	if _, ok := j.overlay[name]; ok {
		return filesys.ConfirmedDir(inJail(path.Dir(name))), path.Base(name), nil
	}
	if name, err = delink(j.r.files, name); err != nil {
		return "", "", err
	}
	info, err := fs.Stat(j.r.files, name)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, reason(err))
	}
	if info.IsDir() {
		return filesys.ConfirmedDir(inJail(name)), "", nil
	}
	return filesys.ConfirmedDir(inJail(path.Dir(name))), path.Base(name), nil
}

// delink resolves the symbolic links of a path.
func delink(files fs.FS, name string) (string, error) {
	linker, ok := files.(fs.ReadLinkFS)
	if !ok {
		return name, nil
	}
	const most = 40
	resolved, pending := ".", strings.Split(name, "/")
	for links := 0; len(pending) > 0; {
		next := path.Join(resolved, pending[0])
		pending = pending[1:]
		if next == ".." || strings.HasPrefix(next, "../") {
			return "", fmt.Errorf("%s %w", name, errOutside)
		}
		info, err := linker.Lstat(next)
		if err != nil {
			return "", fmt.Errorf("%s: %w", next, reason(err))
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			resolved = next
			continue
		}
		if links++; links > most {
			return "", fmt.Errorf("%s: too many symbolic links", name)
		}
		target, err := linker.ReadLink(next)
		if err != nil || path.IsAbs(target) {
			return "", fmt.Errorf("%s %w", next, errOutside)
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return resolved, nil
}

// ReadFile implements filesys.FileSystem.
func (j *jail) ReadFile(p string) ([]byte, error) {
	if j.ctx.Err() != nil {
		return nil, context.Cause(j.ctx)
	}
	name, err := j.name(p)
	if err != nil {
		return nil, err
	}
	if content, ok := j.overlay[name]; ok {
		return bytes.Clone(content), nil
	}
	content, err := j.r.read(name)
	if err != nil {
		return nil, err
	}
	return j.r.substituted(name, content)
}

// substituted replaces variables in what looks like a manifest or a kustomization.
func (r *renderer) substituted(name string, content []byte) ([]byte, error) {
	if r.options.Variables == nil || (!isManifestName(name) && !isKustomizationName(path.Base(name))) {
		return content, nil
	}
	return substitute(name, 1, content, r.options.Variables, r.limits.FileBytes)
}

// Open implements filesys.FileSystem.
func (j *jail) Open(p string) (filesys.File, error) {
	content, err := j.ReadFile(p)
	if err != nil {
		return nil, err
	}
	return &jailFile{Reader: bytes.NewReader(content), j: j, path: p}, nil
}

type jailFile struct {
	*bytes.Reader
	j    *jail
	path string
}

func (*jailFile) Write([]byte) (int, error) { return 0, errReadOnly }
func (*jailFile) Close() error              { return nil }

func (f *jailFile) Stat() (os.FileInfo, error) {
	name, err := f.j.name(f.path)
	if err != nil {
		return nil, err
	}
	return fs.Stat(f.j.r.files, name)
}

// Exists implements filesys.FileSystem.
func (j *jail) Exists(p string) bool {
	name, err := j.name(p)
	if err != nil {
		return false
	}
	if _, ok := j.overlay[name]; ok {
		return true
	}
	_, err = fs.Stat(j.r.files, name)
	return err == nil
}

// IsDir implements filesys.FileSystem.
func (j *jail) IsDir(p string) bool {
	name, err := j.name(p)
	if err != nil {
		return false
	}
	info, err := fs.Stat(j.r.files, name)
	return err == nil && info.IsDir()
}

// ReadDir implements filesys.FileSystem.
func (j *jail) ReadDir(p string) ([]string, error) {
	name, err := j.name(p)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(j.r.files, name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Glob implements filesys.FileSystem.
func (j *jail) Glob(pattern string) ([]string, error) {
	name, err := j.name(pattern)
	if err != nil {
		return nil, err
	}
	found, err := fs.Glob(j.r.files, name)
	if err != nil {
		return nil, err
	}
	for i := range found {
		found[i] = inJail(found[i])
	}
	return found, nil
}

// Walk implements filesys.FileSystem.
func (j *jail) Walk(p string, walk filepath.WalkFunc) error {
	name, err := j.name(p)
	if err != nil {
		return err
	}
	return fs.WalkDir(j.r.files, name, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return walk(inJail(name), nil, err)
		}
		info, err := d.Info()
		return walk(inJail(name), info, err)
	})
}

// Create implements filesys.FileSystem.
func (*jail) Create(string) (filesys.File, error) { return nil, errReadOnly }

// Mkdir implements filesys.FileSystem.
func (*jail) Mkdir(string) error { return errReadOnly }

// MkdirAll implements filesys.FileSystem.
func (*jail) MkdirAll(string) error { return errReadOnly }

// RemoveAll implements filesys.FileSystem.
func (*jail) RemoveAll(string) error { return errReadOnly }

// WriteFile implements filesys.FileSystem.
func (*jail) WriteFile(string, []byte) error { return errReadOnly }
