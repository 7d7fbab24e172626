package witness

import (
	"os"
	"path/filepath"
	"testing"
)

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func line(name, at string) string {
	return `{"stage":"ResponseComplete","verb":"get","objectRef":{"name":"` + name + `"},"requestReceivedTimestamp":"2026-01-01T00:00:0` + at + `.000000Z"}` + "\n"
}

// TestMarkReadsWhatCameLater writes lines before a mark, after it, in two halves, and into
// a new file after the first was put aside.
func TestMarkReadsWhatCameLater(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	appendTo(t, file, line("before", "1"))
	m, err := Here(Management, file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { m.Close() }()
	expect := func(want ...string) {
		t.Helper()
		events, err := m.Since("mine")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, e.ObjectRef.Name)
		}
		if len(got) != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	}
	expect()
	appendTo(t, file, line("mine-b", "3")+line("other", "3")+line("mine-a", "2"))
	expect("mine-a", "mine-b")
	half := line("mine-c", "4")
	appendTo(t, file, half[:20])
	expect()
	appendTo(t, file, half[20:])
	expect("mine-c")
	appendTo(t, file, line("mine-d", "5"))
	if err := os.Rename(file, file+".old"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, file, line("mine-e", "6"))
	expect("mine-d", "mine-e")
	expect()
}
