package source

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// Packs that git itself wrote, with both sorts of deltas, hold what git says.
func TestIndexResolvesDeltas(t *testing.T) {
	r := newRepo(t)
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("f%d", i)] = rare(4000, 1) + strings.Repeat(fmt.Sprint(i), 50)
	}
	r.commit(files)
	for i := range 20 {
		r.commit(map[string]string{"f1": rare(4000, 1) + strings.Repeat("x", i*10)})
	}
	objects := strings.Fields(r.git("rev-list", "--objects", "--no-object-names", "HEAD"))
	for name, args := range map[string][]string{"offsets": {"--delta-base-offset"}, "references": nil} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("git", append([]string{"pack-objects", "--stdout", "--depth=30", "--window=20", "-q"}, args...)...)
			cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(strings.Join(objects, "\n")+"\n")
			pack, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(pack) > 40_000 {
				t.Fatalf("git wrote %d bytes: there are no deltas to test", len(pack))
			}
			st, err := openPack(context.Background(), pack, Limits{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range objects {
				kind, err := plumbing.ParseObjectType(r.git("cat-file", "-t", id))
				if err != nil {
					t.Fatal(err)
				}
				data, err := st.read(kind, plumbing.NewHash(id), 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				if got := plumbing.ComputeHash(kind, data).String(); got != id {
					t.Errorf("object %s reads as %s", id, got)
				}
			}
		})
	}
}

// rawPack writes a pack of one blob and one delta on it.
func rawPack(t *testing.T, base, difference []byte) []byte {
	t.Helper()
	var pack bytes.Buffer
	pack.WriteString("PACK")
	_ = binary.Write(&pack, binary.BigEndian, []uint32{2, 2})
	entry := func(kind byte, extra, content []byte) {
		if len(content) > 15 {
			t.Fatal("only short objects")
		}
		pack.WriteByte(kind<<4 | byte(len(content)))
		pack.Write(extra)
		z := zlib.NewWriter(&pack)
		_, err := z.Write(content)
		if err = errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
	}
	at := pack.Len()
	entry(3, nil, base)
	entry(6, []byte{byte(pack.Len() - at)}, difference)
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	return pack.Bytes()
}

func TestDeltaBombs(t *testing.T) {
	good := rawPack(t, []byte("abc"), []byte{3, 4, 4, 'w', 'x', 'y', 'z'})
	if _, err := openPack(context.Background(), good, Limits{}.withDefaults()); err != nil {
		t.Fatalf("a small delta: %v", err)
	}
	// Twelve bytes that say: make 2^40 bytes.
	bomb := rawPack(t, []byte("abc"), []byte{3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x90, 3})
	if _, err := openPack(context.Background(), bomb, Limits{}.withDefaults()); !errors.Is(err, ErrLimit) {
		t.Errorf("a bomb: %v is not ErrLimit", err)
	}
	// Says four bytes and makes three.
	liar := rawPack(t, []byte("abc"), []byte{3, 4, 0x90, 3})
	if _, err := openPack(context.Background(), liar, Limits{}.withDefaults()); err == nil {
		t.Error("a delta that makes less than it says went unnoticed")
	}
}
