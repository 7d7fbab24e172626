package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxRead bounds what is read of a log at once.
const maxRead = 1 << 30

// Mark is a place in an audit log, from which it is read later. Close it.
type Mark struct {
	server, path string
	file         *os.File
	rest         []byte // of a line that is not complete yet
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

// Since returns the completed requests after the mark whose lines hold the word, in the
// order in which the server received them. No word means all. It moves the mark behind
// what it read.
func (m *Mark) Since(word string) ([]Event, error) {
	events, err := m.read(word)
	if err != nil {
		return nil, fmt.Errorf("read the audit log of %s: %w", m.server, err)
	}
	// A log that grew big was put aside meanwhile.
	next, err := os.Open(m.path)
	if err != nil {
		return nil, fmt.Errorf("open the audit log of %s: %w", m.server, err)
	}
	same, err := sameFile(m.file, next)
	if err != nil || same {
		next.Close()
		return sorted(events), err
	}
	m.file.Close()
	m.file = next
	more, err := m.read(word)
	if err != nil {
		return nil, fmt.Errorf("read the audit log of %s: %w", m.server, err)
	}
	return sorted(append(events, more...)), nil
}

// read the complete lines up to the end of the file.
func (m *Mark) read(word string) ([]Event, error) {
	raw, err := io.ReadAll(io.LimitReader(m.file, maxRead))
	if err != nil {
		return nil, err
	}
	raw = append(m.rest, raw...)
	end := bytes.LastIndexByte(raw, '\n') + 1
	m.rest = bytes.Clone(raw[end:])
	var events []Event
	for line := range bytes.Lines(raw[:end]) {
		if !bytes.Contains(line, []byte(word)) {
			continue
		}
		e, err := Parse(m.server, line)
		if err != nil {
			return nil, err
		}
		if e.Stage == "ResponseComplete" {
			events = append(events, e)
		}
	}
	return events, nil
}

func sorted(events []Event) []Event {
	slices.SortStableFunc(events, func(a, b Event) int { return a.Received.Compare(b.Received.Time) })
	return events
}

func sameFile(a, b *os.File) (bool, error) {
	x, errA := a.Stat()
	y, errB := b.Stat()
	if err := errors.Join(errA, errB); err != nil {
		return false, err
	}
	return os.SameFile(x, y), nil
}
