package pack_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/refloat-dev/refloat/recovery/pack"
)

func TestPackAndUnpack(t *testing.T) {
	raw, err := pack.Pack(map[string]string{"a": strings.Repeat("x", 100_000)})
	if err != nil || len(raw) > 1000 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	got := map[string]string{}
	if err := pack.Unpack(raw, &got); err != nil || len(got["a"]) != 100_000 {
		t.Errorf("unpacked %d bytes, %v", len(got["a"]), err)
	}
}

// TestUnpackTrustsNothing has what somebody may have put in place of it.
func TestUnpackTrustsNothing(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 65 {
		_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20)) // a buffer takes everything
	}
	_ = w.Close()
	good, _ := pack.Pack("text")
	for name, raw := range map[string][]byte{
		"nothing": nil, "plain text": []byte("text"), "cut off": good[:len(good)-4], "more than may be": bomb.Bytes(),
	} {
		var got string
		if err := pack.Unpack(raw, &got); err == nil {
			t.Errorf("%s: unpacked %q", name, got)
		}
	}
}
