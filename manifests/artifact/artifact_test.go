package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// entry of an archive; size is that of its content unless it is given.
type entry struct {
	name, content string
	kind          byte
	link          string
}

func packed(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	w := tar.NewWriter(zipped)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o644, Size: int64(len(e.content))}
		if e.kind == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: e.kind, Name: e.name, PAXRecords: map[string]string{"comment": "x"}}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestUnpack(t *testing.T) {
	u, err := Unpack(packed(t,
		entry{name: "pax", kind: tar.TypeXGlobalHeader}, entry{name: "./", kind: tar.TypeDir}, entry{name: "deploy/", kind: tar.TypeDir},
		entry{name: "./deploy/a.yaml", content: "first"}, entry{name: "deploy//a.yaml", content: "last"}, entry{name: "b.yaml", content: "b"},
		entry{name: "secrets", kind: tar.TypeSymlink, link: "/etc"}, entry{name: "hard", kind: tar.TypeLink, link: "b.yaml"},
	), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(u.Files.Names(), " "); got != "b.yaml deploy/a.yaml" || u.Links != 2 || u.First != "secrets" {
		t.Errorf("files %s, %d links, %s", got, u.Links, u.First)
	}
	if text, err := fs.ReadFile(u.Files, "deploy/a.yaml"); err != nil || string(text) != "last" {
		t.Errorf("%q, %v", text, err)
	}
	if entries, err := fs.ReadDir(u.Files, "."); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestHostileArchives(t *testing.T) {
	good := packed(t, entry{name: "a", content: strings.Repeat("x", 10_000)})
	large := Limits{Bytes: 5_000}
	for name, c := range map[string]struct {
		data   []byte
		limits Limits
		want   string
	}{
		"above":               {packed(t, entry{name: "../a", content: "x"}), Limits{}, "leads out of it"},
		"above in the middle": {packed(t, entry{name: "a/../../b", content: "x"}), Limits{}, "leads out of it"},
		"absolute":            {packed(t, entry{name: "/etc/passwd", content: "x"}), Limits{}, "leads out of it"},
		"through a link":      {packed(t, entry{name: "l", kind: tar.TypeSymlink, link: "/etc"}, entry{name: "l/../../x", content: "x"}), Limits{}, "leads out of it"},
		"a device":            {packed(t, entry{name: "d", kind: tar.TypeChar}), Limits{}, "neither a file nor a directory"},
		"a pipe":              {packed(t, entry{name: "d", kind: tar.TypeFifo}), Limits{}, "neither a file nor a directory"},
		"file and directory":  {packed(t, entry{name: "a", content: "x"}, entry{name: "a/b", content: "x"}), Limits{}, "of the same name"},
		"not compressed":      {[]byte("kind: ConfigMap"), Limits{}, "not an archive compressed with gzip"},
		"empty":               {nil, Limits{}, "not an archive compressed with gzip"},
		"cut off":             {good[:len(good)-10], Limits{}, "damaged"},
		"changed":             {append(append([]byte{}, good[:len(good)-5]...), 1, 2, 3, 4, 5), Limits{}, "damaged"},
		"no archive":          {zipped(t, strings.Repeat("no archive at all", 100)), Limits{}, "damaged"},
		"large":               {good, large, "expands to more than 5000 bytes"},
		"a bomb":              {zipped(t, strings.Repeat("\x00", 1<<20)), large, "expands to more than 5000 bytes"},
		"many":                {packed(t, entry{name: "a"}, entry{name: "b"}, entry{name: "c"}), Limits{Entries: 2}, "more than 2 entries"},
		"a sparse file":       {zipped(t, sparse()), Limits{Bytes: 1 << 20}, "expands to more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := Unpack(c.data, c.limits)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, %v, want %q", u, err, c.want)
			}
			if limited := strings.Contains(c.want, "more than"); limited != errors.Is(err, ErrLimit) {
				t.Errorf("%v wraps the limit: %v", err, !limited)
			}
		})
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// sparse is an archive of one file of 1 GiB in the old format of GNU, all of it a hole.
func sparse() string {
	h := make([]byte, 512)
	put := func(at int, text string) { copy(h[at:], text) }
	put(0, "hole")
	put(100, "0000644\x00")
	put(124, "00000000000\x00")
	put(136, "00000000000\x00")
	h[156] = 'S'
	put(257, "ustar  \x00")
	put(386, "10000000000\x00") // where the only piece begins,
	put(398, "00000000000\x00") // and its length
	put(483, "10000000000\x00") // size
	sum := 8 * int(' ')
	for _, b := range h {
		sum += int(b)
	}
	digits := []byte("000000\x00 ")
	for i := 5; i >= 0; i-- {
		digits[i] = byte('0' + sum&7)
		sum >>= 3
	}
	put(148, string(digits))
	return string(h) + strings.Repeat("\x00", 1024)
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := Unpack(data, Limits{Bytes: 1 << 16, Entries: 100})
		if err != nil {
			return
		}
		for _, name := range u.Files.Names() {
			if !fs.ValidPath(name) {
				t.Errorf("name %q", name)
			}
		}
	})
}
