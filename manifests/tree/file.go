package tree

import (
	"bytes"
	"io"
	"io/fs"
	"time"
)

func (f file) stat(as string) (fs.FileInfo, error) {
	if f.from == nil {
		return info{name: as, size: int64(len(f.content))}, nil
	}
	i, err := fs.Stat(f.from, f.name)
	if err != nil {
		return nil, err
	}
	return renamed{i, as}, nil
}

func (f file) open(as string) (fs.File, error) {
	if f.from != nil {
		return f.from.Open(f.name)
	}
	return &memory{Reader: bytes.NewReader(f.content), info: info{name: as, size: int64(len(f.content))}}, nil
}

// info describes a file or directory that only this tree has.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string     { return i.name }
func (i info) Size() int64      { return i.size }
func (info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool      { return i.dir }
func (info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type renamed struct {
	fs.FileInfo
	name string
}

func (r renamed) Name() string { return r.name }

type memory struct {
	*bytes.Reader
	info info
}

func (m *memory) Stat() (fs.FileInfo, error) { return m.info, nil }
func (*memory) Close() error                 { return nil }

type directory struct {
	info    info
	entries []fs.DirEntry
}

func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }
func (*directory) Close() error                 { return nil }

func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		all := d.entries
		d.entries = nil
		return all, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	part := d.entries[:n]
	d.entries = d.entries[n:]
	return part, nil
}
