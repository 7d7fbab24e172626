package source

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// deltaCacheBytes bounds the decompressed objects that reading a pack keeps.
const deltaCacheBytes = 32 * cache.MiByte

// openPack checks a pack against the limits, checks every object's hash and makes
// its objects readable. The compressed bytes stay in memory; objects are inflated
// when they are read.
func openPack(ctx context.Context, pack []byte, limits Limits) (*store, error) {
	index, err := indexPack(ctx, pack, limits)
	if err != nil {
		return nil, err
	}
	// Reading goes on after ctx has ended, so the reader has none.
	file := packfile.NewPackfileWithCache(index, nil, newPackFile(context.Background(), pack),
		cache.NewObjectLRU(deltaCacheBytes), 0)
	return &store{object: file.Get, size: func(h plumbing.Hash) (int64, error) {
		offset, err := file.FindOffset(h)
		if err != nil {
			return 0, err
		}
		return file.GetSizeByOffset(offset)
	}}, nil
}

// deltaTarget reads the size of the object that a delta makes: the second of the
// two variable-length numbers at its start.
func deltaTarget(start *bytes.Buffer) (int64, error) {
	if _, err := variableLength(start); err != nil {
		return 0, err
	}
	return variableLength(start)
}

func variableLength(r io.ByteReader) (int64, error) {
	var n int64
	for shift := 0; shift < 63; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		n |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, errors.New("a delta declares an impossible size")
}

// headWriter keeps the first bytes and discards the rest.
type headWriter struct {
	buf  *bytes.Buffer
	left int
}

func (w *headWriter) Write(p []byte) (int, error) {
	keep := min(w.left, len(p))
	w.buf.Write(p[:keep])
	w.left -= keep
	return len(p), nil
}

// packFile lets go-git read bytes in memory as the file that it expects.
type packFile struct {
	*bytes.Reader
	ctx context.Context
}

func newPackFile(ctx context.Context, pack []byte) *packFile {
	return &packFile{Reader: bytes.NewReader(pack), ctx: ctx}
}

var errReadOnly = errors.New("a pack in memory is read-only")

func (f *packFile) Read(p []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	return f.Reader.Read(p)
}

// WriteTo of the embedded reader is hidden by a Read-only view where it matters: copying must see ctx too.
func (f *packFile) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{f})
}

func (f *packFile) Name() string              { return "pack" }
func (f *packFile) Write([]byte) (int, error) { return 0, errReadOnly }
func (f *packFile) Close() error              { return nil }
func (f *packFile) Lock() error               { return nil }
func (f *packFile) Unlock() error             { return nil }
func (f *packFile) Truncate(int64) error      { return errReadOnly }
