// Package artifact opens what tools push to OCI registries as a directory of manifests:
// an archive of files, compressed with gzip. The files stay in memory. Nothing in an
// archive can name a place outside of it, and what it may cost is bounded whatever its
// headers say.
package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/refloat-dev/refloat/manifests/tree"
)

// ErrLimit is wrapped when an archive holds more than Limits allow.
var ErrLimit = errors.New("limit exceeded")

// Limits of an archive. Zero values mean the defaults.
type Limits struct {
	// Bytes after decompression, headers included: 100 MiB.
	Bytes int64
	// Entries of any type: 50,000.
	Entries int
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 100 << 20
	}
	if l.Entries <= 0 {
		l.Entries = 50_000
	}
	return l
}

// Unpacked is the content of an archive.
type Unpacked struct {
	Files *tree.Tree
	// Bytes of all files.
	Bytes int64
	// Links were left out, as Flux leaves them out. First is the name of one.
	Links int
	First string
}

// Unpack an archive.
func Unpack(data []byte, limits Limits) (*Unpacked, error) {
	limits = limits.withDefaults()
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("the layer is not an archive compressed with gzip")
	}
	u := &unpacker{limits: limits, files: map[string][]byte{}}
	// One byte more than allowed tells an archive that is too large from one that ends.
	u.bounded = &io.LimitedReader{R: unzipped, N: limits.Bytes + 1}
	r := tar.NewReader(u.bounded)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return u.done()
		}
		if err != nil {
			err = damaged(err)
		} else {
			err = u.entry(header, r)
		}
		if u.bounded.N <= 0 {
			return nil, u.tooLarge()
		}
		if err != nil {
			return nil, err
		}
	}
}

type unpacker struct {
	limits  Limits
	bounded *io.LimitedReader
	files   map[string][]byte
	out     Unpacked
	entries int
}

func (u *unpacker) tooLarge() error {
	return fmt.Errorf("the archive expands to more than %d bytes: %w", u.limits.Bytes, ErrLimit)
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	if u.entries++; u.entries > u.limits.Entries {
		return fmt.Errorf("the archive holds more than %d entries: %w", u.limits.Entries, ErrLimit)
	}
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean(strings.TrimRight(header.Name, "/"))
	if !fs.ValidPath(name) {
		return fmt.Errorf("the archive holds %q, a name that leads out of it", shown(header.Name))
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return nil
	case tar.TypeSymlink, tar.TypeLink:
		if u.out.Links++; u.out.Links == 1 {
			u.out.First = shown(name)
		}
		return nil
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, content)
	}
	return fmt.Errorf("the archive holds %q, which is neither a file nor a directory", shown(name))
}

// file is read up to what is left, whatever its header says: a sparse one has content
// that the archive does not hold.
func (u *unpacker) file(name string, content io.Reader) error {
	left := u.limits.Bytes - u.out.Bytes
	data, err := io.ReadAll(io.LimitReader(content, left+1))
	if int64(len(data)) > left {
		return u.tooLarge()
	}
	if err != nil {
		return damaged(err)
	}
	u.out.Bytes += int64(len(data))
	u.files[name] = data
	return nil
}

func (u *unpacker) done() (*Unpacked, error) {
	// The archive may end before the stream does: its checksum is at the end.
	if _, err := io.Copy(io.Discard, u.bounded); err != nil {
		return nil, damaged(err)
	}
	if u.bounded.N <= 0 {
		return nil, u.tooLarge()
	}
	u.out.Files = tree.Over(nil, u.files)
	if u.out.Files.Len() != len(u.files) {
		return nil, errors.New("the archive holds a file and a directory of the same name")
	}
	return &u.out, nil
}

func damaged(err error) error { return fmt.Errorf("the archive is damaged: %s", shown(err.Error())) }

// shown is a text that a stranger wrote, for a message.
func shown(text string) string {
	const longest = 200
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, text)
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
