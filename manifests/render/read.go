package render

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/refloat-dev/refloat/manifests"
)

// budget counts what a rendering has read. A file that several overlays share
// counts once.
type budget struct {
	bytes atomic.Int64
	seen  sync.Map // file -> struct{}
}

func (b *budget) add(file string, bytes int) int64 {
	if _, again := b.seen.LoadOrStore(file, struct{}{}); again {
		return b.bytes.Load()
	}
	return b.bytes.Add(int64(bytes))
}

// read returns a file's content if it is within the limits. The size is asked for
// first, so that a huge file is refused without being read.
func (r *renderer) read(file string) ([]byte, error) {
	info, err := fs.Stat(r.files, file)
	if err != nil {
		return nil, inputErrorf(file, 0, "cannot be read: %v", reason(err))
	}
	tooLarge := func(size string) error {
		return inputErrorf(file, 0, "is %s bytes, more than the limit of %d for a manifest", size, r.limits.FileBytes)
	}
	if !info.Mode().IsRegular() {
		return nil, inputErrorf(file, 0, "is not a regular file")
	}
	if info.Size() > r.limits.FileBytes {
		return nil, tooLarge(fmt.Sprint(info.Size()))
	}
	f, err := r.files.Open(file)
	if err != nil {
		return nil, inputErrorf(file, 0, "cannot be read: %v", reason(err))
	}
	defer func() { _ = f.Close() }()
	var content bytes.Buffer
	content.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := content.ReadFrom(io.LimitReader(f, r.limits.FileBytes+1)); err != nil {
		return nil, inputErrorf(file, 0, "cannot be read: %v", reason(err))
	}
	if int64(content.Len()) > r.limits.FileBytes {
		return nil, tooLarge("more") // it grew while it was read
	}
	if r.budget.add(file, content.Len()) > r.limits.TotalBytes {
		return nil, inputErrorf(file, 0, "more than %d bytes of manifests in all", r.limits.TotalBytes)
	}
	return content.Bytes(), nil
}

// plainFiles reads many files in parallel and keeps their order.
func (r *renderer) plainFiles(ctx context.Context, unit string, files []string) ([]manifests.Object, error) {
	perFile := make([][]manifests.Object, len(files))
	faults := make([]error, len(files))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range files {
		group.Go(func() error {
			if groupCtx.Err() != nil {
				return context.Cause(groupCtx)
			}
			faults[i] = recovered(file, func() (err error) {
				perFile[i], err = r.plainFile(unit, file)
				return err
			})
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := joined(faults); err != nil {
		return nil, err
	}
	var all []manifests.Object
	for _, objects := range perFile {
		all = append(all, objects...)
	}
	return all, nil
}

func (r *renderer) plainFile(unit, file string) ([]manifests.Object, error) {
	data, err := r.read(file)
	if err != nil {
		return nil, err
	}
	if skipped(data) {
		r.warnings.add(file + ": is marked +argocd:skip-file-rendering and left out")
		return nil, nil
	}
	docs, err := r.documents(file, data)
	if err != nil {
		return nil, err
	}
	var objects []manifests.Object
	for _, d := range docs {
		found, err := r.objects(unit, file, d)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// skipped honours Argo CD's marker for files that are not manifests.
func skipped(data []byte) bool {
	return bytes.Contains(data, []byte("+argocd:skip-file-rendering"))
}

var (
	utf8Mark     = []byte("\xef\xbb\xbf")
	lfsSignature = []byte("version https://git-lfs.github.com/spec/")
)

// textOf checks that a file is text that YAML can hold, and takes a byte order mark off.
func textOf(file string, data []byte) ([]byte, error) {
	data = bytes.TrimPrefix(data, utf8Mark)
	if bytes.HasPrefix(data, lfsSignature) {
		return nil, inputErrorf(file, 1, "is a Git LFS pointer, not the file itself: store manifests in Git, not in LFS")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, inputErrorf(file, 1, "is UTF-16 text: save it as UTF-8")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, inputErrorf(file, lineAt(data, i), "holds a NUL byte: it is not a text file")
	}
	if !utf8.Valid(data) {
		at := 0
		for at < len(data) {
			c, size := utf8.DecodeRune(data[at:])
			if c == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return nil, inputErrorf(file, lineAt(data, at), "is not valid UTF-8")
	}
	return data, nil
}

// lineAt is the line, from 1, of an offset.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte("\n"))
}
