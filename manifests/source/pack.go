package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// deltaCacheBytes bounds the decompressed objects that reading a pack keeps.
const deltaCacheBytes = 32 * cache.MiByte

// openPack checks a pack against the limits, checks every object's hash and makes
// its objects readable. The compressed bytes stay in memory; objects are inflated
// when they are read.
func openPack(ctx context.Context, pack []byte, limits Limits) (*store, error) {
	if err := inspect(ctx, pack, limits); err != nil {
		return nil, err
	}
	writer := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(newPackFile(ctx, pack)), writer)
	if err != nil {
		return nil, fmt.Errorf("read the pack: %w", err)
	}
	if _, err := parser.Parse(); err != nil {
		return nil, fmt.Errorf("the pack is malformed: %w", err)
	}
	index, err := writer.Index()
	if err != nil {
		return nil, fmt.Errorf("index the pack: %w", err)
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

// inspect adds up the declared sizes of all objects before any of them is built. A
// few bytes of a delta can declare gigabytes.
func inspect(ctx context.Context, pack []byte, limits Limits) error {
	scanner := packfile.NewScanner(newPackFile(ctx, pack))
	_, count, err := scanner.Header()
	if err != nil {
		return fmt.Errorf("the pack is malformed: %w", err)
	}
	if int64(count) > int64(limits.Objects) {
		return fmt.Errorf("%d objects, more than %d: %w", count, limits.Objects, ErrLimit)
	}
	var total int64
	for range count {
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("the pack is malformed: %w", err)
		}
		size := header.Length
		if size > limits.ExpandedBytes {
			return fmt.Errorf("an object of %d bytes, more than %d: %w", size, limits.ExpandedBytes, ErrLimit)
		}
		if header.Type.IsDelta() {
			if size, err = deltaTarget(scanner); err != nil {
				return fmt.Errorf("the pack is malformed: %w", err)
			}
		}
		if total += size; size > limits.ExpandedBytes || total > limits.ExpandedBytes {
			return fmt.Errorf("objects of more than %d bytes in all: %w", limits.ExpandedBytes, ErrLimit)
		}
	}
	return nil
}

// deltaTarget reads the size of the object that a delta makes: the second of the
// two variable-length numbers at its start.
func deltaTarget(scanner *packfile.Scanner) (int64, error) {
	var start bytes.Buffer
	if _, _, err := scanner.NextObject(&headWriter{buf: &start, left: 20}); err != nil {
		return 0, err
	}
	if _, err := variableLength(&start); err != nil {
		return 0, err
	}
	return variableLength(&start)
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
