package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxRecord bounds a record file; ours are a tenth of it.
const maxRecord = 64 << 10

// WriteFile writes a file of mode 0600 so that, whatever happens meanwhile, path
// holds either all of data or what it held before.
func WriteFile(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writeRecord(r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the record of %s: %w", r.Name, err)
	}
	return WriteFile(recordPath(r.Dir, r.Name), append(data, '\n'))
}

// readRecord returns the record of name in dir, or fs.ErrNotExist. A record that
// cannot be understood counts as missing: what it named is found by its token.
func readRecord(dir, name string) (Record, error) {
	path := recordPath(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		return Record{}, fmt.Errorf("read process record: %w", err)
	}
	if info.Size() > maxRecord {
		return Record{}, fmt.Errorf("process record %s is too large: %w", path, fs.ErrNotExist)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Record{}, fmt.Errorf("read process record: %w", err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("process record %s: %w: %w", path, err, fs.ErrNotExist)
	}
	if r.Name != name || r.PID <= 1 {
		return Record{}, fmt.Errorf("process record %s is not one of %s: %w", path, name, fs.ErrNotExist)
	}
	r.Dir = dir
	return r, nil
}

// removeRecord forgets the process called name.
func removeRecord(dir, name string) error {
	err := os.Remove(recordPath(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List returns the records of dir, sorted by name. A directory without records,
// or that does not exist, has none.
func List(dir string) ([]Record, error) {
	dir, err := Canonical(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(dir, recordDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list process records: %w", err)
	}
	var records []Record
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		r, err := readRecord(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	return records, nil
}

// Find returns the running process called name in dir, or ErrNotRunning.
func Find(dir, name string) (Record, error) {
	dir, err := Canonical(dir)
	if err != nil {
		return Record{}, err
	}
	r, err := readRecord(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, fmt.Errorf("%s: %w", name, ErrNotRunning)
	}
	if err != nil {
		return Record{}, err
	}
	if !r.Alive() {
		return r, fmt.Errorf("%s: %w", name, ErrNotRunning)
	}
	return r, nil
}
