package witness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxLine of an audit log; longer ones end the reading with an error.
const maxLine = 8 << 20

// Mark is a place in an audit log, from which it is read later. Close it.
type Mark struct {
	server, path string
	file         *os.File
}

// Here marks the end of a log as it is now.
func Here(server, path string) (*Mark, error) {
	f, err := os.Open(path)
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit log of %s: %w", server, err)
	}
	return &Mark{server: server, path: path, file: f}, nil
}

// Close ends the mark.
func (m *Mark) Close() { m.file.Close() }

// Since returns the completed requests after the mark whose lines hold one of the words,
// in the order in which the server received them. No word means all. It moves the mark.
func (m *Mark) Since(words ...string) ([]Event, error) {
	var events []Event
	collect := func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			if !holdsOne(lines.Bytes(), words) {
				continue
			}
			e, err := Parse(m.server, lines.Bytes())
			if err != nil {
				continue // the last line may be half written
			}
			if e.Stage == "ResponseComplete" {
				events = append(events, e)
			}
		}
		return lines.Err()
	}
	if err := collect(m.file); err != nil {
		return nil, fmt.Errorf("read the audit log of %s: %w", m.server, err)
	}
	// A log that grew big was put aside meanwhile.
	next, err := os.Open(m.path)
	if err != nil {
		return nil, fmt.Errorf("open the audit log of %s: %w", m.server, err)
	}
	defer next.Close()
	same, err := sameFile(m.file, next)
	if err == nil && !same {
		err = collect(next)
	}
	if err != nil {
		return nil, fmt.Errorf("read the audit log of %s: %w", m.server, err)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Received.Compare(b.Received.Time) })
	return events, nil
}

func sameFile(a, b *os.File) (bool, error) {
	x, errA := a.Stat()
	y, errB := b.Stat()
	if err := errors.Join(errA, errB); err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}

func holdsOne(line []byte, words []string) bool {
	return len(words) == 0 || slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(line, []byte(word)) })
}
